"""What every rival shares: the score it looks at, the types it can name, how often it may speak. Pure."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, pstdev

from anomalies.detector.config import DEFAULT
from anomalies.detector.replay import Incident
from anomalies.detector.timetables import Timetable
from engagement.readings import Reading
from engagement.scoring import find_score

BASELINE_ROWS = 30
LEAST_ROWS = 5  # fewer are too early to say
LEAST_SPREAD = 0.01  # a score that never moved is not sure to a hair
HALF_MINUTE = 6  # rows
COOLDOWN = timedelta(seconds=30)  # for each type


@dataclass(frozen=True, slots=True)
class Suspicion:
    """How sure a rival is at one row that something is wrong, on its own scale, and what it would call it."""

    at: datetime
    strength: float
    type: str


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A row as the rivals see it: its score, against the 30 rows before, and what it would be called.

    `z` is None where that is too early to say; `deviation` is relative, and never negative.
    """

    reading: Reading
    score: float
    z: float | None
    deviation: float
    type: str


Watched = dict[str, Sequence[Suspicion]]  # by session
Sessions = Mapping[str, tuple[Sequence[Reading], Timetable]]
Judge = Callable[[Sessions], dict[str, list[Incident]]]


@dataclass(frozen=True)
class Rival:
    """A detector to compare with: what it makes of a session's rows, and who is told of it from which threshold.

    `watch` gives what does not depend on the threshold; `alert` the moments at which somebody is told.
    `thresholds` are what its curve is drawn through, from shy to loud.
    """

    name: str
    watch: Callable[[Sequence[Reading]], Sequence[Suspicion]]
    threshold: float
    thresholds: tuple[float, ...]
    alert: Callable[[Sequence[Suspicion], float], Iterator[Suspicion]]

    def as_judge(self, threshold: float | None = None, watched: Watched | None = None) -> Judge:
        """Return what an evaluation asks; `watched` keeps what does not depend on the threshold for another time."""
        kept: Watched = {} if watched is None else watched
        least = self.threshold if threshold is None else threshold

        def judge(sessions: Sessions) -> dict[str, list[Incident]]:
            for name, (rows, _) in sessions.items():
                if name not in kept:
                    kept[name] = self.watch(rows)
            return {
                name: [
                    Incident(alarm.at, alarm.type, "WARNING", alarm.strength) for alarm in self.alert(kept[name], least)
                ]
                for name in sessions
            }

        return judge


def again_after_cooldown(suspicions: Iterable[Suspicion], threshold: float) -> Iterator[Suspicion]:
    """Yield every suspicion that reaches the threshold, of each type at most one in 30 s: the published rule."""
    told: dict[str, datetime] = {}
    for suspicion in suspicions:
        last = told.get(suspicion.type)
        if suspicion.strength >= threshold and (last is None or suspicion.at - last >= COOLDOWN):
            told[suspicion.type] = suspicion.at
            yield suspicion


def score_rows(rows: Iterable[Reading]) -> Iterator[ScoredRow]:
    """Yield the rows that have a score, oldest first."""
    before: deque[float] = deque(maxlen=BASELINE_ROWS)
    for row in rows:
        value = find_score(row)
        if value is None:
            continue
        z, deviation = None, 0.0
        if len(before) >= LEAST_ROWS:
            usual = fmean(before)
            z = (value - usual) / max(LEAST_SPREAD, pstdev(before))
            deviation = abs(value - usual) / usual if usual else 0.0
        yield ScoredRow(row, value, z, deviation, _type(row, value, before))
        before.append(value)


def _type(row: Reading, value: float, before: Sequence[float]) -> str:
    """Return the type of an anomaly in the published order.

    Many leave, or the mean of three scores is low; else it is sudden where most of the fall from the usual level
    came within the last 30 s.
    """
    if (row.user_leave_rate or 0.0) >= DEFAULT.exits.mass_rate:
        return "MASS_EXIT"
    latest = [*before, value][-3:]
    if fmean(latest) <= DEFAULT.low_engagement.score:
        return "LOW_ENGAGEMENT"
    if len(before) < HALF_MINUTE:
        return "SUDDEN_DROP"
    usual, ago = fmean(before), before[-HALF_MINUTE]
    return "SUDDEN_DROP" if usual > value and ago - value >= 0.5 * (usual - value) else "GRADUAL_DECLINE"
