"""Celery's scheduler as we use it: a wall clock that is set stops no tick."""

from datetime import timedelta

import pytest

from conductor import celery
from conductor.celery import Clock, app


@pytest.fixture
def off(monkeypatch) -> list[timedelta]:
    """How far the wall clock is off; the monotonic one is not."""
    off = [timedelta(0)]
    now, began_at = app.now, celery._began_at
    monkeypatch.setattr(app, "now", lambda: now() + off[0])
    monkeypatch.setattr(celery, "_began_at", lambda: began_at() + off[0].total_seconds())
    return off


def run(clock: Clock) -> list[str]:
    """Return what is sent until the clock would rest, which is never for longer than to the next tick."""
    sent: list[str] = []
    clock.producer = None  # nothing is sent to Redis
    clock.apply_async = lambda entry, **_: sent.append(entry.name)
    while (seconds := clock.tick()) <= 0:
        pass
    assert seconds <= celery.settings.TICK_SECONDS
    return sorted(set(sent) - {"tidying"})


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(hours=1)])
def test_ticks_go_on_when_the_clock_is_set(jump, off, monkeypatch, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    clock = Clock(app)
    assert run(clock) == []

    off[0] = jump
    assert run(clock) == []

    # Five seconds later, by both clocks.
    began_at = celery._began_at()
    off[0] = jump + timedelta(seconds=celery.settings.TICK_SECONDS)
    monkeypatch.setattr(celery, "_began_at", lambda: began_at)
    assert run(clock) == ["housekeeping", "tick"]
