"""Keep a recording as a session that is over: judged from its first row to its last, and stored as a live one is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction

from conductor import pipeline
from engagement import uploads
from engagement.ingest import RefusedReading, record_rows
from engagement.models import Event, Session, Upload
from engagement.moments import read_zone, write_moment
from engagement.readings import Reading
from engagement.recordings import BadRecording, Hints, Recording, open_recordings
from engagement.sessions import RefusedTimetable, create_session

MAX_KEPT_ROWS = 20_000  # a day of one every 5 s

TOO_LONG = "It takes longer than ten minutes to read: split it."


@dataclass(frozen=True, slots=True)
class Finished:
    """That an upload was dealt with, and the session that it became; None where it became none."""

    session_id: UUID | None = None


def read_next_upload(now: datetime) -> Finished | None:
    """Read the upload that has waited longest; None where none waits, or somebody else reads one.

    What breaks off here, however it does, is begun anew by whoever comes next.
    """
    with uploads.reading_alone() as is_alone:
        upload = uploads.claim_upload(now) if is_alone else None
        if upload is None:
            return None
        try:
            return Finished(_read(upload, now))
        except BadRecording as error:
            uploads.mark_refused(upload, "files", f"{error}.", now)
        except RefusedReading as error:
            words = f"A time in the recording {error.detail}. Is the time zone right?"
            uploads.mark_refused(upload, "files", words, now)
        except RefusedTimetable:
            words = "The session ends before its planned start. Is the time zone right?"
            uploads.mark_refused(upload, "ends_at", words, now)
        except SoftTimeLimitExceeded:
            uploads.mark_refused(upload, "files", TOO_LONG, now)
        return Finished()


def _read(upload: Upload, now: datetime) -> UUID | None:
    hints = Hints(upload.starts_at, read_zone(upload.zone), now=now)
    recording = open_recordings(uploads.open_upload(upload), hints)
    rows = recording.readings()  # no transaction waits for what takes long
    with uploads.finishing(upload) as is_ours:
        if not is_ours:
            return None
        # Where no end was planned, it is when the platform says the session was ended.
        plan = {"starts_at": upload.starts_at, "ends_at": upload.ends_at or recording.ended_at}
        session = keep_rows(upload.event, upload.title, rows, now, **plan)
        uploads.mark_done(upload, session.id, _report(recording, len(rows)), now)
    return session.id


def keep_rows(
    event: Event,
    title: str,
    rows: Sequence[Reading],
    now: datetime,
    *,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> Session:
    """Return the ended session of a recording, with its rows. The caller wakes whoever judges them.

    Everything is stored, or nothing: raises `BadRecording`, `RefusedTimetable` or `RefusedReading`. From the planned
    end on everybody leaves, and nothing is wrong.
    """
    if len(rows) > MAX_KEPT_ROWS:
        raise BadRecording(f"The recording has more than {MAX_KEPT_ROWS:,} rows: split it")
    with transaction.atomic():
        session, _ = create_session(event.id, title=title, starts_at=starts_at, ends_at=ends_at)
        record_rows(session.id, rows, now)
        return pipeline.end_session(session.id, rows[-1].timestamp if rows else now)


def _report(recording: Recording, rows: int) -> dict[str, Any]:
    """Return what the session's page tells once of how it was read."""
    return {
        "format": recording.format,
        "events": len(recording.events),
        "people": recording.people,
        "rows": rows,
        "unused": recording.unused,
        "notes": recording.notes,
        "ended_at": recording.ended_at and write_moment(recording.ended_at),
    }
