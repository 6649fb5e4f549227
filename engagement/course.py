"""How a session went, minute by minute: its mean, its best and worst minutes, and where the audience moved. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean

MINUTE = timedelta(minutes=1)
SPAN = 3  # minutes that are compared with as many before
LEAST_MOVE = 0.08  # of the score: less is how any room breathes
APART = 5 * MINUTE  # between two moves that are told
MOST_MOVES = 3  # each way


@dataclass(frozen=True, slots=True)
class Minute:
    """The means of one minute's rows; None where no row knows it."""

    at: datetime
    score: float | None
    people: float | None


@dataclass(frozen=True, slots=True)
class Reached:
    """A mean of one minute, and which minute that was."""

    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """A moment at which the audience moved: the mean scores of three minutes before and after."""

    at: datetime
    before: float
    after: float

    @property
    def change(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Course:
    """The figures of a session; None where nothing says so. Every minute counts alike."""

    minutes: int  # in which there was a score
    mean_score: float | None
    peak: Reached | None
    lowest: Reached | None
    most_people: Reached | None
    mean_people: float | None
    ups: Sequence[Move]  # largest first
    downs: Sequence[Move]


def find_course(minutes: Sequence[Minute]) -> Course:
    """Return the figures of a session's minutes, oldest first.

    >>> from datetime import UTC
    >>> nine = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> course = find_course([Minute(nine, 0.5, 40), Minute(nine + MINUTE, 0.7, None)])
    >>> course.mean_score, course.peak.value, course.lowest.at == nine, course.mean_people
    (0.6, 0.7, True, 40.0)
    """
    scores = [Reached(each.score, each.at) for each in minutes if each.score is not None]
    people = [Reached(each.people, each.at) for each in minutes if each.people is not None]
    moves = _find_moves(minutes)
    return Course(
        minutes=len(scores),
        mean_score=fmean(each.value for each in scores) if scores else None,
        peak=max(scores, key=lambda each: each.value, default=None),
        lowest=min(scores, key=lambda each: each.value, default=None),
        most_people=max(people, key=lambda each: each.value, default=None),
        mean_people=fmean(each.value for each in people) if people else None,
        ups=_largest([move for move in moves if move.change >= LEAST_MOVE]),
        downs=_largest([move for move in moves if move.change <= -LEAST_MOVE]),
    )


def _find_moves(minutes: Sequence[Minute]) -> list[Move]:
    """Return the change at every minute that has three known ones before it and, with itself, three after."""
    known = {each.at: each.score for each in minutes if each.score is not None}
    moves = []
    for at in known:
        around = [at + step * MINUTE for step in range(-SPAN, SPAN)]
        if all(minute in known for minute in around):
            scores = [known[minute] for minute in around]
            moves.append(Move(at, fmean(scores[:SPAN]), fmean(scores[SPAN:])))
    return moves


def _largest(moves: Sequence[Move]) -> list[Move]:
    """Return the largest moves, of those that are close to each other only the largest."""
    told: list[Move] = []
    for move in sorted(moves, key=lambda move: -abs(move.change)):
        if len(told) < MOST_MOVES and all(abs(move.at - other.at) >= APART for other in told):
            told.append(move)
    return told
