"""Record raw events: a repeat is known by its id, and late is what came after its window had closed."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import compress
from typing import Any

from django.db import transaction

from engagement import arrays, cursors
from engagement.ingest import Recorded, check_source, claim_sessions, refuse_moment
from engagement.models import Session
from engagement.moments import from_microseconds, to_microseconds
from engagement.slots import ROW, SECOND, row_end
from engagement.windows import FRESH_FOR, RawEvent, closed_by_clock, closed_by_event

KNOWN_KEYS = """
    SELECT r.session_id, r.key FROM UNNEST(%b::uuid[], %b::varchar[]) AS sent (session_id, key)
    JOIN raw_events r ON r.session_id = sent.session_id AND r.key = sent.key
"""
INSERT_EVENTS = """
    INSERT INTO raw_events (received_at, session_id, timestamp, type, "user", key, poll, late)
    SELECT %b, * FROM UNNEST(
        %b::uuid[], %b::timestamptz[], %b::varchar[], %b::varchar[], %b::varchar[], %b::varchar[], %b::bool[])
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
    check_events(events, now)
    with transaction.atomic():
        claim_sessions([session_id], Session.Source.EVENTS)
        session = cursors.lock_alone(session_id)
        check_source(session, Session.Source.EVENTS)
        return store_events({session_id: session}, {session_id: events}, now)


def check_events(events: Sequence[RawEvent], now: datetime) -> None:
    """Raise `RefusedEvent` for the first event that lies outside the clock's bounds."""
    for index, event in enumerate(events):
        if detail := refuse_moment(event.timestamp, now):
            raise RefusedEvent(index, "timestamp", detail)


def store_events(
    sessions: Mapping[uuid.UUID, Session], events: Mapping[uuid.UUID, Sequence[RawEvent]], now: datetime
) -> Recorded:
    """Store what is new of each session's events, in the order in which they came; the caller holds their locks."""
    outcomes = [outcome for those in store_each(sessions, events, now).values() for outcome in those]
    return count_outcomes(outcomes)


def store_each(
    sessions: Mapping[uuid.UUID, Session], events: Mapping[uuid.UUID, Sequence[RawEvent]], now: datetime
) -> dict[uuid.UUID, list[bool | None]]:
    """Do so, and return of every event whether it came late; None where it was there already."""
    is_new = _find_new(events)
    new = {id_: list(compress(those, is_new[id_])) for id_, those in events.items()}
    lates = {id_: _admit(sessions[id_], new[id_]) for id_ in new}
    moved = [id_ for id_ in new if new[id_]]
    if moved:
        _insert(new, lates, now)
        newest = [sessions[id_].newest_event_at for id_ in moved]
        cursors.move_heard(moved, newest, [sessions[id_].closed_until for id_ in moved], now)
    outcomes: dict[uuid.UUID, list[bool | None]] = {}
    for id_, late in lates.items():
        each = iter(late)
        outcomes[id_] = [next(each) if is_stored else None for is_stored in is_new[id_]]
    return outcomes


def count_outcomes(outcomes: Sequence[bool | None]) -> Recorded:
    """Return how many of them were stored, were stored already, and came late."""
    duplicates = outcomes.count(None)
    return Recorded(len(outcomes) - duplicates, duplicates, outcomes.count(True))


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


def close_all(session: Session, until: datetime | None = None) -> None:
    """Close every window that holds an event, and those of the silence after them where it is known to have lasted.

    That is `until`, of whoever was told of all that happened. The caller holds the session's lock.
    """
    if session.newest_event_at is not None:
        closed = row_end(to_microseconds(session.newest_event_at))
        if until is not None:
            closed = max(closed, to_microseconds(until) // ROW * ROW)
        session.closed_until = from_microseconds(closed)
        cursors.move_closed({session.id: session.closed_until})


def _find_new(events: Mapping[uuid.UUID, Sequence[RawEvent]]) -> dict[uuid.UUID, list[bool]]:
    keyed = [(id_, event.id) for id_, those in events.items() for event in those if event.id is not None]
    known: set[tuple[uuid.UUID, str]] = set()
    if keyed:
        found = arrays.execute(KNOWN_KEYS, [id_ for id_, _ in keyed], [key for _, key in keyed])
        known.update((id_, key) for id_, key in found)
    is_new: dict[uuid.UUID, list[bool]] = {id_: [] for id_ in events}
    for id_, those in events.items():
        for event in those:
            is_new[id_].append(event.id is None or (id_, event.id) not in known)
            if event.id is not None:
                known.add((id_, event.id))
    return is_new


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


def _insert(
    events: Mapping[uuid.UUID, Sequence[RawEvent]], lates: Mapping[uuid.UUID, Sequence[bool]], now: datetime
) -> None:
    flat = [event for those in events.values() for event in those]
    columns: list[Any] = [
        [id_ for id_, those in events.items() for _ in those],
        [event.timestamp for event in flat],
        [event.type for event in flat],
        [event.user or "" for event in flat],
        [event.id for event in flat],
        [event.poll or "" for event in flat],
        [late for id_ in events for late in lates[id_]],
    ]
    arrays.execute(INSERT_EVENTS, now, *columns)
