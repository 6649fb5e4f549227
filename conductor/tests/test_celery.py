"""Celery as we use it: a wall clock that is set stops no tick, and a process loads what it needs."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from celery.signals import worker_init

from anomalies.detector.incidents import judge_until_news
from anomalies.detector.prior import FOREST, shipped
from conductor import celery
from conductor.celery import Clock, app
from conductor.tasks import prepare_to_judge


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
    assert run(clock) == ["housekeeping", "practice", "telling", "tick"]


@pytest.mark.parametrize("process", ["conductor.asgi", "conductor.tasks"])
def test_only_who_judges_loads_river_and_numba(process):
    """They take more than a second and 150 MB: the web process and beat do without."""
    code = f"import sys, django; django.setup(); import {process}; print({{'river', 'numba'}} & {{*sys.modules}})"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "conductor.settings"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_worker_has_its_detector_before_the_first_row():
    vars(FOREST).pop("splits", None)
    vars(shipped()).pop("quiet", None)
    assert prepare_to_judge in {receiver() for _, receiver in worker_init.receivers}
    prepare_to_judge()
    assert "splits" in vars(FOREST)
    assert judge_until_news.signatures
