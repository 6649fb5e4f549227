"""Turn a reading into an engagement score between 0 and 1, with its breakdown. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import log1p

from engagement.readings import SIGNALS, Reading, Signal, StoredReading
from engagement.turnout import Polling, Turnout, compare

GAINS = tuple(signal for signal in SIGNALS if signal.weight > 0)
LOSSES = tuple(signal for signal in SIGNALS if signal.is_loss)
# Name, weight and log(1 + full): every row is scored when it is stored, and looking these up costs more than the sum.
GAINS_IN_SHORT = tuple(
    (signal.name, signal.weight, None if signal.full is None else log1p(signal.full)) for signal in GAINS
)
POLL = "poll_participation"
# What weighs less than the lightest signal does says nothing by itself: a poll in its first seconds.
LEAST_WEIGHT = min(signal.weight for signal in GAINS)
FIELDS = tuple(field.name for field in fields(Reading))
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


def score(reading: Reading, turnout: Turnout | None = None) -> Score | None:
    """Return the score of one reading, or None where no signal says how engaged the audience is.

    `turnout` is what polls say in it, where the readings before it are known (see `Polling`); None: what it says of
    them by itself.

    The score is the weighted mean of the known signals, so the weight of an unknown one is shared out among
    the known in proportion and the best possible score is always 1. Chat and reactions count logarithmically,
    `log(1 + x) / log(1 + full)`, full at 20 messages and 10 reactions a minute. The participation in a poll counts
    beside what a poll of its age can have, and weighs as much of its weight as that is: what nobody can have voted yet
    is unknown. The leave rate takes off up to its own weight, never below 0.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> score(Reading(at, 20, 1.0, 50, 50, 10, 0.0)).value
    1.0
    >>> score(Reading(at, chat_msgs_per_min=0, active_users=5, total_users=10)).value
    0.22727272727272727
    >>> score(Reading(at, total_users=10)) is None
    True
    """
    parts = _find_parts(reading, turnout)
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
    return count_score(reading)


def count_score(reading: Reading, turnout: Turnout | None = None) -> float | None:
    """Return the value of the score that `score` finds."""
    parts = _find_parts(reading, turnout)
    return _add(parts) if parts else None


def score_in_order(readings: Sequence[Reading]) -> Sequence[Reading]:
    """Return the readings of a session, oldest first, from its first one on, with the scores they are judged by.

    >>> from datetime import UTC, datetime, timedelta
    >>> at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> polls = enumerate((None, 0.0, 0.2, 0.4, None, None, None, None))
    >>> rows = score_in_order([Reading(at + timedelta(seconds=20 * n), 20, poll) for n, poll in polls])
    >>> [round(find_score(row), 2) for row in rows]
    [1.0, 1.0, 0.84, 0.82, 0.82, 0.86, 0.92, 1.0]
    """
    if all(reading.poll_participation is None for reading in readings):
        return readings
    polling = Polling()
    return [
        StoredReading(
            **{name: getattr(reading, name) for name in FIELDS},
            engagement_score=count_score(reading, hear_polls(polling, reading)),
        )
        for reading in readings
    ]


def hear_polls(polling: Polling, reading: Reading) -> Turnout:
    """Return what polls say in the next reading of a session."""
    return polling.hear(reading.timestamp.timestamp(), reading.poll_participation, reading.poll_age_seconds)


def _find_parts(reading: Reading, turnout: Turnout | None) -> dict[str, float]:
    """Return what each known signal adds; nothing where none says how engaged the audience is."""
    known: list[tuple[str, float]] = []
    total_weight = 0.0
    if turnout is None and reading.poll_participation is not None:
        turnout = compare(reading.poll_participation, reading.poll_age_seconds)
    for name, weight, full in GAINS_IN_SHORT:
        if name == POLL:
            if turnout is not None and turnout.weight:
                weight *= turnout.weight
                known.append((name, weight * turnout.share))
                total_weight += weight
            continue
        value = getattr(reading, name)
        if value is not None:
            known.append((name, weight * (value if full is None else min(1.0, log1p(value) / full))))
            total_weight += weight
    if total_weight < LEAST_WEIGHT:
        return {}
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
