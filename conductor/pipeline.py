"""New rows → verdicts → incidents → screens: a sweep over what is due, and the tick that heals."""

import logging
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import redis
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from anomalies import watch
from anomalies.detector.changes import Step
from conductor import live, wakeups
from conductor.live import SessionChange
from conductor.models import Connection, Message
from conductor.telling import outbox
from conductor.telling.rules import Kind
from engagement import cursors
from engagement.aggregate import MOST_EVENTS, aggregate, forget_people
from engagement.events import close_all, close_by_clock
from engagement.follow import follow_polls
from engagement.models import Session
from engagement.sessions import find_long_silent
from engagement.silence import find_silent
from engagement.visitors import leave_unheard

SESSIONS_A_SWEEP = 200
MOST_SESSIONS_A_SWEEP = 500  # where thousands wait, and to choose among them costs as much as to judge a hundred
CANDIDATES = 2_000  # among whom each event has its turn
EVENTS_A_SWEEP = 40_000
FEW_ROWS = 20  # of a session, while others wait: a minute and a half of it
MANY_ROWS = 60
ROWS_LEFT_A_SWEEP = 1_000  # of what sweeps have left: few sessions have more of it each
SETTLED_A_SWEEP = 50  # sessions, each of which forgets thousands of people at once
SET_ASIDE_SECONDS = 30.0
ENDS_A_TICK = 50
DUE_A_TICK = 20_000
NOTICED_A_TICK = 2_000
TOLD_AS = {
    Step.OPENED: Kind.DETECTED,
    Step.WORSENED: Kind.WORSENED,
    Step.RETYPED: Kind.WORSENED,  # to a more urgent type
    Step.CORRECTED: Kind.UPDATED,
    Step.RESOLVED: Kind.RESOLVED,
}

log = logging.getLogger(__name__)

_set_aside: dict[uuid.UUID, float] = {}  # sessions at which a sweep of this process failed, and until when


def advance(now: datetime) -> bool:
    """Make and judge new rows of sessions that are due, some of each; return whether there were any.

    Sessions that a sweep has left behind are left to `catch_up`.
    """
    return _advance(wakeups.DUE, now, FEW_ROWS, with_behind=False)


def catch_up(now: datetime) -> bool:
    """Make and judge some of what sweeps have left behind; return whether there was any."""
    return _advance(wakeups.LEFT, now, MANY_ROWS, ROWS_LEFT_A_SWEEP, with_behind=True)


