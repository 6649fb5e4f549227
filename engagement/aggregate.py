"""Aggregate raw events whose windows have closed into engagement rows; the caller holds the sessions' locks.

What a room must remember between two rows is its counts (`RoomState`) and, of those whom new events name, the people
(`Presence`). So a row costs what happened in its 5 s, and never a look at all who are here or at the past.
"""

import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from engagement import arrays
from engagement.ingest import insert_rows
from engagement.models import RoomState, Session
from engagement.moments import EPOCH, from_microseconds, to_microseconds
from engagement.people import Person
from engagement.readings import Reading
from engagement.room import RANK, RankedEvent, Room
from engagement.slots import ROW, SECOND

log = logging.getLogger(__name__)

VERSION = 3
MOST_EVENTS = 2_000  # of a session at once, unless more lie in one slot of 5 s
MOST_IN_SLOT = 50_000  # events of one slot that count: no room sends more in 5 s, and a broken clock piles all it has
FORGET_AT_ONCE = 5_000  # people, and raw events that name one

NEW_EVENTS = """
    SELECT s.id, e.timestamp, e.type, e."user", e.poll FROM engagement_session s CROSS JOIN LATERAL (
        SELECT * FROM raw_events
        WHERE session_id = s.id AND NOT late AND timestamp < s.closed_until
            AND timestamp >= COALESCE(s.aggregated_until, '-infinity')
        ORDER BY timestamp LIMIT %s::int) e
    WHERE s.id = ANY(%b::uuid[])
"""
EVENTS_BETWEEN = """
    SELECT session_id, timestamp, type, "user", poll FROM raw_events
    WHERE session_id = %b AND NOT late AND timestamp >= %b AND timestamp < %b
"""
EVENTS_OF_SLOT = f"{EVENTS_BETWEEN} ORDER BY timestamp, id LIMIT {MOST_IN_SLOT}"
LOAD_PEOPLE = """
    SELECT p.session_id, p."user", is_present, is_focused, left_at, acted_at, votes, signs, chatted_at, talked_at
    FROM UNNEST(%b::uuid[], %b::varchar[]) AS named (session_id, "user")
    JOIN presence p ON p.session_id = named.session_id AND p."user" = named."user"
"""
SAVE_PEOPLE = """
    INSERT INTO presence
        (session_id, "user", is_present, is_focused, left_at, acted_at, votes, signs, chatted_at, talked_at)
    SELECT session_id, "user", is_present, is_focused, left_at, acted_at, votes::int[], signs, chatted_at, talked_at
    FROM UNNEST(%b::uuid[], %b::varchar[], %b::bool[], %b::bool[], %b::timestamptz[], %b::timestamptz[], %b::text[],
        %b::varchar[], %b::timestamptz[], %b::timestamptz[]
    ) AS new (session_id, "user", is_present, is_focused, left_at, acted_at, votes, signs, chatted_at, talked_at)
    ON CONFLICT (session_id, "user") DO UPDATE
    SET is_present = EXCLUDED.is_present, is_focused = EXCLUDED.is_focused, left_at = EXCLUDED.left_at,
        acted_at = EXCLUDED.acted_at, votes = EXCLUDED.votes, signs = EXCLUDED.signs,
        chatted_at = EXCLUDED.chatted_at, talked_at = EXCLUDED.talked_at
"""
# As text, which is read here in a fraction of what JSON takes to become objects through Django.
LOAD_ROOMS = "SELECT session_id, state::text FROM rooms WHERE session_id = ANY(%b::uuid[]) AND version = %s"
SAVE_ROOMS = """
    INSERT INTO rooms (session_id, version, state)
    SELECT id, %s, state::jsonb FROM UNNEST(%b::uuid[], %b::text[]) AS new (id, state)
    ON CONFLICT (session_id) DO UPDATE SET version = EXCLUDED.version, state = EXCLUDED.state
"""

