"""Why nothing can be said of a session just now: nothing comes, or what comes cannot be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Greatest

from engagement.events import FRESH_FOR
from engagement.models import EngagementRow, Session
from engagement.readings import MEASURED

SILENT_AFTER = timedelta(seconds=60)
LOST_AFTER = timedelta(seconds=30)
UNJUDGED_AFTER = timedelta(seconds=20)
FROZEN_AFTER = timedelta(seconds=30)  # what stands still more briefly may be contradictory in another way


class DoubtKind(StrEnum):
    SILENT = "silent"  # no rows, or no events
    FROZEN = "frozen"  # rows come, and their numbers stand still
    UNTRUE = "untrue"  # rows come, and their numbers contradict one another
    UNJUDGED = "unjudged"  # rows come, and no worker looks at them


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is wrong, and for how long; `is_at_least` where it may have begun before the rows at hand."""

    kind: DoubtKind
    lasted: timedelta | None = None
    is_at_least: bool = False

    @property
    def state(self) -> str:
        """What a banner or a card calls it."""
        return "silent" if self.kind == DoubtKind.SILENT else "doubtful"


def silent_sessions(now: datetime) -> Q:
    """Find the sessions from which nothing comes any more."""
    return Q(heard_at__lt=now - SILENT_AFTER) | _has_lost_its_source(now)


def find_doubt(session: Session, line: Sequence[EngagementRow], now: datetime) -> Doubt | None:
    """Return why the detector does not know how a session is, None where it knows.

    `line` is its newest rows, oldest first. How long nothing came is by the clock, how long numbers stood still
    by the rows' own time.
    """
    if session.is_ended or session.heard_at is None:
        return None
    # The worker marks when it last looked; what it knew then is no news of rows that came since.
    waited = now - session.heard_at
    has_unjudged = bool(line) and session.judged_until is not None and line[-1].timestamp > session.judged_until
    if has_unjudged and waited > UNJUDGED_AFTER:
        return Doubt(DoubtKind.UNJUDGED, waited)
    if session.detector_state != Session.DetectorState.UNKNOWN:
        return None
    if _is_silent(session, now):
        return Doubt(DoubtKind.SILENT, now - _heard_at(session))
    frozen = _frozen_rows(line)
    if frozen and (lasted := line[-1].timestamp - frozen[0].timestamp) >= FROZEN_AFTER:
        return Doubt(DoubtKind.FROZEN, lasted, is_at_least=len(frozen) == len(line))
    return Doubt(DoubtKind.UNTRUE)


def _has_lost_its_source(now: datetime) -> Q:
    """Find lively rooms from which nothing at all has come for so long that nobody can be there to tell."""
    patience = ExpressionWrapper(F("patience_seconds") * Value(timedelta(seconds=1)), DurationField())
    return Q(
        newest_event_at__lt=now - Greatest(patience, Value(LOST_AFTER)),
        newest_event_at__gt=now - FRESH_FOR,
        patience_seconds__isnull=False,
    )


def _is_silent(session: Session, now: datetime) -> bool:
    """Say of one session what `silent_sessions` asks of all."""
    if now - session.heard_at > SILENT_AFTER:
        return True
    if session.newest_event_at is None or session.patience_seconds is None:
        return False
    patience = max(timedelta(seconds=session.patience_seconds), LOST_AFTER)
    return patience < now - session.newest_event_at < FRESH_FOR


def _heard_at(session: Session) -> datetime:
    """Return when something last came: where the clock made rows of a silence, that was the newest event."""
    newest = session.newest_event_at
    is_of_today = newest is not None and session.heard_at - newest < FRESH_FOR + SILENT_AFTER
    return min(newest, session.heard_at) if is_of_today else session.heard_at


def _frozen_rows(line: Sequence[EngagementRow]) -> Sequence[EngagementRow]:
    """Return the newest rows whose signals are all those of the newest."""
    start = len(line)
    while start and _signals(line[start - 1]) == _signals(line[-1]):
        start -= 1
    return line[start:]


def _signals(row: EngagementRow) -> tuple[float | None, ...]:
    return tuple(getattr(row, name) for name in MEASURED)
