"""Record raw events: a repeat is known by its id, and late is what came after its window had closed."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from engagement import cursors
from engagement.ingest import Recorded, check_source, claim_session, refuse_moment
from engagement.models import Session
from engagement.moments import from_microseconds, to_microseconds
from engagement.room import SECOND, row_end
from engagement.windows import FRESH_FOR, RawEvent, closed_by_clock, closed_by_event

KNOWN_KEYS = "SELECT key FROM raw_events WHERE session_id = %s AND key = ANY(%s)"
INSERT_EVENTS = """
    INSERT INTO raw_events (session_id, received_at, timestamp, type, "user", key, poll, late)
    SELECT %s, %s, * FROM UNNEST(
        %s::timestamptz[], %s::varchar[], %s::varchar[], %s::varchar[], %s::varchar[], %s::bool[])
"""


class RefusedEvent(Exception):
    """An event of the batch cannot be taken; `index` is its place, `field` and `detail` say why."""

    def __init__(self, index: int, field: str, detail: str):
        super().__init__(f"{field} of event {index}: {detail}")
        self.index, self.field, self.detail = index, field, detail


def record_events(session_id: uuid.UUID, events: Sequence[RawEvent], now: datetime) -> Recorded:
    """Store the raw events of one session in one transaction, in the order in which they came.

    Raises `Session.DoesNotExist`, `SessionEnded`, `OtherSource` or `RefusedEvent`; nothing is stored then. An event
    whose id is stored already, or came earlier in the batch, is a duplicate, whatever else it says.
    """
    for index, event in enumerate(events):
        if detail := refuse_moment(event.timestamp, now):
            raise RefusedEvent(index, "timestamp", detail)
    with transaction.atomic():
        claim_session(session_id, Session.Source.EVENTS)
        session = cursors.lock_alone(session_id)
        check_source(session, Session.Source.EVENTS)
        new = _without_repeats(session_id, events)
        lates = _admit(session, new)
        if new:
            _insert(session_id, new, lates, now)
            cursors.move_heard(session_id, session.newest_event_at, session.closed_until, now)
    return Recorded(len(new), len(events) - len(new), sum(lates))


def close_by_clock(now: datetime) -> None:
    """Close the windows that no event closes, in every live session whose newest event is fresh."""
    with transaction.atomic():
        closed: dict[uuid.UUID, datetime] = {}
        for session in cursors.lock_fresh(now - FRESH_FOR):
            assert session.newest_event_at is not None, "it is fresh"
            patience = None if session.patience_seconds is None else round(session.patience_seconds * SECOND)
            lateness = session.lateness_seconds * SECOND
            until = closed_by_clock(to_microseconds(now), to_microseconds(session.newest_event_at), lateness, patience)
            if until is not None and (session.closed_until is None or from_microseconds(until) > session.closed_until):
                closed[session.id] = from_microseconds(until)
        cursors.move_closed(closed)


def close_all(session: Session) -> None:
    """Close every window that holds an event; the caller holds the session's lock."""
    if session.newest_event_at is not None:
        session.closed_until = from_microseconds(row_end(to_microseconds(session.newest_event_at)))
        cursors.move_closed({session.id: session.closed_until})


def _without_repeats(session_id: uuid.UUID, events: Sequence[RawEvent]) -> list[RawEvent]:
    with connection.cursor() as cursor:
        cursor.execute(KNOWN_KEYS, [session_id, [event.id for event in events if event.id is not None]])
        known = {key for (key,) in cursor.fetchall()}
    new = []
    for event in events:
        if event.id not in known:
            new.append(event)
            if event.id is not None:
                known.add(event.id)
    return new


def _admit(session: Session, events: Sequence[RawEvent]) -> list[bool]:
    """Return which events are late, one after the other, and move the session's two cursors with them."""
    lateness = session.lateness_seconds * SECOND
    lates = []
    for event in events:
        is_late = session.closed_until is not None and event.timestamp < session.closed_until
        lates.append(is_late)
        if not is_late and (session.newest_event_at is None or event.timestamp > session.newest_event_at):
            session.newest_event_at = event.timestamp
            closed = from_microseconds(closed_by_event(to_microseconds(event.timestamp), lateness))
            if session.closed_until is None or closed > session.closed_until:
                session.closed_until = closed
    return lates


def _insert(session_id: uuid.UUID, events: Sequence[RawEvent], lates: Sequence[bool], now: datetime) -> None:
    columns: list[Any] = [
        [event.timestamp for event in events],
        [event.type for event in events],
        [event.user or "" for event in events],
        [event.id for event in events],
        [event.poll or "" for event in events],
        list(lates),
    ]
    with connection.cursor() as cursor:
        cursor.execute(INSERT_EVENTS, [session_id, now, *columns])