FORGET_PRESENT = """
    DELETE FROM {table} WHERE session_id = %s AND "user" IN (
        SELECT "user" FROM {table} WHERE session_id = %s LIMIT %s)
"""
KNOWS_PEOPLE = ("presence", "beacon_visitors")
# By the index of their times; what has forgotten already is not named again.
FORGET_NAMED = """
    WITH named AS (
        SELECT id, timestamp FROM raw_events
        WHERE session_id = %s AND timestamp >= COALESCE(%s::timestamptz, '-infinity') AND "user" <> ''
        ORDER BY timestamp LIMIT %s
    ), forgotten AS (UPDATE raw_events r SET "user" = '' FROM named WHERE r.id = named.id)
    SELECT count(*), max(timestamp) FROM named
"""

People = dict[str, Person]


def aggregate(sessions: Sequence[Session], now: datetime, most_rows: int, most_events: int = MOST_EVENTS) -> None:
    """Store the rows of closed windows, oldest first, so many of a session at most; move each session's cursor.

    Whoever holds its lock writes that (see `cursors.sweeping`).
    Whoever calls again until `aggregated_until` is `closed_until` has them all.
    """
    sessions = [session for session in sessions if session.has_closed_windows]
    if not sessions:
        return
    entries, untils = _new_entries(sessions, most_events)
    rooms, rebuilt = _load_rooms(sessions)
    people = _load_people({id_: entries[id_] for id_ in entries if id_ not in rebuilt})
    before = {id_: {user: replace(person) for user, person in those.items()} for id_, those in people.items()}
    people |= rebuilt
    rows: list[tuple[uuid.UUID, Reading]] = []
    for session in sessions:
        room, until = rooms[session.id], untils[session.id]
        due = sorted(entry for entry in entries[session.id] if entry[0] < until)
        readings = room.advance(due, people.setdefault(session.id, {}), until, most=most_rows)
        if len(readings) == most_rows and room.next is not None:
            until = min(until, room.next - ROW)  # the rest of the events is read again
        session.aggregated_until = from_microseconds(until)
        session.patience_seconds = None if room.patience is None else room.patience / SECOND
        rows += [(session.id, reading) for reading in readings if not reading.is_empty]
    _save_people(people, before)
    _save(sessions, rooms)
    insert_rows([id_ for id_, _ in rows], [reading for _, reading in rows], [False] * len(rows), now)


def forget_people(session: Session) -> bool:
    """Drop some of what an ended and judged session needs no more; return whether nothing of it is left.

    The rows and the raw events stay; these forget who did them. The caller holds the session's lock.
    """
    with connection.cursor() as cursor:
        n_present = 0
        for table in KNOWS_PEOPLE:
            cursor.execute(FORGET_PRESENT.format(table=table), [session.id, session.id, FORGET_AT_ONCE])
            n_present = max(n_present, cursor.rowcount)
        cursor.execute(FORGET_NAMED, [session.id, session.forgotten_until, FORGET_AT_ONCE])
        n_named, until = cursor.fetchone()
    session.forgotten_until = until or session.forgotten_until
    RoomState.objects.filter(session_id=session.id).delete()
    return bool(max(n_present, n_named) < FORGET_AT_ONCE)


def _new_entries(
    sessions: Sequence[Session], most: int
) -> tuple[dict[uuid.UUID, list[RankedEvent]], dict[uuid.UUID, int]]:
    """Return each session's events in closed windows, and until when these are all there are.

    Where there are more, those of the first slots.
    """
    entries: dict[uuid.UUID, list[RankedEvent]] = {session.id: [] for session in sessions}
    untils: dict[uuid.UUID, int] = {}
    for id_, entry in _read(NEW_EVENTS, [most, list(entries)]):
        entries[id_].append(entry)
    for session in sessions:
        found = entries[session.id]
        assert session.closed_until is not None, "only closed windows are aggregated"
        untils[session.id] = to_microseconds(session.closed_until)
        if len(found) < most:
            continue
        first, last = _slot(min(found)), _slot(max(found))
        if first == last:
            entries[session.id] = _read_slot(session.id, first)
            last = first + ROW
        untils[session.id] = min(untils[session.id], last)
    return entries, untils


def _read_slot(session_id: uuid.UUID, start: int) -> list[RankedEvent]:
    between = [session_id, from_microseconds(start), from_microseconds(start + ROW)]
    found = [entry for _, entry in _read(EVENTS_OF_SLOT, between)]
    if len(found) == MOST_IN_SLOT:
        log.warning("session %s has %d events or more in 5 s: the rest does not count", session_id, MOST_IN_SLOT)
    return found


