"""How far a session has come: its cursors, the lock under which each moves, and what waits behind them.

| cursor | says | moved by |
| --- | --- | --- |
| `newest_event_at` | when the newest raw event happened | posts of raw events |
| `closed_until` | where the newest closed window ends | posts of raw events, the clock, the session's end |
| `aggregated_until`, `patience_seconds` | where the newest aggregated one does; how long silence is one | sweeps |
| `judged_until` | the newest row that the detector has seen | sweeps |
| `polling` | what the row after that one must know of polls | sweeps |
| `heard_at` | when that row was judged | sweeps, and the first post of raw events |
| `detector_state` | what the detector says since | sweeps, and the tick that notices silence |
| `is_behind` | whether a sweep left some of what waits | sweeps |
| `forgotten_until` | how far the raw events of an ended session have forgotten people | sweeps |
| `settled_at` | when nothing was left to do for an ended session | sweeps |

A session's row in the database is the lock. Who moves a cursor holds it alone; posts of signals move none and hold it
shared. The moves write what they are given: whether it is right, the caller knows, who holds the lock. A sweep moves
what it holds in memory, and `sweeping` writes all of it at once: each row that is written is written as a whole.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from engagement import arrays
from engagement.models import EngagementRow, Session


def _in_order(*names: str) -> list[str]:
    """Return fields of a session in the model's order."""
    return [field.attname for field in Session._meta.concrete_fields if field.attname in names]


# Shared with other posts, but not with a sweep: the cursor cannot move between our look at it and our commit, so `late`
# is exactly "the detector will never be fed this row".
LOCK_SHARED = """
    SELECT id, status, source, judged_until FROM engagement_session WHERE id = %s AND erased_at IS NULL FOR SHARE
"""
# Alone, not shared: whether an event is late depends on all that came before it.
LOCK_ALONE = """
    SELECT id, status, source, lateness_seconds, newest_event_at, closed_until FROM engagement_session
    WHERE id = %s AND erased_at IS NULL FOR NO KEY UPDATE
"""
LOCK_MANY = """
    SELECT id, status, source, judged_until, lateness_seconds, newest_event_at, closed_until FROM engagement_session
    WHERE id = ANY(%s) AND erased_at IS NULL ORDER BY id
"""
FREE_FIELDS = _in_order("id", "event_id", "lateness_seconds", "judged_until", "newest_event_at", "closed_until")
# Those that take what comes and that nobody holds: one that is swept for long does not make others wait.
# Each is looked up by its key, and LIMIT holds the planner to that: where many sessions have come since it counted
# them, it takes them for none that are live, and would compare each of the table with each that is wanted.
FIND_FREE = f"""
    SELECT s.* FROM UNNEST(%b::uuid[], %b::uuid[]) AS wanted (id, event_id) CROSS JOIN LATERAL (
        SELECT {", ".join(FREE_FIELDS)} FROM engagement_session
        WHERE id = wanted.id AND event_id = wanted.event_id AND status = 'live' AND source = %s AND erased_at IS NULL
        LIMIT 1 {{lock}}) s
"""
# What is locked is being posted to or swept just now, and there is a next tick. In order, so that two ticks at once
# cannot wait for one another.
LOCK_FRESH = """
    SELECT * FROM engagement_session WHERE status = 'live' AND source = 'events' AND newest_event_at > %s
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""

IS_UNJUDGED = "e.timestamp > COALESCE(s.judged_until, '-infinity')"
IS_BEHIND = f"""
    (COALESCE(s.closed_until, '-infinity') > COALESCE(s.aggregated_until, '-infinity')
        OR EXISTS (SELECT FROM engagement e WHERE e.session_id = s.id AND {IS_UNJUDGED}))
