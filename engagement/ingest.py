"""Record engagement rows: checked against the clock, idempotent, a batch whole or not at all."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from engagement.models import Session
from engagement.readings import SIGNALS, Reading
from engagement.scoring import score

MAX_AHEAD = timedelta(minutes=5)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # before it, a clock is broken and not a recording old

LOCK_SESSION = "SELECT id, status, judged_until FROM engagement_session WHERE id = %s FOR SHARE"
COLUMNS = ("timestamp", *SIGNALS, "engagement_score", "late")
INSERT_ROWS = f"""
    INSERT INTO engagement (session_id, received_at, {", ".join(COLUMNS)})
    SELECT %s, %s, * FROM UNNEST(
        %s::timestamptz[], %s::float8[], %s::float8[], %s::int[], %s::int[], %s::float8[], %s::float8[],
        %s::float8[], %s::bool[])
    ON CONFLICT DO NOTHING
    RETURNING late
"""


class SessionEnded(Exception):
    """The session takes no more signals."""


class RefusedReading(Exception):
    """A reading of the batch cannot be taken; `index` is its place, `field` and `detail` say why."""

    def __init__(self, index: int, field: str, detail: str):
        super().__init__(f"{field} of reading {index}: {detail}")
        self.index, self.field, self.detail = index, field, detail


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many rows of a batch were stored, were stored already, and came late (these are stored too)."""

    accepted: int
    duplicates: int
    late: int


def record_rows(session_id: uuid.UUID, readings: Sequence[Reading], now: datetime) -> Recorded:
    """Store the rows of one session in one transaction.

    Raises `Session.DoesNotExist`, `SessionEnded` or `RefusedReading`; nothing is stored then. Of several
    readings with one timestamp the first is kept, the others are duplicates.
    """
    check_readings(readings, now)
    rows = {reading.timestamp: reading for reading in reversed(readings)}  # the first of equals wins
    with transaction.atomic():
        # Before the shared lock: two first posts that both held it could not both change the row.
        Session.objects.filter(id=session_id, status=Session.Status.SCHEDULED).update(status=Session.Status.LIVE)
        # Shared with other posts, but not with the sweep: the cursor cannot move between our look at it
        # and our commit, so `late` is exactly "the detector will never be fed this row".
        found = next(iter(Session.objects.raw(LOCK_SESSION, [session_id])), None)
        if found is None:
            raise Session.DoesNotExist
        if found.is_ended:
            raise SessionEnded
        stored = _insert(session_id, sorted(rows.values(), key=lambda r: r.timestamp), found.judged_until, now)
    return Recorded(len(stored), len(readings) - len(stored), sum(stored))


def check_readings(readings: Sequence[Reading], now: datetime) -> None:
    """Raise `RefusedReading` for the first reading that says nothing or lies outside the clock's bounds."""
    for index, reading in enumerate(readings):
        if reading.is_empty:
            raise RefusedReading(index, "", "at least one signal must be known")
        if reading.timestamp > now + MAX_AHEAD:
            raise RefusedReading(index, "timestamp", "is more than five minutes ahead of the server's clock")
        if reading.timestamp < EARLIEST:
            raise RefusedReading(index, "timestamp", f"is before {EARLIEST:%Y-%m-%d}")


def _insert(session_id: uuid.UUID, rows: Sequence[Reading], judged_until: datetime | None, now: datetime) -> list[bool]:
    """Insert what is not there yet; return the `late` flag of every row that was stored."""
    scores = [score(reading) for reading in rows]
    columns: list[list[object]] = [[reading.timestamp for reading in rows]]
    columns += [[getattr(reading, name) for reading in rows] for name in SIGNALS]
    columns.append([None if result is None else result.value for result in scores])
    columns.append([judged_until is not None and reading.timestamp <= judged_until for reading in rows])
    with connection.cursor() as cursor:
        cursor.execute(INSERT_ROWS, [session_id, now, *columns])
        return [late for (late,) in cursor.fetchall()]
