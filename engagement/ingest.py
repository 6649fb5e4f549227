"""Record engagement rows: checked against the clock, idempotent, a batch whole or not at all."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any

from django.db import transaction

from engagement import arrays, cursors
from engagement.limits import FIRST_YEAR, MAX_AHEAD
from engagement.models import Session
from engagement.readings import BY_NAME, COUNTS, MEASURED, OPTIONAL, STORED, Reading, SignalKind
from engagement.scoring import find_score

EARLIEST = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)

KINDS = {
    **{name: "int" if BY_NAME[name].kind is SignalKind.PEOPLE else "float8" for name in MEASURED},
    **dict.fromkeys(COUNTS, "int"),
    "poll_age_seconds": "float8",
}
COLUMNS = {
    "session_id": "uuid",
    "timestamp": "timestamptz",
    **{name: KINDS[name] for name in STORED},  # in the order in which rows are written out
    "engagement_score": "float8",
    "late": "bool",
}
SELDOM = (*OPTIONAL, "poll_age_seconds")  # told by few rows

_stored = attrgetter(*STORED)

Row = tuple[uuid.UUID, Reading]  # of which session it is


class SessionEnded(Exception):
    """The session takes no more signals."""


class OtherSource(Exception):
    """The session is told of by `source`: rows of its own and rows that follow from raw events do not mix."""

    def __init__(self, source: str):
        super().__init__(source)
        self.source = source


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

    Raises `Session.DoesNotExist`, `SessionEnded`, `OtherSource` or `RefusedReading`; nothing is stored then. Of several
    readings with one timestamp the first is kept, the others are duplicates.
    """
    check_readings(readings, now)
    with transaction.atomic():
        claim_sessions([session_id], Session.Source.SIGNALS)
        session = cursors.lock_shared(session_id)
        check_source(session, Session.Source.SIGNALS)
        batch = [(session_id, reading) for reading in readings]
        [recorded] = store_batches([batch], {session_id: session.judged_until}, now)
    return recorded


def check_readings(readings: Sequence[Reading], now: datetime) -> None:
    """Raise `RefusedReading` for the first reading that says nothing or lies outside the clock's bounds."""
    for index, reading in enumerate(readings):
        if reading.is_empty:
            raise RefusedReading(index, "", "at least one signal must be known")
        if detail := refuse_moment(reading.timestamp, now):
            raise RefusedReading(index, "timestamp", detail)


def refuse_moment(at: datetime, now: datetime) -> str | None:
    """Return what is wrong with a timestamp; None where nothing is."""
    if at > now + MAX_AHEAD:
        return "is more than five minutes ahead of the server's clock"
    return f"is before {EARLIEST:%Y-%m-%d}" if at < EARLIEST else None


def claim_sessions(session_ids: Collection[uuid.UUID], source: Session.Source) -> None:
    """Make sessions live, and this their source, unless they have one.

    Before any other lock: two first posts that both held a shared one could not both change the row.
    """
    unclaimed = Session.objects.filter(id__in=session_ids, source="").exclude(status=Session.Status.ENDED)
    unclaimed.update(status=Session.Status.LIVE, source=source)


def check_source(session: Session, source: Session.Source) -> None:
    """Raise `SessionEnded` or `OtherSource` unless the session takes what comes from there."""
    if session.is_ended:
        raise SessionEnded
    if session.source != source:
        raise OtherSource(session.source)


def store_batches(
    batches: Sequence[Sequence[Row]], judged_until: Mapping[uuid.UUID, datetime | None], now: datetime
) -> list[Recorded]:
    """Store rows of sessions that the caller holds, and return what became of each batch, as if one came after another.

    Of several rows with one session and timestamp the first is kept, the others are duplicates.
    """
    first: dict[tuple[int, datetime], tuple[int, uuid.UUID, Reading]] = {}  # a number is found sooner than a UUID
    for place, batch in enumerate(batches):
        for session_id, reading in batch:
            first.setdefault((session_id.int, reading.timestamp), (place, session_id, reading))
    # In one order, as two transactions may hold the same rows.
    ordered = sorted(first)
    untils = {id_.int: until for id_, until in judged_until.items()}
    lates = [(until := untils[number]) is not None and at <= until for number, at in ordered]
    ids, readings = [first[key][1] for key in ordered], [first[key][2] for key in ordered]
    accepted, late = [0] * len(batches), [0] * len(batches)
    for id_, at, is_late in insert_rows(ids, readings, lates, now):
        place = first[id_.int, at][0]
        accepted[place] += 1
        late[place] += is_late
    return [Recorded(accepted[place], len(batch) - accepted[place], late[place]) for place, batch in enumerate(batches)]


def insert_rows(
    session_ids: Sequence[uuid.UUID], readings: Sequence[Reading], lates: Sequence[bool], now: datetime
) -> list[tuple[uuid.UUID, datetime, bool]]:
    """Insert what is not there yet; return session, timestamp and `late` of every row that was stored."""
    if not readings:
        return []
    told = dict(zip(STORED, zip(*map(_stored, readings), strict=True), strict=True))
    left_out = tuple(name for name in SELDOM if told[name].count(None) == len(readings))
    columns: list[Any] = [session_ids, [reading.timestamp for reading in readings]]
    columns += [values for name, values in told.items() if name not in left_out]
    columns += [[find_score(reading) for reading in readings], lates]
    return [(session_id, at, late) for session_id, at, late in arrays.execute(_insert(left_out), now, *columns)]


@cache
def _insert(left_out: tuple[str, ...]) -> str:
    """Return the statement without what few rows tell and none of these: an array of nulls costs as much as any."""
    columns = {name: kind for name, kind in COLUMNS.items() if name not in left_out}
    return f"""
        INSERT INTO engagement (received_at, {", ".join(columns)})
        SELECT %b, * FROM UNNEST({", ".join(f"%b::{kind}[]" for kind in columns.values())})
        ON CONFLICT DO NOTHING
        RETURNING session_id, timestamp, late
    """
