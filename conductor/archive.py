"""Keep a recording as a session that is over: judged from its first row to its last, and stored as a live one is."""

from datetime import datetime

from django.db import transaction

from conductor import pipeline
from engagement.ingest import record_rows
from engagement.models import Event, Session
from engagement.recordings import BadRecording, Recording
from engagement.sessions import create_session

MAX_KEPT_ROWS = 20_000  # a day of one every 5 s


def keep_recording(
    event: Event,
    title: str,
    recording: Recording,
    now: datetime,
    *,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> Session:
    """Return the ended session of a recording, with its rows. The caller wakes whoever judges them.

    Everything is stored, or nothing: raises `BadRecording`, `RefusedTimetable` or `RefusedReading`. Where no planned
    end is given, that is when the platform says the session was ended: from then on everybody leaves, and nothing is
    wrong.
    """
    rows = recording.readings()
    if len(rows) > MAX_KEPT_ROWS:
        raise BadRecording(f"The recording has more than {MAX_KEPT_ROWS:,} rows: split it")
    with transaction.atomic():
        session, _ = create_session(event.id, title=title, starts_at=starts_at, ends_at=ends_at or recording.ended_at)
        record_rows(session.id, rows, now)
        return pipeline.end_session(session.id, rows[-1].timestamp if rows else now)
