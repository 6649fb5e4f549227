"""The programs of Celery's: what their command lines come to."""

import sys

import pytest

from conductor import program
from conductor.celery import app as worker_app
from conductor.clock import app as clock_app
from conductor.local.pulse import STUCK_SECONDS
from conductor.telling.celery import app as telling_app


@pytest.fixture
def started(monkeypatch):
    """Have workers and clocks tell what they would be, and start none."""
    found = []

    class Started:
        exitcode = 3

        def __init__(self, **options):
            found.append(options)

        def start(self):
            pass

        run = start

    for app, name in [(worker_app, "Worker"), (telling_app, "Worker"), (clock_app, "Beat")]:
        monkeypatch.setattr(app, name, Started, raising=False)
    return found


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    return program.main()


def test_worker_has_processes_and_a_name_of_its_own(monkeypatch, started):
    assert run(monkeypatch, "worker", "--concurrency", "4", "--hostname", "second@here") == 3
    assert (started[0]["concurrency"], started[0]["hostname"]) == (4, "second@here")
    assert "pool" not in started[0], "it is prefork where nobody says otherwise"


def test_who_tells_people_has_threads_and_a_queue_of_its_own(monkeypatch, started):
    assert run(monkeypatch, "telling", "--concurrency", "16") == 3
    assert (started[0]["pool"], started[0]["queues"], started[0]["concurrency"]) == ("threads", ["telling"], 16)
    assert started[0]["hostname"].startswith("telling@")
    assert started[0]["heartbeat_interval"] < STUCK_SECONDS / 4


def test_clock_runs(monkeypatch, started):
    assert run(monkeypatch, "beat") == 0
    assert started == [{"loglevel": "INFO"}]


def test_another_name_is_refused(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "web")
    assert "invalid choice: 'web'" in capsys.readouterr().err