def _advance(queue: wakeups.Queue, now: datetime, most_rows: int, rows_a_sweep: int = 0, *, with_behind: bool) -> bool:
    """Sweep over so many rows of each session, or over more where few sessions leave room for them."""
    candidates = queue.peek(CANDIDATES)
    if not candidates:
        return False
    aside = _find_set_aside()
    able = [id_ for id_ in candidates if id_ not in aside] if aside else candidates
    # What was left is more rows of each, and has time.
    most = SESSIONS_A_SWEEP if with_behind else min(max(SESSIONS_A_SWEEP, len(able) // 4), MOST_SESSIONS_A_SWEEP)
    swept, taken = Swept(), []
    try:
        with transaction.atomic():
            sessions = cursors.lock_due(able, most, with_behind=with_behind)
            taken = [session.id for session in sessions]
            # Whoever stores rows from here on waits for our locks, and adds the session again after them.
            queue.remove(taken)
            with cursors.sweeping(sessions):
                _sweep(sessions, now, max(most_rows, rows_a_sweep // max(len(sessions), 1)), swept)
    except (OperationalError, InterfaceError, redis.RedisError):
        raise  # no session is at fault
    except Exception as error:
        log.warning("A sweep over %d sessions failed, so each is tried by itself: %r", len(taken), error)
        swept = _sweep_each(taken, now, most_rows)
    if swept.changes:
        live.announce(swept.changes, now)
    wakeups.LEFT.add(swept.behind)
    if len(taken) < min(most, len(candidates)):
        _sort_out(queue, set(candidates).difference(taken), aside, with_behind=with_behind)
    return True


def _sort_out(queue: wakeups.Queue, others: set[uuid.UUID], aside: set[uuid.UUID], *, with_behind: bool) -> None:
    """Leave in the queue whom somebody holds just now; not those that are settled or set aside, or wait elsewhere."""
    unsettled = Session.objects.filter(id__in=others - aside, settled_at=None)
    is_behind = dict(unsettled.values_list("id", "is_behind"))
    left = [id_ for id_ in is_behind if is_behind[id_] and not with_behind]
    wakeups.LEFT.add(left)
    queue.remove((others - is_behind.keys()).union(left))


@dataclass(slots=True)
class Swept:
    """What a sweep changed, and which of its sessions have more to judge."""

    changes: list[SessionChange] = field(default_factory=list)
    behind: list[uuid.UUID] = field(default_factory=list)


def _find_set_aside() -> set[uuid.UUID]:
    for session_id, until in list(_set_aside.items()):
        if time.monotonic() >= until:
            del _set_aside[session_id]
    return set(_set_aside)


def _sweep_each(session_ids: Sequence[uuid.UUID], now: datetime, most_rows: int) -> Swept:
    """Sweep one session after the other, so that one that cannot be judged stops no other: it is set aside."""
    swept = Swept()
    for session_id in session_ids:
        alone = Swept()
        try:
            with transaction.atomic():
                sessions = cursors.lock_due([session_id], 1)
                with cursors.sweeping(sessions):
                    _sweep(sessions, now, most_rows, alone)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("Session %s cannot be judged; it is set aside for a while.", session_id)
            _set_aside[session_id] = time.monotonic() + SET_ASIDE_SECONDS
        else:
            swept.changes += alone.changes
            swept.behind += alone.behind
    return swept


def _sweep(sessions: Sequence[Session], now: datetime, most_rows: int, swept: Swept) -> None:
    """Make the rows of closed windows and judge them, with those that were posted, in one commit."""
    aggregate(sessions, now, most_rows, most_events=min(MOST_EVENTS, EVENTS_A_SWEEP // max(len(sessions), 1)))
    rows = cursors.load_unjudged_rows([session.id for session in sessions], most_rows)
    follow_polls(sessions, rows)
    begun = [
        each
        for each, new in zip(sessions, rows, strict=True)
        if each.judged_until is None and new and not each.is_ended
    ]
    outbox.tell_sessions([(Message.Type.STARTED, each) for each in begun], now, now)
    found = watch.judge_new_rows(sessions, rows, now)
    outbox.tell_incidents([(TOLD_AS[step], each) for judged in found for step, each in judged.steps], now)
    settling = 0
    for session, new, judged in zip(sessions, rows, found, strict=True):
        # The page of an ended session is all of it: drawn when something was found, and when it is settled.
        if new and (judged.detected or judged.corrected or judged.resolved or not session.is_ended):
            swept.changes.append(
                SessionChange(
                    session.id,
                    new[-1],
                    detected=tuple(judged.detected),
                    resolved=tuple(judged.resolved),
                    corrected=tuple(judged.corrected),
                )
            )
        is_behind = len(new) == most_rows or session.has_closed_windows
        if session.is_ended and not is_behind:
            if settling < SETTLED_A_SWEEP:
                swept.changes += _settle(session, now)
            settling += 1
            is_behind = session.is_settling
        if is_behind:
            swept.behind.append(session.id)
        session.is_behind = is_behind


def _settle(session: Session, now: datetime) -> list[SessionChange]:
    """Do what is left of an ended session that is judged to its end, as much as goes at once."""
    resolved = watch.resolve_at_end(session, session.judged_until or now)
    outbox.tell_incidents([(Kind.RESOLVED, each) for each in resolved], now)
    Connection.objects.filter(session_id=session.id).delete()
    if forget_people(session):
        session.settled_at = now
    return [SessionChange(session.id, None, (), tuple(resolved))] if resolved or session.settled_at else []


def tick(now: datetime) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
    """Do what no post does: close windows by the clock, notice silence, who has gone without a word, and ends.

    Return the sessions to sweep: for something new, and for what a sweep has left.
    """
    _leave_unheard(now)
    close_by_clock(now)
    # Only here, behind the database: while that was away, whatever tabs reported was refused.
    wakeups.say_goes_on(wakeups.TICKING, now.timestamp())
    for session_id in find_long_silent(now, ENDS_A_TICK):
        with suppress(Session.DoesNotExist):  # it was erased just now
            end_session(session_id, now)
    _notice_silence(now)
    return cursors.find_due(DUE_A_TICK)


def _leave_unheard(now: datetime) -> None:
    """Have those leave whose beacon has fallen silent, where it was listened to all the time and this clock went on."""
    listening, ticking = wakeups.goes_on_since(wakeups.LISTENING), wakeups.goes_on_since(wakeups.TICKING)
    if listening is not None and ticking is not None:
        leave_unheard(now, datetime.fromtimestamp(max(listening, ticking), now.tzinfo))


def _notice_silence(now: datetime) -> None:
    known = Session.objects.exclude(detector_state=Session.DetectorState.UNKNOWN)
    unnoticed = [session.id for session in find_silent(known, now)][:NOTICED_A_TICK]
    noticed: list[uuid.UUID] = []
    if unnoticed:
        with transaction.atomic():
            # Looked at again, now that no post and no sweep can move them.
            locked = Session.objects.filter(id__in=unnoticed).select_for_update(skip_locked=True, of=("self",))
            noticed = [session.id for session in find_silent(locked, now)]
            cursors.mark_unknown(noticed)
    # Those that were known to be silent too: a screen says for how long, and no row comes to make it say so.
    silent = [session.id for session in find_silent(Session.objects.filter(id__in=live.find_watched()), now)]
    if told := dict.fromkeys(noticed + silent):
        live.announce([SessionChange(id_, None) for id_ in told], now)


def end_session(session_id: uuid.UUID, now: datetime, *, heard_until: datetime | None = None) -> Session:
    """End a session: it takes no more signals from here on. Twice does no harm.

    `heard_until` is until when all was heard that happened, where whoever ends it knows: silence until then is
    silence. What is not judged yet, what is open and who was there, the sweeps see to: the caller wakes them.
    Raises `Session.DoesNotExist`.
    """
    with transaction.atomic():
        session = Session.objects.select_for_update().get(id=session_id)
        if session.is_ended:
            return session
        # Where no sweep has told yet that it began.
        is_untold = session.status == Session.Status.LIVE and session.judged_until is None
        close_all(session, heard_until)
        session.status, session.ended_at = Session.Status.ENDED, now
        Session.objects.filter(id=session_id).update(status=session.status, ended_at=now)
        kinds = [Message.Type.STARTED, Message.Type.ENDED] if is_untold else [Message.Type.ENDED]
        # A recording ends when its last row was measured, and is told of now.
        outbox.tell_sessions([(kind, session) for kind in kinds], now, timezone.now())
    live.announce([SessionChange(session_id, None)], now)
    return session