"""
# As the index of the sessions has it. An ended session waits until it is settled, whatever else waits in it.
IS_UNSETTLED = "s.settled_at IS NULL AND NOT s.status = 'scheduled'"
IS_DUE = f"{IS_UNSETTLED} AND (s.status = 'ended' OR {IS_BEHIND})"
# Of candidates each event in its turn, and of an event the session that stands first among them: who sends much waits
# behind who sends little, and what is over behind what goes on. What somebody holds is left to wait. They are locked in
# the order of their ids, as everywhere. Each is looked up by its id, so that of all sessions none is read that does not
# wait: that is what `LATERAL` and `OFFSET 0` are for. One that is erased meanwhile is settled: the lock looks at that
# again. A sweep asks for none of the other fields.
LOADED_FIELDS = [
    field.attname for field in Session._meta.concrete_fields if field.name not in ("title", "external_id", "created_at")
]
LOCK_DUE_OF_MANY = f"""
    WITH due AS (
        SELECT s.id FROM (
            SELECT s.id, s.status, waiting.place, row_number() OVER (
                PARTITION BY s.event_id, s.status = 'ended' ORDER BY waiting.place) AS turn
            FROM UNNEST(%b::uuid[]) WITH ORDINALITY AS waiting (id, place) CROSS JOIN LATERAL (
                SELECT id, event_id, status FROM engagement_session
                WHERE id = waiting.id AND settled_at IS NULL AND (%s::bool OR NOT is_behind) OFFSET 0) s) s
        ORDER BY s.status = 'ended', s.turn, s.place LIMIT %s::int)
    SELECT s.* FROM (SELECT id FROM due ORDER BY id) due CROSS JOIN LATERAL (
        SELECT {", ".join(LOADED_FIELDS)} FROM engagement_session
        WHERE id = due.id AND settled_at IS NULL FOR NO KEY UPDATE SKIP LOCKED) s
"""
# Where all of them are taken, nobody has to wait for a turn.
LOCK_DUE = f"""
    SELECT s.* FROM (SELECT id FROM UNNEST(%b::uuid[]) AS waiting (id) ORDER BY id) due CROSS JOIN LATERAL (
        SELECT {", ".join(LOADED_FIELDS)} FROM engagement_session
        WHERE id = due.id AND settled_at IS NULL AND (%s::bool OR NOT is_behind) FOR NO KEY UPDATE SKIP LOCKED) s
"""
FIND_DUE = f"SELECT s.id, s.is_behind FROM engagement_session s WHERE {IS_DUE} ORDER BY s.heard_at NULLS FIRST LIMIT %s"
SILENT_SINCE = f"""
    SELECT s.id FROM engagement_session s
    WHERE s.status = 'live' AND GREATEST(s.heard_at, s.starts_at) < %s AND s.heard_at IS NOT NULL AND NOT {IS_BEHIND}
    ORDER BY s.heard_at LIMIT %s
"""
ROW_FIELDS = [field.attname for field in EngagementRow._meta.concrete_fields]
UNJUDGED_ROWS = f"""
    SELECT new.* FROM engagement_session s CROSS JOIN LATERAL (
        SELECT {", ".join(f"e.{name}" for name in ROW_FIELDS)} FROM engagement e
        WHERE e.session_id = s.id AND {IS_UNJUDGED} ORDER BY e.timestamp LIMIT %s::int) new
    WHERE s.id = ANY(%b::uuid[]) ORDER BY new.session_id, new.timestamp
"""
# The rows' key finds those behind the cursor.
BACKLOG = f"""
    SELECT COALESCE(sum(waiting.rows), 0)::bigint,
        COALESCE(extract(epoch FROM clock_timestamp() - min(waiting.since)), 0)::float8
    FROM engagement_session s CROSS JOIN LATERAL (
        SELECT count(*) AS rows, min(e.received_at) AS since FROM engagement e
        WHERE e.session_id = s.id AND {IS_UNJUDGED}) waiting
    WHERE {IS_UNSETTLED}
"""
# Since when a session waits to be looked at: since its oldest row came, or since it was last looked at. One of which a
# sweep left some, as it was sent a week in one minute, waits behind all others by right and is not neglected.
NEGLECT = f"""
    SELECT COALESCE(extract(epoch FROM clock_timestamp() - min(greatest(s.heard_at, waiting.since))), 0)::float8
    FROM engagement_session s CROSS JOIN LATERAL (
        SELECT least(
            (SELECT e.received_at FROM engagement e WHERE e.session_id = s.id AND {IS_UNJUDGED}
                ORDER BY e.timestamp LIMIT 1),
            (SELECT r.received_at FROM raw_events r
                WHERE r.session_id = s.id AND r.timestamp < s.closed_until
                    AND r.timestamp >= COALESCE(s.aggregated_until, '-infinity')
                ORDER BY r.timestamp LIMIT 1)
        ) AS since) waiting
    WHERE {IS_UNSETTLED} AND s.status = 'live' AND NOT s.is_behind AND waiting.since IS NOT NULL
