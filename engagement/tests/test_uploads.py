"""Uploads are kept whole, read by one at a time, and forgotten."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection

from conductor.tests.waiting import wait_until
from engagement.models import Event, Upload, UploadPart
from engagement.uploads import (
    KEPT,
    PART_BYTES,
    TooManyUploads,
    claim_upload,
    finishing,
    forget_uploads,
    is_one_waiting,
    keep_upload,
    mark_done,
    mark_refused,
    open_upload,
    reading_alone,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def event() -> Event:
    return Event.objects.create(name="Spring summit")


@pytest.fixture
def keep(event):
    def keep(*files: list[bytes], **fields) -> Upload:
        names = [f"file {number}" for number in range(len(files))]
        whole = {"event": event, "title": "Rehearsal", "zone": "UTC", "file_names": names, "uploaded_at": NOW}
        upload = Upload(**whole | {"size": sum(len(piece) for file in files for piece in file)} | fields)
        keep_upload(upload, files)
        return upload

    return keep


def test_files_come_back_as_they_were(keep):
    big = bytes(range(256)) * 4096 * 2 + b"and a rest"
    keep([big], [], [b"one ", b"and two"])

    upload = claim_upload(NOW)

    assert [(file.read(), name) for file, name in open_upload(upload)] == [
        (big, "file 0"),
        (b"", "file 1"),
        (b"one and two", "file 2"),
    ]
    assert max(len(part.content) for part in UploadPart.objects.all()) == PART_BYTES


def test_what_came_first_is_read_first(keep):
    second, first = keep([b"b"], uploaded_at=at(1)), keep([b"a"])

    claimed = claim_upload(at(2))
    assert (claimed, claimed.status, claimed.reading_at, claimed.attempts) == (first, "reading", at(2), 1)
    mark_refused(claimed, "files", "No.", at(3))
    assert claim_upload(at(4)) == second


def test_files_are_gone_when_it_is_finished(keep):
    keep([b"words"])
    other = keep([b"others"], uploaded_at=at(1))

    mark_refused(claim_upload(at(2)), "files", "file 0 is empty.", at(3))

    refused = Upload.objects.get(status="refused")
    assert (refused.refused_field, refused.refusal, refused.finished_at) == ("files", "file 0 is empty.", at(3))
    assert refused.file_names == []
    assert [part.upload for part in UploadPart.objects.all()] == [other]


def test_what_was_left_in_the_middle_is_begun_again_once(keep):
    keep([b"words"])
    claim_upload(at(1))
    assert claim_upload(at(2)).attempts == 2
    assert is_one_waiting()

    assert claim_upload(at(3)) is None

    refused = Upload.objects.get()
    assert (refused.status, refused.refused_field) == ("refused", "files")
    assert refused.refusal.startswith("It could not be read: twice the reading broke off.")
    assert not UploadPart.objects.exists()
    assert not is_one_waiting()


def test_one_that_was_left_twice_does_not_hold_up_the_next(keep):
    keep([b"words"], attempts=2, status="reading")
    second = keep([b"more"], uploaded_at=at(1))

    assert claim_upload(at(2)) == second


def test_who_lost_the_upload_to_another_one_finishes_nothing(keep):
    keep([b"words"])
    slow = claim_upload(at(1))
    quick = claim_upload(at(2))

    with finishing(slow) as is_ours:
        assert not is_ours
    mark_refused(slow, "files", "Too late.", at(3))
    with finishing(quick) as is_ours:
        assert is_ours
        mark_done(quick, quick.id, {"rows": 1}, at(4))

    done = Upload.objects.get()
    assert (done.status, done.refusal, done.session_id, done.title) == ("done", "", quick.id, "")


def test_what_was_erased_meanwhile_is_nobodys(keep):
    keep([b"words"])
    upload = claim_upload(at(1))
    Event.objects.update(erased_at=at(2))

    with finishing(upload) as is_ours:
        assert not is_ours


@pytest.mark.django_db(transaction=True)
def test_only_one_reads_and_the_lock_ends_with_its_connection(keep):
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [0x656E6762, 0])
        with reading_alone() as is_alone:
            assert not is_alone

    def may_read() -> bool:
        with reading_alone() as is_alone:
            return is_alone

    wait_until(may_read)  # the server notices that a connection is gone a moment later
    with reading_alone() as is_alone, psycopg.connect(**connection.get_connection_params()) as other:
        assert is_alone
        assert other.execute("SELECT pg_try_advisory_lock(%s, %s)", [0x656E6762, 0]).fetchone() == (False,)


def test_no_more_wait_than_may(keep, event):
    uploads = [keep([b"words"], uploaded_at=at(number)) for number in range(5)]
    with pytest.raises(TooManyUploads):
        keep([b"words"])
    keep([b"words"], event=Event.objects.create(name="Another"))
    assert Upload.objects.filter(event=event).count() == len(uploads)


def test_everything_is_forgotten_after_a_day(keep):
    unread = keep([b"words"])
    young = keep([b"words"], uploaded_at=at(1))
    begun = keep([b"words"], status="reading", attempts=1, reading_at=NOW + KEPT - timedelta(minutes=1))

    forget_uploads(NOW + KEPT)

    unread.refresh_from_db()
    assert (unread.status, unread.refused_field) == ("refused", "files")
    assert unread.refusal.startswith("It was not read within a day")
    assert {part.upload for part in UploadPart.objects.all()} == {young, begun}
    forget_uploads(NOW + 2 * KEPT)
    assert set(Upload.objects.all()) == {young, begun}
