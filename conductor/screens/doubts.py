"""Why nothing can be said of a session just now: nothing comes, or what comes cannot be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from conductor.screens.rows import Row
from engagement.models import Session
from engagement.readings import MEASURED
from engagement.silence import is_silent, silent_since

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


def find_doubt(session: Session, line: Sequence[Row], now: datetime) -> Doubt | None:
    """Return why the detector does not know how a session is, None where it knows.

    `line` is its newest rows, oldest first. How long nothing came is by the clock, how long numbers stood still
    by the rows' own time.
    """
    if session.is_ended:
        return None
    since = _waits_since(session, line)
    if since is not None and now - since > UNJUDGED_AFTER:
        return Doubt(DoubtKind.UNJUDGED, now - since)
    if session.detector_state != Session.DetectorState.UNKNOWN or session.heard_at is None:
        return None
    if is_silent(session, now):
        return Doubt(DoubtKind.SILENT, now - silent_since(session))
    frozen = _frozen_rows(line)
    if frozen and (lasted := line[-1].timestamp - frozen[0].timestamp) >= FROZEN_AFTER:
        return Doubt(DoubtKind.FROZEN, lasted, is_at_least=len(frozen) == len(line))
    return Doubt(DoubtKind.UNTRUE)


def _waits_since(session: Session, line: Sequence[Row]) -> datetime | None:
    """Return since when no worker has looked at a session, though something came; None where nothing waits.

    What a worker knew when it last looked is no news of what came since.
    """
    judged_until, heard_at = session.judged_until, session.heard_at
    unjudged = next((row for row in line if judged_until is None or row.timestamp > judged_until), None)
    if unjudged is not None:
        return max(unjudged.received_at, heard_at or unjudged.received_at)
    return heard_at if session.has_closed_windows else None


def _frozen_rows(line: Sequence[Row]) -> Sequence[Row]:
    """Return the newest rows whose signals are all those of the newest."""
    start = len(line)
    while start and _signals(line[start - 1]) == _signals(line[-1]):
        start -= 1
    return line[start:]


def _signals(row: Row) -> tuple[float | None, ...]:
    return tuple(getattr(row, name) for name in MEASURED)
