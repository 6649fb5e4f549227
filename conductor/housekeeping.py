"""Erase what was asked for and what was kept for long enough: one short transaction after the other, by the clock.

A step locks its `Erasure` and no more than what it erases, and counts in the same commit. So whatever dies, the next
step goes on from there, and two at once do different ones.
"""

import logging
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from importlib import import_module
from operator import or_
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count, Exists, Max, Min, Model, OuterRef, QuerySet

from anomalies.models import Anomaly, AnomalyAction, DetectorMemory
from conductor.logins import forget_failures
from conductor.models import Attempt, Channel, Connection, Heard, Message, Platform
from engagement import condense, cursors
from engagement.erasure import hide_latecomers
from engagement.models import (
    ApiKey,
    BeaconToken,
    Bucket,
    EngagementRow,
    Erasure,
    Event,
    Invitation,
    Membership,
    PracticeRoom,
    Presence,
    RawEventRow,
    RoomState,
    Session,
    Upload,
    UploadPart,
    Visitor,
)

log = logging.getLogger(__name__)

MOST_ROWS = 5_000  # of one step: some hundredths of a second
MOST_SESSIONS = 50  # of one step, where each has few rows
MOST_ERASURES = 100  # that take turns
WAIT_SECONDS = 1.0  # for a lock; who does not get it is back at the next tick

Kind = Erasure.Kind


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that go with their owner, in the order of an index that begins with it."""

    model: type[Model]
    owner: str = "session"  # the way to it
    order: str = "timestamp"  # empty where an owner has few, which go at once
    key: str = ""  # what tells rows of one place in that order apart; empty where none share one


# Children come before what they hang on. A table that is missing here keeps its session or event from ever going, and
# a test says so before.
RAW_EVENTS = (
    Table(Presence, order="user"),
    Table(Connection, order="user", key="id"),
    Table(Visitor, order="user"),
    Table(RoomState, order=""),
    Table(RawEventRow, key="id"),
)
ROWS = (
    Table(DetectorMemory, order=""),
    Table(PracticeRoom, order=""),
    Table(BeaconToken, order=""),
    Table(EngagementRow),
    Table(Bucket, order="starts_at"),
)
ANOMALIES = (
    Table(Attempt, "message__session", order=""),
    Table(Message, order="id"),  # what was told holds what happened
    Table(AnomalyAction, order="at", key="id"),
    Table(Anomaly, key="id"),
)
PEOPLE: tuple[type[Model], ...] = (Presence, Connection, Visitor)  # what knows somebody, beside what was posted
OF_SESSION = (*ANOMALIES, *RAW_EVENTS, *ROWS)
OF_EVENT = (
    Table(Anomaly, "event", key="id"),
    Table(Attempt, "message__channel__event", order=""),
    Table(Message, "channel__event", order=""),
    Table(Channel, "event", order=""),
    Table(Heard, "platform__event", order=""),
    Table(Platform, "event", order=""),
    Table(Membership, "event", order=""),
    Table(Invitation, "event", order=""),
    Table(ApiKey, "event", order=""),
    Table(UploadPart, "upload__event", order=""),
    Table(Upload, "event", order=""),
)
# What a session may keep for so many days, and where its event says so.
RETAINED = {
    Kind.RAW_EVENTS: ("raw_event_days", RAW_EVENTS),
    Kind.ROWS: ("row_days", ROWS),
    Kind.ANOMALIES: ("anomaly_days", ANOMALIES),
}
# From when a recording was uploaded, where that was after the session: else one of last year would be gone at once.
NOTE_DUE = """
    INSERT INTO engagement_erasure (id, kind, target, "user", requested_at, requested_by, rows_erased)
    SELECT gen_random_uuid(), '{kind}', s.id, '', %s, 'the clock', 0
    FROM engagement_session s JOIN engagement_event e ON e.id = s.event_id
    WHERE e.{days} IS NOT NULL AND s.settled_at IS NOT NULL AND s.erased_at IS NULL
        AND GREATEST(s.ended_at, s.created_at) <= %s - e.{days} * INTERVAL '1 day'
        AND NOT EXISTS (SELECT FROM engagement_erasure x WHERE x.target = s.id AND x.kind = '{kind}')
    ON CONFLICT DO NOTHING
