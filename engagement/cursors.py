"""How far a session has come: its cursors, the lock under which each moves, and what waits behind them.

| cursor | says | moved by |
| --- | --- | --- |
| `newest_event_at` | when the newest raw event happened | posts of raw events |
| `closed_until` | where the newest closed window ends | posts of raw events, the clock, the session's end |
| `aggregated_until`, `patience_seconds` | where the newest aggregated one does; how long silence is one | sweeps |
| `judged_until` | the newest row that the detector has seen | sweeps |
| `heard_at` | when that row was judged | sweeps, and the first post of raw events |
| `detector_state` | what the detector says since | sweeps, and the tick that notices silence |

A session's row in the database is the lock. Who moves a cursor holds it alone; posts of signals move none and hold it
shared. The moves write what they are given: whether it is right, the caller knows, who holds the lock.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from engagement.models import EngagementRow, Session

LOCK_SPACE = 0x656E6761  # "enga": advisory locks are shared by all who use the database

# Shared with other posts, but not with a sweep: the cursor cannot move between our look at it and our commit, so `late`
# is exactly "the detector will never be fed this row".
LOCK_SHARED = "SELECT id, status, source, judged_until FROM engagement_session WHERE id = %s FOR SHARE"
# Alone, not shared: whether an event is late depends on all that came before it.
LOCK_ALONE = """
    SELECT id, status, source, lateness_seconds, newest_event_at, closed_until FROM engagement_session
    WHERE id = %s FOR NO KEY UPDATE
"""
# What is locked is being posted to or swept just now, and there is a next tick. In order, so that two ticks at once
# cannot wait for one another.
LOCK_FRESH = """
    SELECT * FROM engagement_session WHERE status = 'live' AND source = 'events' AND newest_event_at > %s
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""

IS_UNJUDGED = "e.timestamp > COALESCE(s.judged_until, '-infinity')"
IS_BEHIND = f"""
    (s.closed_until > COALESCE(s.aggregated_until, '-infinity')
        OR EXISTS (SELECT FROM engagement e WHERE e.session_id = s.id AND {IS_UNJUDGED}))
"""
LOCK_BEHIND = f"""
    SELECT s.* FROM engagement_session s WHERE s.partition = %s AND s.status = 'live' AND {IS_BEHIND}
    ORDER BY s.id LIMIT %s FOR NO KEY UPDATE OF s
"""
PARTITIONS_BEHIND = f"SELECT DISTINCT s.partition FROM engagement_session s WHERE s.status = 'live' AND {IS_BEHIND}"
SESSION_BEHIND = f"SELECT EXISTS (SELECT FROM engagement_session s WHERE s.id = %s AND {IS_BEHIND})"
ROW_FIELDS = [field.attname for field in EngagementRow._meta.concrete_fields]
UNJUDGED_ROWS = f"""
    SELECT new.* FROM engagement_session s CROSS JOIN LATERAL (
        SELECT {", ".join(f"e.{name}" for name in ROW_FIELDS)} FROM engagement e
        WHERE e.session_id = s.id AND {IS_UNJUDGED} ORDER BY e.timestamp LIMIT %s) new
    WHERE s.id = ANY(%s) ORDER BY new.session_id, new.timestamp
"""
# Only live sessions have rows that wait, and the rows' key finds those behind the cursor.
BACKLOG = f"""
    SELECT count(*), COALESCE(extract(epoch FROM clock_timestamp() - min(e.received_at)), 0)::float8
    FROM engagement_session s JOIN engagement e ON e.session_id = s.id AND {IS_UNJUDGED} WHERE s.status = 'live'
"""

MOVE_HEARD = """
    UPDATE engagement_session
    SET newest_event_at = %s, closed_until = %s, heard_at = COALESCE(heard_at, %s) WHERE id = %s
"""
MOVE_CLOSED = """
    UPDATE engagement_session s SET closed_until = new.closed_until
    FROM UNNEST(%s::uuid[], %s::timestamptz[]) AS new (id, closed_until) WHERE s.id = new.id
"""
MOVE_AGGREGATED = """
    UPDATE engagement_session s
    SET aggregated_until = new.aggregated_until, patience_seconds = new.patience_seconds
    FROM UNNEST(%s::uuid[], %s::timestamptz[], %s::float8[]) AS new (id, aggregated_until, patience_seconds)
    WHERE s.id = new.id
"""
MOVE_JUDGED = """
    UPDATE engagement_session s
    SET judged_until = new.judged_until, detector_state = new.detector_state, heard_at = %s
    FROM UNNEST(%s::uuid[], %s::timestamptz[], %s::varchar[]) AS new (id, judged_until, detector_state)
    WHERE s.id = new.id
"""


