"""New rows → verdicts → incidents → screens: a sweep over one partition, and the tick that heals."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction

from anomalies import watch
from conductor import live, wakeups
from conductor.live import SessionChange
from engagement.aggregate import aggregate, forget_people
from engagement.events import close_all, close_by_clock
from engagement.models import EngagementRow, Session
from engagement.silence import find_silent

SESSIONS_A_SWEEP = 200
ROWS_A_SESSION = 200  # so that nobody waits long for a session's lock
ENDS_AFTER = timedelta(hours=4)
LOCK_SPACE = 0x656E6761  # "enga": advisory locks are shared by all who use the database

HAS_NEW_ROWS = """
    s.status = 'live' AND (s.closed_until > COALESCE(s.aggregated_until, '-infinity') OR EXISTS (
        SELECT FROM engagement e
        WHERE e.session_id = s.id AND e.timestamp > COALESCE(s.judged_until, '-infinity')))
"""
LOCK_SESSIONS = f"""
    SELECT s.* FROM engagement_session s WHERE s.partition = %s AND {HAS_NEW_ROWS}
    ORDER BY s.id LIMIT {SESSIONS_A_SWEEP} FOR NO KEY UPDATE OF s
"""
ROW_FIELDS = [field.attname for field in EngagementRow._meta.concrete_fields]
NEW_ROWS = f"""
    SELECT {", ".join(f"e.{name}" for name in ROW_FIELDS)} FROM engagement_session s CROSS JOIN LATERAL (
        SELECT * FROM engagement
        WHERE session_id = s.id AND timestamp > COALESCE(s.judged_until, '-infinity')
        ORDER BY timestamp LIMIT {ROWS_A_SESSION}) e
    WHERE s.id = ANY(%s) ORDER BY e.session_id, e.timestamp
"""
WAITING_PARTITIONS = f"SELECT DISTINCT s.partition FROM engagement_session s WHERE {HAS_NEW_ROWS}"


def advance(partition: int, now: datetime) -> None:
    """Judge all new rows of a partition, a transaction at a time, and tell the screens after each."""
    while True:
        with transaction.atomic():
            # Not waiting: whoever holds it looks at the flag again after letting go, so nothing is missed.
            if not _try_lock(partition):
                return
            wakeups.lower_flag(partition)
            sessions = list(Session.objects.raw(LOCK_SESSIONS, [partition]))
            changes = _sweep(sessions, now)
        if changes:
            live.announce(changes, now)
        if not sessions and not wakeups.is_flag_up(partition):
            return


def _sweep(sessions: Sequence[Session], now: datetime) -> list[SessionChange]:
    """Make the rows of closed windows and judge them, with those that were posted, in one commit."""
    aggregate(sessions, now, ROWS_A_SESSION)
    return _judge(sessions, _new_rows([session.id for session in sessions]), now)


def _new_rows(session_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[EngagementRow]]:
    rows: dict[uuid.UUID, list[EngagementRow]] = {session_id: [] for session_id in session_ids}
    with connection.cursor() as cursor:
        cursor.execute(NEW_ROWS, [list(session_ids)])
        for values in cursor.fetchall():
            row = EngagementRow.from_db(connection.alias, ROW_FIELDS, values)
            rows[row.session_id].append(row)
    return rows


def _judge(
    sessions: Sequence[Session], rows: dict[uuid.UUID, list[EngagementRow]], now: datetime
) -> list[SessionChange]:
    found = watch.judge_new_rows(sessions, rows, now)
    return [
        SessionChange(
            session.id,
            rows[session.id][-1],
            tuple(found[session.id].detected),
            tuple(found[session.id].resolved),
        )
        for session in sessions
        if rows[session.id]
    ]


def tick(now: datetime) -> None:
    """Do what no post does: close windows by the clock, sweep what was never woken, notice silence and ends."""
    close_by_clock(now)
    with connection.cursor() as cursor:
        cursor.execute(WAITING_PARTITIONS)
        waiting = [partition for (partition,) in cursor.fetchall()]
    for partition in waiting:
        advance(partition, now)
    _notice_silence(now)
    long_silent = Session.objects.filter(status=Session.Status.LIVE, heard_at__lt=now - ENDS_AFTER)
    for session_id in long_silent.values_list("id", flat=True):
        end_session(session_id, now)


def _notice_silence(now: datetime) -> None:
    silent = [session.id for session in find_silent(Session.objects.all(), now)]
    with transaction.atomic():
        unnoticed = Session.objects.filter(id__in=silent).exclude(detector_state=Session.DetectorState.UNKNOWN)
        # Looked at again, now that no post and no sweep can move them.
        noticed = find_silent(unnoticed.select_for_update(skip_locked=True, of=("self",)), now)
        Session.objects.filter(id__in=[session.id for session in noticed]).update(
            detector_state=Session.DetectorState.UNKNOWN
        )
    # Those that were known to be silent too: a screen says for how long, and no row comes to make it say so.
    if silent:
        live.announce([SessionChange(id_, None) for id_ in silent], now)


def end_session(session_id: uuid.UUID, now: datetime) -> Session:
    """End a session: judge what is still new, resolve what is open, take no more signals. Twice does no harm.

    Raises `Session.DoesNotExist`.
    """
    changes: list[SessionChange] = []
    with transaction.atomic():
        session = Session.objects.select_for_update().get(id=session_id)
        if session.is_ended:
            return session
        close_all(session)
        is_done = False
        while not is_done:
            found = _sweep([session], now)
            changes += found
            session.refresh_from_db()
            is_done = not found and session.aggregated_until == session.closed_until
        resolved = watch.resolve_at_end(session, session.judged_until or now)
        session.status, session.ended_at = Session.Status.ENDED, now
        session.save(update_fields=["status", "ended_at"])
        forget_people(session)
        changes.append(SessionChange(session_id, None, (), tuple(resolved)))
    live.announce(changes, now)
    return session


def _try_lock(partition: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK_SPACE, partition])
        return bool(cursor.fetchone()[0])