"""


def step(now: datetime, seconds: float) -> bool:
    """Erase for about so long, a bounded step of each erasure in turn; return whether there is more to erase."""
    until = time.monotonic() + seconds
    waiting = list(Erasure.objects.unfinished().order_by("requested_at").values_list("id", flat=True)[:MOST_ERASURES])
    while waiting and time.monotonic() < until:
        waiting = [id_ for id_ in waiting if time.monotonic() >= until or _try_step(id_, now)]
    return Erasure.objects.unfinished().exists()


def note_due(now: datetime) -> int:
    """Have erased what sessions kept for as long as their event says; return how much that is. Cheap where it is 0."""
    noted = 0
    with connection.cursor() as cursor:
        for kind, (days, _) in RETAINED.items():
            cursor.execute(NOTE_DUE.format(kind=kind, days=days), [now, now])
            noted += cursor.rowcount
    return noted


def forget_logins(now: datetime) -> None:
    """Delete what is kept of logins, those that failed among them, and leads nowhere any more."""
    forget_failures(now)
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


def _try_step(erasure_id: uuid.UUID, now: datetime) -> bool:
    """Do a step of an erasure; return whether it is worth while to go on with it at once."""
    try:
        return _step(erasure_id, now)
    except (cursors.Busy, DatabaseError) as error:  # a lock that somebody holds, or a table that is not known here
        log.warning("Erasure %s is left for later: %s", erasure_id, error)
        return False


def _step(erasure_id: uuid.UUID, now: datetime) -> bool:
    with cursors.limited_waiting(WAIT_SECONDS):
        open_ones = Erasure.objects.unfinished().select_for_update(skip_locked=True)
        erasure = open_ones.filter(id=erasure_id).first()
        if erasure is None:  # somebody else is at it
            return False
        condense.hold_off()
        gone, is_done = _erase(erasure, now)
        erasure.advance(gone, now if is_done else None)
    return not is_done


def _erase(erasure: Erasure, now: datetime) -> tuple[int, bool]:
    """Erase `MOST_ROWS` rows at most; return how many, and whether that was all."""
    match erasure.kind:
        case Kind.SESSION:
            return _erase_sessions(Session._base_manager.filter(id=erasure.target))
        case Kind.EVENT:
            return _erase_event(erasure.target, now)
        case Kind.PERSON:
            return _erase_person(erasure)
        case kind:
            gone = _clear(RETAINED[Kind(kind)][1], erasure.target, MOST_ROWS)
            return gone, gone < MOST_ROWS


def _erase_event(event_id: uuid.UUID, now: datetime) -> tuple[int, bool]:
    hide_latecomers(event_id, now)
    gone, is_done = _erase_sessions(Session._base_manager.filter(event_id=event_id))
    if is_done:
        gone += _clear(OF_EVENT, event_id, MOST_ROWS - gone)
        is_done = gone < MOST_ROWS
    if is_done:
        gone += _delete(Event._base_manager.filter(id=event_id))
    return gone, is_done


def _erase_sessions(sessions: QuerySet[Session]) -> tuple[int, bool]:
    """Erase sessions with all that hangs on them; return how many rows went, and whether that was all."""
    gone = 0
    ids = list(sessions.order_by("id").values_list("id", flat=True)[: MOST_SESSIONS + 1])
    for session_id in ids[:MOST_SESSIONS]:
        gone += _clear(OF_SESSION, session_id, MOST_ROWS - gone)
        if gone >= MOST_ROWS:
            return gone, False
        gone += _delete(Session._base_manager.filter(id=session_id))
    return gone, len(ids) <= MOST_SESSIONS and gone < MOST_ROWS


def _clear(tables: Sequence[Table], owner_id: uuid.UUID, most: int) -> int:
    """Delete an owner's rows from table after table; return how many. Fewer than `most` is all there were."""
    gone = 0
    for table in tables:
        if gone < most:
            gone += _delete_some(table, owner_id, most - gone)
    return gone


