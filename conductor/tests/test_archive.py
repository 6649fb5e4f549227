"""An upload becomes a session whole or not at all, whatever dies while it is read."""

import json
import signal
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import OperationalError
from django.utils.timezone import now

from anomalies.tests.rooms import healthy_room
from conductor import archive, tasks
from conductor.tests import stage, sweeping
from conductor.tests.waiting import wait_until
from engagement.models import EngagementRow, Event, Session, Upload, UploadPart
from engagement.recordings.jsonl import signals_object
from engagement.uploads import keep_upload

pytestmark = pytest.mark.django_db(transaction=True)

ROOM = healthy_room(minutes=5)
ROWS = "\n".join(json.dumps(signals_object(row)) for row in ROOM).encode()


def keep(event: Event, *files: bytes, **fields) -> Upload:
    names = [f"file {number}" for number in range(len(files))]
    upload = Upload(
        event=event, zone="UTC", size=9, uploaded_at=now(), **{"title": "Room", "file_names": names, **fields}
    )
    keep_upload(upload, [[file] for file in files])
    return upload


def stored() -> tuple[int, int]:
    return Session.objects.count(), EngagementRow.objects.count()


def test_an_upload_becomes_a_session_that_is_over(event):
    upload = keep(event, ROWS)

    finished = archive.read_next_upload(stage.NOW)

    session = Session.objects.get()
    assert finished == archive.Finished(session.id)
    assert (session.title, session.status, session.rows.count()) == ("Room", "ended", len(ROOM))
    upload.refresh_from_db()
    assert (upload.status, upload.session_id, upload.finished_at) == ("done", session.id, stage.NOW)
    assert upload.report["rows"] == len(ROOM)
    assert not UploadPart.objects.exists()
    assert archive.read_next_upload(stage.NOW) is None


def test_what_breaks_off_stores_nothing_and_is_begun_again(event, monkeypatch):
    upload = keep(event, ROWS)
    with monkeypatch.context() as patched:
        patched.setattr(archive, "_report", broken)  # after the rows, before the commit
        with pytest.raises(OperationalError):
            archive.read_next_upload(stage.NOW)
    assert stored() == (0, 0)

    archive.read_next_upload(stage.NOW)

    assert stored() == (1, len(ROOM))
    upload.refresh_from_db()
    assert (upload.status, upload.attempts) == ("done", 2)


def test_what_breaks_off_twice_is_refused(event, monkeypatch):
    upload = keep(event, ROWS)
    monkeypatch.setattr(archive, "_report", broken)
    for _ in range(2):
        with pytest.raises(OperationalError):
            archive.read_next_upload(stage.NOW)

    assert archive.read_next_upload(stage.NOW) is None

    upload.refresh_from_db()
    assert (upload.status, stored()) == ("refused", (0, 0))
    assert "twice the reading broke off" in upload.refusal


def broken(*_: object) -> None:
    raise OperationalError("the database went away")


def test_what_takes_too_long_is_refused_with_words(event, monkeypatch):
    def run_out(*_: object) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(archive, "_report", run_out)
    upload = keep(event, ROWS)

    assert archive.read_next_upload(stage.NOW) == archive.Finished(None)

    upload.refresh_from_db()
    assert (upload.status, upload.refusal, stored()) == ("refused", archive.TOO_LONG, (0, 0))
    assert tasks.READING_SECONDS == 600, "as the words say"


def test_what_was_erased_while_it_was_read_stays_erased(event, monkeypatch):
    keep(event, ROWS)
    read = archive.open_recordings

    def erase_and_read(*args, **options):
        Event.objects.update(erased_at=stage.NOW)
        return read(*args, **options)

    monkeypatch.setattr(archive, "open_recordings", erase_and_read)
    assert archive.read_next_upload(stage.NOW) == archive.Finished(None)
    assert Session._base_manager.count() == 0


def test_reading_has_limits_of_its_own_and_goes_behind_all_others():
    task = tasks.read_upload
    assert tasks.READING_SECONDS == task.soft_time_limit < task.time_limit
    routes = settings.CELERY_TASK_ROUTES.items()
    priorities = {name: route["priority"] for name, route in routes if "queue" not in route}
    own = priorities.pop(task.name)
    assert own > max(priorities.values())
    assert settings.CELERY_BEAT_SCHEDULE["reading"]["task"] == task.name


def test_one_reading_leads_to_the_next(event, monkeypatch):
    sweeping.begin_anew()
    sent = []
    monkeypatch.setattr(tasks, "_send", lambda task, *args: sent.append(task.name))
    keep(event, ROWS)
    keep(event, ROWS)

    tasks.read_upload.apply()
    assert sent.count("conductor.tasks.read_upload") == 1
    assert sent.count("conductor.tasks.advance") == 1
    sent.clear()
    tasks.read_upload.apply()
    assert "conductor.tasks.read_upload" not in sent
    assert stored() == (2, 2 * len(ROOM))


LONG = "\n".join(
    json.dumps(
        {"type": "chat", "timestamp": f"2026-03-02T09:{n // 3600 % 60:02}:{n // 60 % 60:02}Z", "user": f"u{n % 997}"}
    )
    for n in range(150_000)
).encode()


def test_worker_that_is_killed_in_the_middle_leaves_nothing_and_the_clock_has_it_read(event, stack):
    upload = keep(event, LONG)  # nobody is woken for it

    def is_being_read() -> bool:
        return Upload.objects.get(id=upload.id).status == "reading"

    wait_until(is_being_read)
    worker = stack.processes.pop("worker")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert is_being_read(), "the worker was killed in the middle of its work"
    assert stored() == (0, 0)

    stack.start_worker()
    wait_until(lambda: not is_being_read(), seconds=120)

    upload.refresh_from_db()
    assert (upload.status, upload.attempts) == ("done", 2)
    session = Session.objects.get()
    assert (session.id, session.status) == (upload.session_id, "ended")
    assert session.ended_at - session.rows.first().timestamp < timedelta(hours=1)
    wait_until(lambda: Session.objects.get().settled_at is not None)
