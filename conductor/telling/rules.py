"""What a channel is told of an incident's life, and when it is tried again. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum

SEVERITIES = ("WARNING", "CRITICAL")
PAST = timedelta(minutes=5)  # older rows are of a recording, or of a backlog: people are not woken by them
RETRY_SECONDS: tuple[float, ...] = (5, 30, 120, 300, 900, 1_800, 3_600, 7_200, 10_800)  # the last one again and again
JITTER = 0.3  # part of a wait by which it may be longer or shorter
LONGEST_REST_SECONDS = 60.0
KEEPS_TRYING = {"webhook": timedelta(days=1), "mail": timedelta(hours=1), "chat": timedelta(hours=1)}


class Kind(StrEnum):
    """What happened to an incident."""

    DETECTED = "anomaly.detected"
    WORSENED = "anomaly.worsened"
    UPDATED = "anomaly.updated"
    RESOLVED = "anomaly.resolved"


class Telling(Enum):
    NOTHING = "nothing"
    MESSAGE = "a message"
    WITHDRAWAL = "what waits for its time is withdrawn"
    AMENDMENT = "what waits for its time says how it is now"


@dataclass(frozen=True, slots=True)
class Wish:
    """How much a channel wants to be told."""

    kind: str  # webhook, mail or chat
    types: frozenset[str]  # empty: all
    least_severity: str
    delay_seconds: int
    tells_end: bool


@dataclass(frozen=True, slots=True)
class Happening:
    """One step of an incident, and how the incident stands after it."""

    kind: Kind
    severity: str
    at: datetime  # of the row or of the act
    is_handled: bool  # acknowledged, dismissed, or snoozed just now: somebody knows


@dataclass(frozen=True, slots=True)
class Told:
    """What a channel has been told of the incident before; what was withdrawn does not count."""

    is_any: bool = False
    is_waiting: bool = False  # nothing has been sent yet, as the delay is not over
    due_at: datetime | None = None  # of the first


def decide(wish: Wish, now: datetime, step: Happening, told: Told) -> Telling:
    """Return what a channel is told of a step."""
    if told.is_waiting and step.kind == Kind.RESOLVED:
        return Telling.WITHDRAWAL
    if wish.kind == "webhook":
        return _decide_webhook(wish, step, told)
    return _decide_people(wish, now, step, told)


def _decide_webhook(wish: Wish, step: Happening, told: Told) -> Telling:
    if not is_severe(step.severity, wish.least_severity) or (wish.types and step.kind not in wish.types):
        return Telling.NOTHING
    if step.kind == Kind.RESOLVED and (not wish.tells_end or (wish.delay_seconds and not told.is_any)):
        return Telling.NOTHING
    return Telling.MESSAGE


def _decide_people(wish: Wish, now: datetime, step: Happening, told: Told) -> Telling:
    """People get one message of an incident and one of its end, and none of what somebody is at already."""
    if told.is_waiting and step.is_handled:
        return Telling.WITHDRAWAL
    if step.is_handled or now - step.at > PAST:
        return Telling.NOTHING
    if step.kind == Kind.RESOLVED:
        return Telling.MESSAGE if wish.tells_end and told.is_any else Telling.NOTHING
    if told.is_waiting:
        return Telling.AMENDMENT
    is_news = step.kind in (Kind.DETECTED, Kind.WORSENED) and not told.is_any
    return Telling.MESSAGE if is_news and is_severe(step.severity, wish.least_severity) else Telling.NOTHING


def is_severe(severity: str, least: str) -> bool:
    """Tell whether a severity is at least another.

    >>> is_severe("CRITICAL", "WARNING"), is_severe("WARNING", "CRITICAL")
    (True, False)
    """
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)


def find_due(wish: Wish, now: datetime, told: Told) -> datetime:
    """Return when a message may be sent: the first of an incident after the delay, and no other before it."""
    if told.is_waiting and told.due_at is not None:
        return max(now, told.due_at)
    return now if told.is_any else now + timedelta(seconds=wish.delay_seconds)


def find_retry(attempts: int, chance: float) -> timedelta:
    """Return how long to wait after so many attempts; `chance` from 0 to 1 spreads those that failed together.

    >>> [round(find_retry(attempts, 0.5).total_seconds()) for attempts in (1, 2, 99)]
    [5, 30, 10800]
    """
    seconds = RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1]
    return timedelta(seconds=seconds * (1 + JITTER * (2 * chance - 1)))


def find_rest(failures: int, chance: float) -> timedelta:
    """Return how long a channel rests after so many failures in a row; its other messages wait as well.

    >>> find_rest(1, 0.5).total_seconds(), find_rest(50, 0.5).total_seconds()
    (1.0, 60.0)
    """
    seconds = min(2.0 ** min(failures - 1, 10), LONGEST_REST_SECONDS)
    return timedelta(seconds=seconds * (1 + JITTER * (2 * chance - 1)))


def is_over(kind: str, created_at: datetime, again_at: datetime) -> bool:
    """Tell whether the next attempt would be too late to be of use."""
    return again_at - created_at > KEEPS_TRYING[kind]
