"""Keep a recording as a session that is over: judged from its first row to its last, and stored as a live one is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction

from conductor import pipeline
from engagement import uploads
from engagement.erasure import erase_sessions
from engagement.ingest import RefusedReading, record_rows
from engagement.models import EngagementRow, Event, Session, Upload
from engagement.moments import read_moment, read_zone, write_moment
from engagement.readings import Reading
from engagement.recordings import BadRecording, DateOrder, Hints, Recording, UnknownColumns, open_recordings
from engagement.recordings.date_order import DatesRead
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
        except UnknownColumns as error:
            uploads.ask(upload, {"columns": error.columns})
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
    recording = open_recordings(uploads.open_upload(upload), _hints(upload, now))
    if recording.dates is not None and recording.dates.is_doubtful:
        uploads.ask(upload, {"dates": _dates(recording.dates)})
        return None
    rows = recording.readings()  # no transaction waits for what takes long
    with uploads.finishing(upload) as is_ours:
        if not is_ours:
            return None
        # Where no end was planned, it is when the platform says the session was ended.
        ends_at = upload.ends_at or recording.ended_at
        session = keep_rows(upload.event, upload.title, rows, now, starts_at=upload.starts_at, ends_at=ends_at)
        uploads.mark_done(upload, session.id, _report(recording, len(rows)), now)
    return session.id


def _hints(upload: Upload, now: datetime) -> Hints:
    order = DateOrder(upload.date_order) if upload.date_order else None
    return Hints(upload.starts_at, read_zone(upload.zone), order, upload.columns, now)


def _dates(dates: DatesRead) -> dict[str, Any]:
    """Return in which order dates were read, and on which day it began in each that is possible."""
    days = {DateOrder.MONTH_FIRST: dates.month_first, DateOrder.DAY_FIRST: dates.day_first}
    return {"order": dates.order, "days": {order: day.isoformat() for order, day in days.items() if day}}


def redate(upload: Upload, by: str, now: datetime) -> Session | None:
    """Return the session of an upload as it is with its dates read in the other order, in place of the one that was.

    None where there is no such session, or no other order. Its rows are the same and the files are gone, so that it is
    made of these. Raises `RefusedReading` where it would lie in the future.
    """
    with transaction.atomic():
        upload = Upload.objects.select_for_update(of=("self",)).get(id=upload.id)
        session = Session.objects.filter(id=upload.session_id).first() if upload.session_id else None
        dates = upload.report.get("dates") or {}
        other = next((order for order in dates.get("days", {}) if order != dates["order"]), None)
        if session is None or other is None:
            return None
        days = [date.fromisoformat(dates["days"][order]) for order in (dates["order"], other)]
        shift = _shift(session.rows.order_by("timestamp").first(), days[1] - days[0], read_zone(upload.zone))
        again = _keep_shifted(session, shift, now)
        erase_sessions([session.id], by, now)
        upload.session_id, upload.report = again.id, upload.report | {"dates": dates | {"order": other}}
        if ended_at := upload.report["ended_at"]:
            upload.report["ended_at"] = write_moment(read_moment(ended_at) + shift)
        upload.save(update_fields=["session_id", "report"])
        return again


def _shift(first: EngagementRow | None, days: timedelta, zone: tzinfo) -> timedelta:
    """Return how far a session moves that is to begin so many days later, at the same time of the day."""
    if first is None:
        return days
    begins: datetime = first.timestamp
    wall = begins.astimezone(zone).replace(tzinfo=None) + days
    return wall.replace(tzinfo=zone).astimezone(UTC) - begins


def _keep_shifted(session: Session, shift: timedelta, now: datetime) -> Session:
    rows = [replace(row.reading, timestamp=row.timestamp + shift) for row in session.rows.order_by("timestamp")]
    starts_at, ends_at = (None if at is None else at + shift for at in (session.starts_at, session.ends_at))
    breaks = [(begin + shift, end + shift) for begin, end in session.planned_breaks]
    return keep_rows(session.event, session.title, rows, now, starts_at=starts_at, ends_at=ends_at, breaks=breaks)


def keep_rows(
    event: Event,
    title: str,
    rows: Sequence[Reading],
    now: datetime,
    *,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    breaks: Sequence[tuple[datetime, datetime]] = (),
) -> Session:
    """Return the ended session of a recording, with its rows. The caller wakes whoever judges them.

    Everything is stored, or nothing: raises `BadRecording`, `RefusedTimetable` or `RefusedReading`. From the planned
    end on everybody leaves, and nothing is wrong.
    """
    if len(rows) > MAX_KEPT_ROWS:
        raise BadRecording(f"The recording has more than {MAX_KEPT_ROWS:,} rows: split it")
    with transaction.atomic():
        session, _ = create_session(event.id, title=title, starts_at=starts_at, ends_at=ends_at, breaks=breaks)
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
        "dates": recording.dates and _dates(recording.dates),
    }
