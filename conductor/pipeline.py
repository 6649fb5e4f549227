"""New rows → verdicts → incidents → screens: a sweep over one partition, and the tick that heals."""

import logging
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from django.db import InterfaceError, OperationalError, transaction

from anomalies import watch
from conductor import live, wakeups
from conductor.live import SessionChange
from engagement import cursors
from engagement.aggregate import MOST_EVENTS, aggregate, forget_people
from engagement.events import close_all, close_by_clock
from engagement.models import Session
from engagement.sessions import find_long_silent
from engagement.silence import find_silent

SESSIONS_A_SWEEP = 200
EVENTS_A_SWEEP = 40_000
FEW_ROWS = 20  # of a session, while others wait: a minute and a half of it
MANY_ROWS = 60
CATCH_UP_SECONDS = 0.2  # then it is another partition's turn
SET_ASIDE_SECONDS = 30.0
ENDS_A_TICK = 50

log = logging.getLogger(__name__)

_set_aside: dict[uuid.UUID, float] = {}  # sessions at which a sweep of this process failed, and until when


@dataclass(frozen=True, slots=True)
class Left:
    """What a sweep leaves to others: rows that came meanwhile, of which nobody may know; and rows that have waited."""

    is_woken: bool = False
    is_behind: bool = False


def advance(partition: int, now: datetime) -> Left:
    """Make and judge new rows of a partition, some of every session that no sweep has left behind."""
    return _advance(partition, now, FEW_ROWS, with_behind=False, seconds=0.0)


def catch_up(partition: int, now: datetime, seconds: float = CATCH_UP_SECONDS) -> Left:
    """Make and judge what sweeps of a partition have left behind, while there is some and the time lasts."""
    return _advance(partition, now, MANY_ROWS, with_behind=True, seconds=seconds)


def _advance(partition: int, now: datetime, most_rows: int, with_behind: bool, seconds: float) -> Left:
    """Sweep, a transaction at a time, and tell the screens after each."""
    ends_at = time.monotonic() + seconds
    while True:
        with transaction.atomic():
            # Whoever holds it looks at the flag again after letting go, so new rows are not missed.
            if not cursors.try_lock_partition(partition, patiently=with_behind):
                return Left(is_behind=with_behind)
            wakeups.lower_flag(partition)
            sessions = cursors.lock_due(partition, SESSIONS_A_SWEEP, with_behind=with_behind, but=_find_set_aside())
            swept = _sweep_or_set_aside(sessions, now, most_rows)
        if swept.changes:
            live.announce(swept.changes, now)
        left = Left(wakeups.is_flag_up(partition), swept.is_behind or len(sessions) == SESSIONS_A_SWEEP)
        if left == Left() or time.monotonic() >= ends_at:
            return left


@dataclass(slots=True)
class Swept:
    """What a sweep changed, and whether one of its sessions has more to judge."""

    changes: list[SessionChange] = field(default_factory=list)
    is_behind: bool = False


def _find_set_aside() -> list[uuid.UUID]:
    for session_id, until in list(_set_aside.items()):
        if time.monotonic() >= until:
            del _set_aside[session_id]
    return list(_set_aside)


def _sweep_or_set_aside(sessions: Sequence[Session], now: datetime, most_rows: int) -> Swept:
    """Sweep the sessions; where that fails, each by itself, so that one that cannot be judged stops no other."""
    swept = Swept()
    try:
        with transaction.atomic():
            _sweep(sessions, now, most_rows, swept)
    except (OperationalError, InterfaceError):
        raise  # the database is away or busy, and no session is at fault
    except Exception as error:
        log.warning("A sweep over %d sessions failed, so each is tried by itself: %r", len(sessions), error)
    else:
        return swept
    swept = Swept()
    for session in sessions:
        try:
            with transaction.atomic():
                _sweep([Session._base_manager.get(id=session.id)], now, most_rows, swept)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("Session %s cannot be judged; it is set aside for a while.", session.id)
            _set_aside[session.id] = time.monotonic() + SET_ASIDE_SECONDS
    return swept


def _sweep(sessions: Sequence[Session], now: datetime, most_rows: int, swept: Swept) -> None:
    """Make the rows of closed windows and judge them, with those that were posted, in one commit."""
    aggregate(sessions, now, most_rows, most_events=min(MOST_EVENTS, EVENTS_A_SWEEP // max(len(sessions), 1)))
    rows = cursors.load_unjudged_rows([session.id for session in sessions], most_rows)
    found = watch.judge_new_rows(sessions, rows, now)
    behind: dict[bool, list[uuid.UUID]] = {True: [], False: []}
    for session in sessions:
        new, judged = rows[session.id], found.get(session.id)
        # The page of an ended session is all of it: drawn when something was found, and when it is settled.
        if judged is not None and (judged.detected or judged.resolved or not session.is_ended):
            swept.changes.append(SessionChange(session.id, new[-1], tuple(judged.detected), tuple(judged.resolved)))
        is_behind = len(new) == most_rows or session.has_closed_windows
        if session.is_ended and not is_behind:
            swept.changes += _settle(session, now)
            is_behind = session.is_settling
        swept.is_behind |= is_behind
        if is_behind != session.is_behind:
            behind[is_behind].append(session.id)
    for is_behind, ids in behind.items():
        cursors.mark_behind(ids, is_behind)


def _settle(session: Session, now: datetime) -> list[SessionChange]:
    """Do what is left of an ended session that is judged to its end, as much as goes at once."""
    judged_until = Session._base_manager.values_list("judged_until", flat=True).get(id=session.id)
    resolved = watch.resolve_at_end(session, judged_until or now)
    if forget_people(session):
        session.settled_at = now
    moved = {"forgotten_until": session.forgotten_until, "settled_at": session.settled_at}
    Session._base_manager.filter(id=session.id).update(**moved)  # a save is looked at by the audit trail
    return [SessionChange(session.id, None, (), tuple(resolved))] if resolved or session.settled_at else []


def tick(now: datetime) -> list[tuple[int, bool, bool]]:
    """Do what no post does: close windows by the clock, notice silence and ends.

    Return the partitions to sweep: whether for something new, and whether for what a sweep has left.
    """
    close_by_clock(now)
    for session_id in find_long_silent(now, ENDS_A_TICK):
        with suppress(Session.DoesNotExist):  # it was erased just now
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
        Session.objects.filter(id=session_id).update(status=session.status, ended_at=now)
    live.announce([SessionChange(session_id, None)], now)
    return session