def _delete_some(table: Table, owner_id: uuid.UUID, most: int) -> int:
    """Delete the first rows of an owner; return how many. Fewer than `most` is all there were."""
    rows = table.model._base_manager.filter(**{table.owner: owner_id})
    if not table.order:
        return _delete(rows)
    gone = 0
    while gone < most and (found := _first(table, rows, most - gone)) is not None:
        gone += _delete(found)
    return gone


def _first(table: Table, rows: QuerySet[Any], most: int) -> QuerySet[Any] | None:
    """Return some of the first rows, by a range: a hypertable then looks into the chunks of that time only."""
    first = rows.order_by(table.order)[:most]
    of_first = first.aggregate(count=Count(table.order), start=Min(table.order), end=Max(table.order))
    count, start, end = of_first["count"], of_first["start"], of_first["end"]
    if not count:
        return None
    if count < most or not table.key:
        return rows.filter(**{f"{table.order}__gte": start, f"{table.order}__lte": end})
    if start < end:  # those at the end may have others beside them
        return rows.filter(**{f"{table.order}__gte": start, f"{table.order}__lt": end})
    # As a list: a planner that thinks the table to be small would look a subquery through for every row.
    return rows.filter(**{table.order: start, f"{table.key}__in": list(first.values_list(table.key, flat=True))})


def _delete(rows: QuerySet[Any]) -> int:
    """Delete in one statement. `delete()` would load and delete what hangs on the rows: here that is an error."""
    return int(rows._raw_delete(rows.db))


def _erase_person(erasure: Erasure) -> tuple[int, bool]:
    """Forget a person in the next session that knows them; return how many rows did, and whether that was the last."""
    session_id = _next_session_of(erasure)
    if session_id is None:
        return 0, True
    try:
        session = cursors.lock_alone(session_id)
    except Session.DoesNotExist:  # it was erased meanwhile
        return 0, False
    if not session.is_ended or RoomState.objects.filter(session_id=session_id).exists():
        gone = _rename(session_id, erasure.user)
    else:
        gone = _unname(session_id, erasure.user)
        if gone >= MOST_ROWS:
            return gone, False
    # Whoever has the old name from here on is somebody new.
    erasure.done_until = session_id
    return gone, False


def _next_session_of(erasure: Erasure) -> uuid.UUID | None:
    sessions = Session.objects.filter(event_id=erasure.target).order_by("id")
    if erasure.done_until is not None:
        sessions = sessions.filter(id__gt=erasure.done_until)
    of_person = {"session": OuterRef("id"), "user": erasure.user}
    is_known = [Exists(RawEventRow.objects.filter(**of_person))]
    is_known += [Exists(model._default_manager.filter(**of_person)) for model in PEOPLE]
    return sessions.filter(reduce(or_, is_known)).values_list("id", flat=True).first()


def _rename(session_id: uuid.UUID, user: str) -> int:
    """Give a person a name that nobody knows, so that the room goes on to count them.

    All at once, however much it is: who has two names in a room is counted twice.
    """
    name = secrets.token_urlsafe(16)
    renamed = RawEventRow.objects.filter(session_id=session_id, user=user).update(user=name)
    for model in PEOPLE:
        renamed += model._default_manager.filter(session_id=session_id, user=user).update(user=name)
    return renamed


def _unname(session_id: uuid.UUID, user: str) -> int:
    """Take a person's name away in a session whose counts are complete; `MOST_ROWS` or more may not be all."""
    raw_events = RawEventRow.objects.filter(session_id=session_id, user=user)
    unnamed = raw_events.filter(id__in=list(raw_events.values_list("id", flat=True)[:MOST_ROWS])).update(user="")
    if unnamed == MOST_ROWS:
        return unnamed
    for model in PEOPLE:
        unnamed += _delete(model._default_manager.filter(session_id=session_id, user=user))
    return unnamed
