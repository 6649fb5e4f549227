"""Turn a reading into an engagement score between 0 and 1, with its breakdown. Pure."""

from dataclasses import dataclass
from math import log1p

from engagement.readings import SIGNALS, Reading, Signal, StoredReading

GAINS = tuple(signal for signal in SIGNALS if signal.weight > 0)
LOSSES = tuple(signal for signal in SIGNALS if signal.is_loss)
# Name, weight and log(1 + full): every row is scored when it is stored, and looking these up costs more than the sum.
GAINS_IN_SHORT = tuple(
    (signal.name, signal.weight, None if signal.full is None else log1p(signal.full)) for signal in GAINS
)
LEVELS = (("VERY_HIGH", 0.8), ("HIGH", 0.6), ("MODERATE", 0.4), ("LOW", 0.2), ("VERY_LOW", 0.0))


@dataclass(frozen=True, slots=True)
class Score:
    """An engagement score (0..1), its level, and what each known signal adds; the parts sum to the value."""

    value: float
    level: str
    parts: dict[str, float]


def level(value: float) -> str:
    """Return the name of the level that a score (0..1) reaches.

    >>> [level(v) for v in (0.8, 0.79, 0.4, 0.2, 0.1)]
    ['VERY_HIGH', 'HIGH', 'MODERATE', 'LOW', 'VERY_LOW']
    """
    return next(name for name, least in LEVELS if value >= least)


def score(reading: Reading) -> Score | None:
    """Return the score of one reading, or None where no signal says how engaged the audience is.

    The score is the weighted mean of the known signals, so the weight of an unknown one is shared out among
    the known in proportion and the best possible score is always 1. Chat and reactions count logarithmically,
    `log(1 + x) / log(1 + full)`, full at 20 messages and 10 reactions a minute. The leave rate takes off
    up to its own weight, never below 0.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> score(Reading(at, 20, 1.0, 50, 50, 10, 0.0)).value
    1.0
    >>> score(Reading(at, chat_msgs_per_min=0, active_users=5, total_users=10)).value
    0.22727272727272727
    >>> score(Reading(at, total_users=10)) is None
    True
    """
    parts = _find_parts(reading)
    if not parts:
        return None
    value = _add(parts)
    return Score(value, level(value), parts)


def find_score(reading: Reading) -> float | None:
    """Return the value of a reading's score: the one it was stored with, else counted now.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> find_score(Reading(at, 20)), find_score(StoredReading(at, 20, engagement_score=0.9)), find_score(Reading(at))
    (1.0, 0.9, None)
    """
    if isinstance(reading, StoredReading):
        return reading.engagement_score
    parts = _find_parts(reading)
    return _add(parts) if parts else None


def _find_parts(reading: Reading) -> dict[str, float]:
    """Return what each known signal adds; nothing where none says how engaged the audience is."""
    known: list[tuple[str, float]] = []
    total_weight = 0.0
    for name, weight, full in GAINS_IN_SHORT:
        value = getattr(reading, name)
        if value is not None:
            known.append((name, weight * (value if full is None else min(1.0, log1p(value) / full))))
            total_weight += weight
    parts = {name: weighted / total_weight for name, weighted in known}
    for signal in LOSSES if known else ():
        if (value := getattr(reading, signal.name)) is not None:
            parts[signal.name] = 0.0 - min(sum(parts.values()), -signal.weight * value / total_weight)
    return parts


def _add(parts: dict[str, float]) -> float:
    return min(1.0, max(0.0, sum(parts.values())))


def fullness(signal: Signal, value: float) -> float:
    """Return how much (0..1) of what a signal can be in the score a value is.

    >>> from engagement.readings import BY_NAME
    >>> fullness(BY_NAME["poll_participation"], 0.4), fullness(BY_NAME["reactions_per_min"], 99)
    (0.4, 1.0)
    """
    return value if signal.full is None else min(1.0, log1p(value) / log1p(signal.full))
