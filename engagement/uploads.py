"""Uploads from their arrival to their end: kept in parts, read by one at a time, forgotten with all that they held.

Whoever reads holds a lock of the connection, which ends with it: so an upload that is being read although nobody holds
the lock was left by a reader that died.
"""

import io
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import BinaryIO

from django.db import connection, transaction

from engagement.models import Event, Upload, UploadPart

LOCK_SPACE, LOCK = 0x656E6762, 0  # beside those of `cursors`
PART_BYTES = 1024 * 1024
MOST_UNFINISHED = 5  # of an event: a few hundred megabytes
MOST_ATTEMPTS = 2
KEPT = timedelta(days=1)
# What may hold words out of the files, or of whoever chose them, goes with the files.
FORGOTTEN: dict[str, object] = {"file_names": [], "columns": {}, "question": {}}

TWICE_BROKEN = "It could not be read: twice the reading broke off. Split the recording, and upload a part of it."
TOO_LATE = "It was not read within a day, and the files are gone. Upload it again."
NOT_ANSWERED = "Nobody said within a day how it is to be read, and the files are gone. Upload it again."


class TooManyUploads(Exception):
    """So many uploads of the event wait that it has to wait before there is another one."""


def keep_upload(upload: Upload, files: Sequence[Iterable[bytes]]) -> None:
    """Store a new upload and the bytes of its files, all or nothing. Raises `TooManyUploads`."""
    with transaction.atomic():
        # Two at once may both be the last one: the bound need not be exact, and a lock would hold up others.
        if Upload.objects.unfinished().filter(event_id=upload.event_id).count() >= MOST_UNFINISHED:
            raise TooManyUploads
        upload.save(force_insert=True)
        for number, pieces in enumerate(files):
            for place, content in enumerate(_in_parts(pieces)):
                UploadPart.objects.create(upload=upload, file=number, place=place, content=content)


def _in_parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), PART_BYTES):
            yield piece[start : start + PART_BYTES]


@contextmanager
def reading_alone() -> Iterator[bool]:
    """Tell whether nobody else reads an upload; if so, nobody does until this ends, or the connection with it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_SPACE, LOCK])
        [is_alone] = cursor.fetchone()
    try:
        yield is_alone
    finally:
        if is_alone and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, LOCK])


def claim_upload(now: datetime) -> Upload | None:
    """Return the upload that has waited longest, as one that is being read; None where none waits.

    Under the lock of `reading_alone`. One at which readers died is refused, and the next one is returned.
    """
    with transaction.atomic():
        for upload in Upload.objects.waiting().select_for_update(of=("self",)).order_by("uploaded_at", "id"):
            if upload.attempts < MOST_ATTEMPTS:
                upload.status, upload.reading_at, upload.attempts = Upload.Status.READING, now, upload.attempts + 1
                upload.save(update_fields=["status", "reading_at", "attempts"])
                return upload
            _finish(upload, Upload.Status.REFUSED, now, refused_field="files", refusal=TWICE_BROKEN)
    return None


def is_one_waiting() -> bool:
    return Upload.objects.waiting().exists()


def open_upload(upload: Upload) -> list[tuple[BinaryIO, str]]:
    """Return the files of an upload and their names; nothing of them is on a disk of ours."""
    return [(_open_file(upload, number), name) for number, name in enumerate(upload.file_names)]


def _open_file(upload: Upload, number: int) -> BinaryIO:
    file = io.BytesIO()
    contents = UploadPart.objects.filter(upload=upload, file=number).values_list("content", flat=True)
    for place in count():
        content = contents.filter(place=place).first()
        if content is None:
            break
        file.write(content)
    file.seek(0)
    return file


@contextmanager
def finishing(upload: Upload) -> Iterator[bool]:
    """Tell whether an upload is still ours to finish, in a transaction in which it stays so.

    It is not where it was erased meanwhile, with its event; nor where our connection was lost, and so our lock, and
    somebody else reads it.
    """
    with transaction.atomic():
        ours = Upload.objects.filter(id=upload.id, status=Upload.Status.READING, attempts=upload.attempts)
        is_ours = ours.select_for_update(of=("self",)).exists()
        yield is_ours and Event.objects.filter(id=upload.event_id).exists()


def ask(upload: Upload, question: Mapping[str, object]) -> None:
    """Let an upload that is being read wait for what only a person can say; its files stay until then."""
    with finishing(upload) as is_ours:
        if is_ours:
            upload.status, upload.question, upload.attempts = Upload.Status.ASKED, dict(question), 0
            upload.save(update_fields=["status", "question", "attempts"])


def answer(upload_id: uuid.UUID, *, date_order: str = "", columns: Mapping[str, str] | None = None) -> bool:
    """Have an upload read on, with what was asked; tell whether it still waited for that."""
    with transaction.atomic():
        asked = Upload.objects.filter(id=upload_id, status=Upload.Status.ASKED).select_for_update(of=("self",)).first()
        if asked is None:
            return False
        asked.status, asked.question = Upload.Status.WAITING, {}
        asked.date_order, asked.columns = date_order or asked.date_order, dict(columns or asked.columns)
        asked.save(update_fields=["status", "question", "date_order", "columns"])
        return True


def mark_done(upload: Upload, session_id: uuid.UUID, report: object, now: datetime) -> None:
    """Say what became of an upload, within `finishing`; its words are the session's now."""
    _finish(upload, Upload.Status.DONE, now, session_id=session_id, report=report, title="")


def mark_refused(upload: Upload, field: str, words: str, now: datetime) -> None:
    """Say why an upload became nothing."""
    with finishing(upload) as is_ours:
        if is_ours:
            _finish(upload, Upload.Status.REFUSED, now, refused_field=field, refusal=words)


def _finish(upload: Upload, status: Upload.Status, now: datetime, **fields: object) -> None:
    """Finish an upload; its files go in the same commit."""
    UploadPart.objects.filter(upload=upload)._raw_delete(connection.alias)
    for name, value in {"status": status, "finished_at": now, **FORGOTTEN, **fields}.items():
        setattr(upload, name, value)
    upload.save(update_fields=["status", "finished_at", *FORGOTTEN, *fields])


def forget_uploads(now: datetime) -> None:
    """Refuse what nobody has read within a day, and forget what was finished for as long."""
    with transaction.atomic():
        late = Upload.objects.unfinished().filter(uploaded_at__lte=now - KEPT)
        for upload in late.exclude(reading_at__gt=now - KEPT).select_for_update(of=("self",), skip_locked=True):
            words = NOT_ANSWERED if upload.status == Upload.Status.ASKED else TOO_LATE
            _finish(upload, Upload.Status.REFUSED, now, refused_field="files", refusal=words)
    Upload.objects.filter(finished_at__lte=now - KEPT)._raw_delete(connection.alias)
