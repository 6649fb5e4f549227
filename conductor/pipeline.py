"""New rows → verdicts → incidents → screens: a sweep over one partition, and the tick that heals."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from anomalies import watch
from conductor import live, wakeups
from conductor.live import SessionChange
from engagement import cursors
from engagement.aggregate import aggregate, forget_people
from engagement.events import close_all, close_by_clock
from engagement.models import Session
from engagement.sessions import find_long_silent
from engagement.silence import find_silent

SESSIONS_A_SWEEP = 200
ROWS_A_SESSION = 200  # so that nobody waits long for a session's lock


def advance(partition: int, now: datetime) -> None:
    """Make and judge all new rows of a partition, a transaction at a time, and tell the screens after each."""
    while True:
        with transaction.atomic():
            # Not waiting: whoever holds it looks at the flag again after letting go, so nothing is missed.
            if not cursors.try_lock_partition(partition):
                return
            wakeups.lower_flag(partition)
            sessions = cursors.lock_behind(partition, SESSIONS_A_SWEEP)
            changes = _sweep(sessions, now)
        if changes:
            live.announce(changes, now)
        if not sessions and not wakeups.is_flag_up(partition):
            return


def _sweep(sessions: Sequence[Session], now: datetime) -> list[SessionChange]:
    """Make the rows of closed windows and judge them, with those that were posted, in one commit."""
    aggregate(sessions, now, ROWS_A_SESSION)
    rows = cursors.load_unjudged_rows([session.id for session in sessions], ROWS_A_SESSION)
    found = watch.judge_new_rows(sessions, rows, now)
    return [
        SessionChange(id_, rows[id_][-1], tuple(changes.detected), tuple(changes.resolved))
        for id_, changes in found.items()
    ]


def tick(now: datetime) -> None:
    """Do what no post does: close windows by the clock, sweep what was never woken, notice silence and ends."""
    close_by_clock(now)
    for partition in cursors.find_partitions_behind():
        advance(partition, now)
    _notice_silence(now)
    for session_id in find_long_silent(now):
        end_session(session_id, now)


def _notice_silence(now: datetime) -> None:
    silent = [session.id for session in find_silent(Session.objects.all(), now)]
    with transaction.atomic():
        unnoticed = Session.objects.filter(id__in=silent).exclude(detector_state=Session.DetectorState.UNKNOWN)
        # Looked at again, now that no post and no sweep can move them.
        noticed = find_silent(unnoticed.select_for_update(skip_locked=True, of=("self",)), now)
        cursors.mark_unknown([session.id for session in noticed])
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
        while cursors.is_behind(session_id):
            changes += _sweep([session], now)
            session.refresh_from_db()
        resolved = watch.resolve_at_end(session, session.judged_until or now)
        session.status, session.ended_at = Session.Status.ENDED, now
        session.save(update_fields=["status", "ended_at"])
        forget_people(session)
        changes.append(SessionChange(session_id, None, (), tuple(resolved)))
    live.announce(changes, now)
    return session