def _slot(entry: RankedEvent) -> int:
    return entry[0] // ROW * ROW


def _read(query: str, parameters: Sequence[Any]) -> Iterable[tuple[uuid.UUID, RankedEvent]]:
    for id_, timestamp, kind, user, poll in arrays.execute(query, *parameters):
        yield id_, (to_microseconds(timestamp), RANK[kind], user, poll)


def _load_rooms(sessions: Sequence[Session]) -> tuple[dict[uuid.UUID, Room], dict[uuid.UUID, People]]:
    """Return every session's room, and all the people of those that had to be rebuilt."""
    stored = dict(arrays.execute(LOAD_ROOMS, [session.id for session in sessions], VERSION))
    rooms: dict[uuid.UUID, Room] = {}
    rebuilt: dict[uuid.UUID, People] = {}
    for session in sessions:
        if session.id in stored:
            rooms[session.id] = Room.unpack(msgspec.json.decode(stored[session.id]))
        elif session.aggregated_until is None:
            rooms[session.id] = Room()
        else:
            log.info("rebuilding the room of session %s from its raw events", session.id)
            rooms[session.id], rebuilt[session.id] = Room(), {}
            past = sorted(entry for _, entry in _read(EVENTS_BETWEEN, [session.id, EPOCH, session.aggregated_until]))
            rooms[session.id].advance(past, rebuilt[session.id], to_microseconds(session.aggregated_until))
    return rooms, rebuilt


def _load_people(entries: Mapping[uuid.UUID, Sequence[RankedEvent]]) -> dict[uuid.UUID, People]:
    """Return those whom the events name and who were known before."""
    named = {(id_, user) for id_, found in entries.items() for _, _, user, _ in found if user}
    people: dict[uuid.UUID, People] = {id_: {} for id_ in entries}
    if named:
        ids, users = zip(*named, strict=True)
        for id_, user, *stored in arrays.execute(LOAD_PEOPLE, list(ids), list(users)):
            people[id_][user] = _person(*stored)
    return people


def _person(
    is_present: bool,
    is_focused: bool,
    left_at: datetime | None,
    acted_at: datetime | None,
    votes: list[int],
    signs: str,
    chatted_at: datetime | None,
    talked_at: datetime | None,
) -> Person:
    return Person(
        is_present,
        is_focused,
        _moment(left_at),
        _moment(acted_at),
        votes,
        frozenset(signs.split()),
        _moment(chatted_at),
        _moment(talked_at),
    )


def _save_people(people: Mapping[uuid.UUID, People], before: Mapping[uuid.UUID, People]) -> None:
    changed = [
        (id_, user, person)
        for id_, those in people.items()
        for user, person in those.items()
        if person != before.get(id_, {}).get(user)
    ]
    if not changed:
        return
    columns: list[Any] = [
        [id_ for id_, _, _ in changed],
        [user for _, user, _ in changed],
        [person.is_present for _, _, person in changed],
        [person.is_focused for _, _, person in changed],
        [_at(person.left_at) for _, _, person in changed],
        [_at(person.acted_at) for _, _, person in changed],
        ["{" + ",".join(map(str, person.votes)) + "}" for _, _, person in changed],
        [" ".join(sorted(person.signs)) for _, _, person in changed],
        [_at(person.chatted_at) for _, _, person in changed],
        [_at(person.talked_at) for _, _, person in changed],
    ]
    arrays.execute(SAVE_PEOPLE, *columns)


def _save(sessions: Sequence[Session], rooms: Mapping[uuid.UUID, Room]) -> None:
    ids = [session.id for session in sessions]
    states = [msgspec.json.encode(rooms[id_].pack()).decode() for id_ in ids]
    arrays.execute(SAVE_ROOMS, VERSION, ids, states)


def _moment(at: datetime | None) -> int | None:
    return None if at is None else to_microseconds(at)


def _at(moment: int | None) -> datetime | None:
    return None if moment is None else from_microseconds(moment)
