"""Beat: a wall clock that is set stops no tick, and what is woken is not loaded."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings as own_settings

from conductor import clock
from conductor.celery import app as worker
from conductor.clock import Clock, app


@pytest.fixture
def off(monkeypatch) -> list[timedelta]:
    """How far the wall clock is off; the monotonic one is not."""
    off = [timedelta(0)]
    now, began_at = app.now, clock._began_at
    monkeypatch.setattr(app, "now", lambda: now() + off[0])
    monkeypatch.setattr(clock, "_began_at", lambda: began_at() + off[0].total_seconds())
    return off


def run(beat: Clock) -> list[str]:
    """Return what is sent until the clock would rest, which is never for longer than to the next tick."""
    sent: list[str] = []
    beat.producer = None  # nothing is sent to Redis
    beat.apply_async = lambda entry, **_: sent.append(entry.name)
    while (seconds := beat.tick()) <= 0:
        pass
    assert seconds <= own_settings.TICK_SECONDS
    return sorted(set(sent) - {"tidying"})


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(hours=1)])
def test_ticks_go_on_when_the_clock_is_set(jump, off, monkeypatch, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    beat = Clock(app)
    assert run(beat) == []

    off[0] = jump
    assert run(beat) == []

    # Five seconds later, by both clocks.
    began_at = clock._began_at()
    off[0] = jump + timedelta(seconds=settings.TICK_SECONDS)
    monkeypatch.setattr(clock, "_began_at", lambda: began_at)
    assert run(beat) == ["housekeeping", "practice", "telling", "tick"]


def test_clock_sleeps_until_something_is_due():
    """And is not awake for the last hundredth of a second before it."""
    assert [Clock(app).adjust(seconds) for seconds in (5.0, 0.004, 0.0, None)] == [5.0, 0.004, 0.0, None]


def test_clock_sends_tasks_that_are_there():
    worker.loader.import_default_modules()
    ours = {entry["task"] for entry in own_settings.CELERY_BEAT_SCHEDULE.values()}
    assert ours - {"conductor.telling.tasks.tell"} <= set(worker.tasks)


def test_clock_loads_no_app():
    """A hundred megabytes: models, pages and what draws them, of which a clock needs nothing."""
    code = (
        "import sys; from conductor import program; from conductor.clock import Clock, app; "
        "app.Beat; app.loader.init_worker(); app.finalize(); Clock(app); "
        "print({'django.db', 'psycopg', 'numpy', 'engagement', 'anomalies', 'celery.bin'} & {*sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