def lock_shared(session_id: UUID) -> Session:
    """Return a session whose `judged_until` stands still until the commit. Raises `Session.DoesNotExist`."""
    return _lock(LOCK_SHARED, session_id)


def lock_alone(session_id: UUID) -> Session:
    """Return a session that is ours until the commit. Raises `Session.DoesNotExist`."""
    return _lock(LOCK_ALONE, session_id)


def lock_fresh(since: datetime) -> Sequence[Session]:
    """Return the live sessions, but those in use, whose newest raw event happened after `since`."""
    return list(Session.objects.raw(LOCK_FRESH, [since]))


def lock_behind(partition: int, most: int) -> Sequence[Session]:
    """Return live sessions of a partition for which something waits."""
    return list(Session.objects.raw(LOCK_BEHIND, [partition, most]))


def try_lock_partition(partition: int) -> bool:
    """Return whether the partition is ours until the commit; not waiting for whoever has it."""
    [is_ours] = _ask("SELECT pg_try_advisory_xact_lock(%s, %s)", LOCK_SPACE, partition)
    return bool(is_ours)


def find_partitions_behind() -> list[int]:
    """Return the partitions in which something waits."""
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS_BEHIND)
        return [partition for (partition,) in cursor.fetchall()]


def is_behind(session_id: UUID) -> bool:
    """Tell whether windows have closed that are not aggregated, or rows are there that are not judged."""
    [is_behind] = _ask(SESSION_BEHIND, session_id)
    return bool(is_behind)


def load_unjudged_rows(session_ids: Sequence[UUID], most: int) -> dict[UUID, list[EngagementRow]]:
    """Return the rows that wait of each session, oldest first, so many of each at most."""
    rows: dict[UUID, list[EngagementRow]] = {session_id: [] for session_id in session_ids}
    with connection.cursor() as cursor:
        cursor.execute(UNJUDGED_ROWS, [most, list(session_ids)])
        for values in cursor.fetchall():
            row = EngagementRow.from_db(connection.alias, ROW_FIELDS, values)
            rows[row.session_id].append(row)
    return rows


def measure_backlog() -> tuple[int, float]:
    """Return how many rows wait, and for how many seconds the oldest of them has."""
    rows, seconds = _ask(BACKLOG)
    return rows, seconds


def move_heard(
    session_id: UUID, newest_event_at: datetime | None, closed_until: datetime | None, now: datetime
) -> None:
    """Say what a post of raw events brought."""
    _move(MOVE_HEARD, newest_event_at, closed_until, now, session_id)


def move_closed(closed_until: Mapping[UUID, datetime]) -> None:
    """Say where the newest closed window of each session ends."""
    _move(MOVE_CLOSED, list(closed_until), list(closed_until.values()))


def move_aggregated(
    session_ids: Sequence[UUID], aggregated_until: Sequence[datetime | None], patience_seconds: Sequence[float | None]
) -> None:
    """Say how far each session's raw events are aggregated, and how patient its room is since."""
    _move(MOVE_AGGREGATED, session_ids, aggregated_until, patience_seconds)


def move_judged(
    session_ids: Sequence[UUID], judged_until: Sequence[datetime], detector_states: Sequence[str], now: datetime
) -> None:
    """Say how far each session's rows are judged, and what the detector says since."""
    _move(MOVE_JUDGED, now, session_ids, judged_until, detector_states)


def mark_unknown(session_ids: Sequence[UUID]) -> None:
    """Say of sessions that nothing can be said of them."""
    Session.objects.filter(id__in=session_ids).update(detector_state=Session.DetectorState.UNKNOWN)


def _lock(query: str, session_id: UUID) -> Session:
    found = next(iter(Session.objects.raw(query, [session_id])), None)
    if found is None:
        raise Session.DoesNotExist
    return found


def _ask(query: str, *parameters: Any) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return tuple(cursor.fetchone())


def _move(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
