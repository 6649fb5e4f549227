"""Record rows or raw events of many sessions in one transaction: all of them, or none.

Each is taken as `ingest` and `events` take it, whatever else comes with it.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from engagement import cursors
from engagement.events import check_events, store_events
from engagement.ingest import Recorded, check_readings, claim_sessions, store_batches
from engagement.models import Session
from engagement.readings import Reading
from engagement.windows import RawEvent

TAKES_NO_MORE = "names a session that has ended and takes no more"
IS_NOT_THERE = "names no session of this event"
OTHER_SOURCE = {
    Session.Source.SIGNALS: "names a session that is told of by signals: it takes no raw events",
    Session.Source.EVENTS: "names a session that is told of by raw events: it takes no signals",
}


@dataclass(frozen=True, slots=True)
class SessionName:
    """How an item names its session: by our id of it, or by the platform's."""

    session_id: uuid.UUID | None = None
    external_id: str | None = None

    @property
    def field(self) -> str:
        return "external_id" if self.session_id is None else "session_id"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an item cannot be taken; `index` is its place."""

    index: int
    field: str
    detail: str


class RefusedSessions(Exception):
    """Some items name sessions that do not take them; nothing is stored."""

    def __init__(self, refusals: Sequence[Refusal]):
        super().__init__(f"{len(refusals)} items")
        self.refusals = refusals


def record_rows_of_many(
    event_id: uuid.UUID, names: Sequence[SessionName], readings: Sequence[Reading], now: datetime
) -> tuple[Recorded, set[uuid.UUID]]:
    """Store rows of an event's sessions; return what became of them, and the sessions.

    Raises `RefusedSessions`, for all items at once, or `RefusedReading`. Of several readings with one timestamp in one
    session the first is kept, the others are duplicates.
    """
    check_readings(readings, now)
    with transaction.atomic():
        sessions = _lock(event_id, names, Session.Source.SIGNALS)
        judged_until = {session.id: session.judged_until for session in sessions}
        batch = [(session.id, reading) for session, reading in zip(sessions, readings, strict=True)]
        [recorded] = store_batches([batch], judged_until, now)
    return recorded, set(judged_until)


def record_events_of_many(
    event_id: uuid.UUID, names: Sequence[SessionName], events: Sequence[RawEvent], now: datetime
) -> tuple[Recorded, set[uuid.UUID]]:
    """Store raw events of an event's sessions; return what became of them, and the sessions.

    Raises `RefusedSessions`, for all items at once, or `RefusedEvent`.
    """
    check_events(events, now)
    with transaction.atomic():
        sessions = _lock(event_id, names, Session.Source.EVENTS)
        by_session: dict[uuid.UUID, list[RawEvent]] = {session.id: [] for session in sessions}
        for session, event in zip(sessions, events, strict=True):
            by_session[session.id].append(event)
        recorded = store_events({session.id: session for session in sessions}, by_session, now)
    return recorded, set(by_session)


def _lock(event_id: uuid.UUID, names: Sequence[SessionName], source: Session.Source) -> list[Session]:
    """Return each item's session, locked and live. Raises `RefusedSessions`."""
    named = _find(event_id, names)
    is_first_post = any(session.source == "" and not session.is_ended for session in named.values())
    # Who will change a session holds it alone from the beginning: two that both held it shared could not.
    alone = is_first_post or source == Session.Source.EVENTS
    locked = cursors.lock_many({session.id for session in named.values()}, alone=alone)
    sessions = [locked.get(named[name].id) if name in named else None for name in names]
    if refusals := list(_refuse(names, sessions, source)):
        raise RefusedSessions(refusals)
    if is_first_post:
        claim_sessions(locked, source)
    return [session for session in sessions if session is not None]


def _find(event_id: uuid.UUID, names: Sequence[SessionName]) -> dict[SessionName, Session]:
    is_named = Q(id__in={name.session_id for name in names if name.session_id is not None})
    is_named |= Q(external_id__in={name.external_id for name in names if name.session_id is None})
    found: dict[SessionName, Session] = {}
    for session in Session.objects.filter(is_named, event_id=event_id).only("id", "external_id", "status", "source"):
        found[SessionName(session.id)] = session
        found[SessionName(None, session.external_id)] = session
    return {name: found[name] for name in names if name in found}


def _refuse(
    names: Sequence[SessionName], sessions: Sequence[Session | None], source: Session.Source
) -> Iterator[Refusal]:
    for index, (name, session) in enumerate(zip(names, sessions, strict=True)):
        if session is None:
            yield Refusal(index, name.field, IS_NOT_THERE)
        elif session.is_ended:
            yield Refusal(index, name.field, TAKES_NO_MORE)
        elif session.source not in ("", source):
            yield Refusal(index, name.field, OTHER_SOURCE[Session.Source(session.source)])
