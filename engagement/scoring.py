"""Turn a reading into an engagement score between 0 and 1, with its breakdown. Pure."""

from dataclasses import dataclass
from math import log1p

from engagement.readings import Reading

WEIGHTS = {
    "chat_msgs_per_min": 0.30,
    "poll_participation": 0.25,
    "active_share": 0.25,
    "reactions_per_min": 0.10,
}
LEAVE_WEIGHT = 0.10
FULL_CHATS_PER_MINUTE = 20.0
FULL_REACTIONS_PER_MINUTE = 10.0

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
    shares = {
        "chat_msgs_per_min": _logarithmic(reading.chat_msgs_per_min, FULL_CHATS_PER_MINUTE),
        "poll_participation": reading.poll_participation,
        "active_share": reading.active_share,
        "reactions_per_min": _logarithmic(reading.reactions_per_min, FULL_REACTIONS_PER_MINUTE),
    }
    known = {name: share for name, share in shares.items() if share is not None}
    if not known:
        return None
    total_weight = sum(WEIGHTS[name] for name in known)
    parts = {name: WEIGHTS[name] * share / total_weight for name, share in known.items()}
    gained = sum(parts.values())
    if reading.user_leave_rate is not None:
        parts["user_leave_rate"] = 0.0 - min(gained, LEAVE_WEIGHT * reading.user_leave_rate / total_weight)
    value = min(1.0, max(0.0, sum(parts.values())))
    return Score(value, level(value), parts)


def _logarithmic(rate: float | None, full: float) -> float | None:
    return None if rate is None else min(1.0, log1p(rate) / log1p(full))