"""

MOVE_HEARD = """
    UPDATE engagement_session s
    SET newest_event_at = new.newest_event_at, closed_until = new.closed_until, heard_at = COALESCE(s.heard_at, %s)
    FROM UNNEST(%b::uuid[], %b::timestamptz[], %b::timestamptz[]) AS new (id, newest_event_at, closed_until)
    WHERE s.id = new.id
"""
MOVE_CLOSED = """
    UPDATE engagement_session s SET closed_until = new.closed_until
    FROM UNNEST(%b::uuid[], %b::timestamptz[]) AS new (id, closed_until) WHERE s.id = new.id
"""
# What sweeps move, and of which kind it is. Nobody else moves these while a sweep holds the session.
SWEPT = {
    "judged_until": "timestamptz",
    "detector_state": "varchar",
    "heard_at": "timestamptz",
    "polling": "jsonb",
    "aggregated_until": "timestamptz",
    "patience_seconds": "float8",
    "is_behind": "bool",
    "forgotten_until": "timestamptz",
    "settled_at": "timestamptz",
}
_swept = attrgetter(*SWEPT)


def lock_shared(session_id: UUID) -> Session:
    """Return a session whose `judged_until` stands still until the commit. Raises `Session.DoesNotExist`."""
    return _lock(LOCK_SHARED, session_id)


def lock_alone(session_id: UUID) -> Session:
    """Return a session that is ours until the commit. Raises `Session.DoesNotExist`."""
    return _lock(LOCK_ALONE, session_id)


def lock_fresh(since: datetime) -> Sequence[Session]:
    """Return the live sessions, but those in use, whose newest raw event happened after `since`."""
    return list(Session.objects.raw(LOCK_FRESH, [since]))


def lock_many(session_ids: Collection[UUID], *, alone: bool) -> dict[UUID, Session]:
    """Return sessions that are ours until the commit, or whose `judged_until` stands still; those that are there.

    In the order of their ids, as sweeps do, so that nobody waits for one another.
    """
    strength = "NO KEY UPDATE" if alone else "SHARE"
    return {session.id: session for session in Session.objects.raw(f"{LOCK_MANY} FOR {strength}", [list(session_ids)])}


def lock_free(wanted: Collection[tuple[UUID, UUID]], source: str, *, alone: bool) -> dict[UUID, Session]:
    """Return those live sessions of this source that nobody holds, ours until the commit or held shared; wait for none.

    Each is wanted by its id and its event's.
    """
    strength = "NO KEY UPDATE" if alone else "SHARE"
    return _read_free(FIND_FREE.format(lock=f"FOR {strength} SKIP LOCKED"), wanted, source)


def find_takers(wanted: Collection[tuple[UUID, UUID]], source: str) -> set[UUID]:
    """Return those of them that are live and of this source, whoever holds them."""
    return set(_read_free(FIND_FREE.format(lock=""), wanted, source)) if wanted else set()


def lock_due(session_ids: Sequence[UUID], most: int, *, with_behind: bool = True) -> Sequence[Session]:
    """Return so many of these sessions that nobody else holds: each event in its turn, those first that stand first."""
    if len(session_ids) <= most:
        return _read_sessions(LOCK_DUE, LOADED_FIELDS, list(session_ids), with_behind)
    return _read_sessions(LOCK_DUE_OF_MANY, LOADED_FIELDS, list(session_ids), with_behind, most)


def find_silent_since(at: datetime, most: int) -> list[UUID]:
    """Return live sessions of which nothing was judged since then, though nothing waits: nothing came.

    One that begins later by its plan is waited for: somebody may have looked in the day before.
    """
    with connection.cursor() as cursor:
        cursor.execute(SILENT_SINCE, [at, most])
        return [session_id for (session_id,) in cursor.fetchall()]


def find_due(most: int) -> tuple[list[UUID], list[UUID]]:
    """Return the sessions for which something waits, so many: where it is new, and where a sweep has left it."""
    with connection.cursor() as cursor:
        cursor.execute(FIND_DUE, [most])
        found = cursor.fetchall()
    return [id_ for id_, is_behind in found if not is_behind], [id_ for id_, is_behind in found if is_behind]


def load_unjudged_rows(session_ids: Sequence[UUID], most: int) -> list[list[EngagementRow]]:
    """Return the rows that wait of each session, oldest first, so many of each at most."""
    # By a number, which is found sooner than a UUID.
    rows: dict[int, list[EngagementRow]] = {session_id.int: [] for session_id in session_ids}
    for row in arrays.load(EngagementRow, ROW_FIELDS, UNJUDGED_ROWS, most, list(session_ids)):
        rows[row.session_id.int].append(row)
    return list(rows.values())


def measure_backlog() -> tuple[int, float]:
    """Return how many rows wait, and for how many seconds the oldest of them has."""
    rows, seconds = _ask(BACKLOG)
    return rows, seconds


def measure_neglect() -> float:
    """Return for how many seconds the session that has waited longest has not been looked at."""
    [seconds] = _ask(NEGLECT)
    return float(seconds)


def move_heard(
    session_ids: Sequence[UUID],
    newest_event_at: Sequence[datetime | None],
    closed_until: Sequence[datetime | None],
    now: datetime,
) -> None:
    """Say what a post of raw events brought."""
    arrays.execute(MOVE_HEARD, now, session_ids, newest_event_at, closed_until)


def move_closed(closed_until: Mapping[UUID, datetime]) -> None:
    """Say where the newest closed window of each session ends."""
    arrays.execute(MOVE_CLOSED, list(closed_until), list(closed_until.values()))


@contextmanager
def sweeping(sessions: Sequence[Session]) -> Iterator[None]:
    """Write at the end what was moved in these sessions, each of them once; the caller holds their locks."""
    before = [_swept(session) for session in sessions]
    yield
    after = [_swept(session) for session in sessions]
    if moved := [place for place in range(len(sessions)) if after[place] != before[place]]:
        columns = zip(SWEPT, zip(*before, strict=True), zip(*after, strict=True), strict=True)
        names = tuple(name for name, old, new in columns if old != new)
        values = [[getattr(sessions[place], name) for place in moved] for name in names]
        arrays.execute(_save_swept(names), [sessions[place].id for place in moved], *values)


@cache
def _save_swept(names: tuple[str, ...]) -> str:
    """Return the statement that writes these of them, so that what seldom moves is not sent each time."""
    return f"""
        UPDATE engagement_session s SET {", ".join(f"{name} = new.{name}" for name in names)}
        FROM UNNEST(%b::uuid[], {", ".join(f"%b::{SWEPT[name]}[]" for name in names)}) AS new (id, {", ".join(names)})
        WHERE s.id = new.id
    """


def mark_unknown(session_ids: Sequence[UUID]) -> None:
    """Say of sessions that nothing can be said of them."""
    Session.objects.filter(id__in=session_ids).update(detector_state=Session.DetectorState.UNKNOWN)


class Busy(Exception):
    """Somebody held what was wanted for so long that nothing was done. Whoever asks again will be heard."""


@contextmanager
def limited_waiting(seconds: float) -> Iterator[None]:
    """Do something, all or nothing, and wait for no lock longer than this; for others as long as before.

    Raises `Busy`.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{round(seconds * 1000)}ms"])
            yield
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")  # the transaction may be part of a longer one
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise Busy(str(error)) from error
        raise


def _lock(query: str, session_id: UUID) -> Session:
    found = next(iter(Session.objects.raw(query, [session_id])), None)
    if found is None:
        raise Session.DoesNotExist
    return found


def _read_free(query: str, wanted: Collection[tuple[UUID, UUID]], source: str) -> dict[UUID, Session]:
    ids, event_ids = [id_ for id_, _ in wanted], [event_id for _, event_id in wanted]
    return {session.id: session for session in _read_sessions(query, FREE_FIELDS, ids, event_ids, source)}


def _read_sessions(query: str, fields: Sequence[str], *parameters: Any) -> list[Session]:
    return arrays.load(Session, fields, query, *parameters)


def _ask(query: str, *parameters: Any) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return tuple(cursor.fetchone())
