"""New rows → verdicts → incidents → screens: a sweep over one partition, and the tick that heals."""

import logging
import time
import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import InterfaceError, OperationalError, transaction

from anomalies import watch
from conductor import live, wakeups
from conductor.live import SessionChange
from engagement import cursors
from engagement.aggregate import MOST_EVENTS, aggregate, forget_people, has_closed
from engagement.events import close_all, close_by_clock
from engagement.models import Session
from engagement.sessions import find_long_silent
from engagement.silence import find_silent

SESSIONS_A_SWEEP = 200
EVENTS_A_SWEEP = 40_000
FEW_ROWS = 20  # of a session, while others wait: a minute and a half of it
MANY_ROWS = 100
SWEEP_SECONDS = 0.25  # then it is another partition's turn
SET_ASIDE_SECONDS = 30.0
ENDS_A_TICK = 50

log = logging.getLogger(__name__)

_set_aside: dict[uuid.UUID, float] = {}  # sessions at which a sweep of this process failed, and until when


def advance(partition: int, now: datetime, seconds: float = SWEEP_SECONDS) -> bool:
    """Make and judge the new rows of a partition, a transaction at a time, and tell the screens after each.

    Return whether it stopped for want of time: then something is left, and nobody else knows.
    """
    ends_at = time.monotonic() + seconds
    most_rows = FEW_ROWS
    while True:
        with transaction.atomic():
            # Not waiting: whoever holds it looks at the flag again after letting go, so nothing is missed.
            if not cursors.try_lock_partition(partition):
                return False
            wakeups.lower_flag(partition)
            sessions = cursors.lock_due(partition, SESSIONS_A_SWEEP, but=_find_set_aside())
            changes = _sweep_or_set_aside(sessions, now, most_rows)
        if changes:
            live.announce(changes, now)
        if not sessions and not wakeups.is_flag_up(partition):
            return False
        if time.monotonic() >= ends_at:
            return True
        most_rows = FEW_ROWS if len(sessions) == SESSIONS_A_SWEEP else MANY_ROWS  # all have had their first share


def _find_set_aside() -> list[uuid.UUID]:
    for session_id, until in list(_set_aside.items()):
        if time.monotonic() >= until:
            del _set_aside[session_id]
    return list(_set_aside)


def _sweep_or_set_aside(sessions: Sequence[Session], now: datetime, most_rows: int) -> list[SessionChange]:
    """Sweep the sessions; where that fails, each by itself, so that one that cannot be judged stops no other."""
    try:
        with transaction.atomic():
            return _sweep(sessions, now, most_rows)
    except (OperationalError, InterfaceError):
        raise  # the database is away or busy, and no session is at fault
    except Exception as error:
        log.warning("A sweep over %d sessions failed, so each is tried by itself: %r", len(sessions), error)
    changes: list[SessionChange] = []
    for session in sessions:
        try:
            with transaction.atomic():
                changes += _sweep([Session.objects.get(id=session.id)], now, most_rows)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("Session %s cannot be judged; it is set aside for a while.", session.id)
            _set_aside[session.id] = time.monotonic() + SET_ASIDE_SECONDS
    return changes


def _sweep(sessions: Sequence[Session], now: datetime, most_rows: int) -> list[SessionChange]:
    """Make the rows of closed windows and judge them, with those that were posted, in one commit."""
    aggregate(sessions, now, most_rows, most_events=min(MOST_EVENTS, EVENTS_A_SWEEP // max(len(sessions), 1)))
    rows = cursors.load_unjudged_rows([session.id for session in sessions], most_rows)
    found = watch.judge_new_rows(sessions, rows, now)
    changes = []
    for session in sessions:
        new, judged = rows[session.id], found.get(session.id)
        # The page of an ended session is all of it: drawn when something was found, and when it is settled.
        if judged is not None and (judged.detected or judged.resolved or not session.is_ended):
            changes.append(SessionChange(session.id, new[-1], tuple(judged.detected), tuple(judged.resolved)))
        if session.is_ended and len(new) < most_rows and not has_closed(session):
            changes += _settle(session, now)
    return changes


def _settle(session: Session, now: datetime) -> list[SessionChange]:
    """Do what is left of an ended session that is judged to its end, as much as goes at once."""
    judged_until = Session.objects.values_list("judged_until", flat=True).get(id=session.id)
    resolved = watch.resolve_at_end(session, judged_until or now)
    if forget_people(session):
        session.settled_at = now
    session.save(update_fields=["forgotten_until", "settled_at"])
    return [SessionChange(session.id, None, (), tuple(resolved))] if resolved or session.settled_at else []


def tick(now: datetime) -> list[int]:
    """Do what no post does: close windows by the clock, notice silence and ends; return the partitions to sweep."""
    close_by_clock(now)
    for session_id in find_long_silent(now, ENDS_A_TICK):
        end_session(session_id, now)
    _notice_silence(now)
    return cursors.find_partitions_due()


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
    """End a session: it takes no more signals from here on. Twice does no harm.

    What is not judged yet, what is open and who was there, the sweeps see to: the caller wakes them.
    Raises `Session.DoesNotExist`.
    """
    with transaction.atomic():
        session = Session.objects.select_for_update().get(id=session_id)
        if session.is_ended:
            return session
        close_all(session)
        session.status, session.ended_at = Session.Status.ENDED, now
        session.save(update_fields=["status", "ended_at"])
    live.announce([SessionChange(session_id, None)], now)
    return session
