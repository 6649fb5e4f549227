"""What stands beside the score: the pieces that it is made of, and how it moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from operator import itemgetter

from conductor.screens.rows import Row
from engagement.scoring import Score

LAST_MINUTE = timedelta(seconds=60)
NEAR_ENOUGH = timedelta(seconds=20)
STEADY = 0.03  # a smaller change of the score in a minute gets no arrow


class Way(StrEnum):
    """Which way the score goes; its icon has the same name."""

    UP = "up"
    DOWN = "down"
    STEADY = "steady"


@dataclass(frozen=True, slots=True)
class Trend:
    """How the score changed in the last minute: the newest less the one before, −1..1."""

    change: float

    @property
    def way(self) -> Way:
        if abs(self.change) < STEADY:
            return Way.STEADY
        return Way.UP if self.change > 0 else Way.DOWN


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the stacked bar, in which 100 is a full score."""

    name: str  # the signal
    value: float  # what it adds to the score; below 0 it takes off
    x: float  # its left edge
    width: float


def find_trend(line: Sequence[Row]) -> Trend | None:
    """Return the trend of rows, oldest first; None where either end of the minute is not known."""
    if not line or (score := line[-1].engagement_score) is None:
        return None
    then = line[-1].timestamp - LAST_MINUTE
    known = [(abs(row.timestamp - then), row.engagement_score) for row in line if row.engagement_score is not None]
    distance, before = min(known, key=itemgetter(0))
    return Trend(score - before) if distance <= NEAR_ENOUGH else None


def stack_parts(score: Score) -> list[Part]:
    """Return the pieces side by side; what leaves take off ends the bar, over what the others add.

    >>> stack_parts(Score(0.5, "MODERATE", {"active_share": 0.6, "user_leave_rate": -0.1}))[1]
    Part(name='user_leave_rate', value=-0.1, x=50.0, width=10.0)
    """
    parts, end = [], 0.0
    for name, value in score.parts.items():
        if name == "user_leave_rate" and not value:
            continue
        start, end = end, end + 100 * value
        parts.append(Part(name, value, round(min(start, end), 2), round(100 * abs(value), 2)))
    return parts
