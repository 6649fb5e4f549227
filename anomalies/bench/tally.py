"""Detections and false alarms of some sessions, and the figures that they give. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median, quantiles

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGE_LOSS = 0.5  # half of the engaged audience


@dataclass(frozen=True, slots=True)
class Detection:
    """What became of one labelled incident: after how many seconds it was alerted (None: missed), and as what.

    `loss` is the share of the engaged audience that it took, `score` the highest anomaly score that was told of it.
    """

    type: str
    delay: float | None
    is_typed: bool
    alerts: int
    first_name: str | None = None
    last_name: str | None = None
    was_critical: bool = False  # when it was first told
    is_critical: bool = False  # at its end
    score: float = 0.0
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """An alert on no incident, and what went on instead."""

    session: str
    at: datetime
    type: str
    why: str
    is_critical: bool = False  # at its end
    score: float = 0.0


@dataclass(slots=True)
class Tally:
    """Detections and false alarms of some sessions, and the figures they give; None where nothing can be said."""

    sessions: int = 0
    hours: float = 0.0
    detections: list[Detection] = field(default_factory=list)
    false_alarms: list[FalseAlarm] = field(default_factory=list)
    planned: list[FalseAlarm] = field(default_factory=list)  # in planned breaks and after the planned end

    def __iadd__(self, other: "Tally") -> "Tally":
        self.sessions += other.sessions
        self.hours += other.hours
        self.detections += other.detections
        self.false_alarms += other.false_alarms
        self.planned += other.planned
        return self

    def of_type(self, incident_type: str) -> "Tally":
        """Return what concerns one type: the incidents that are labelled so, the false alarms that say so."""
        return Tally(
            self.sessions,
            self.hours,
            [detection for detection in self.detections if detection.type == incident_type],
            [alarm for alarm in self.false_alarms if alarm.type == incident_type],
            [alarm for alarm in self.planned if alarm.type == incident_type],
        )

    @property
    def found(self) -> int:
        return len(self.delays)

    @property
    def delays(self) -> list[float]:
        return [detection.delay for detection in self.detections if detection.delay is not None]

    @property
    def recall(self) -> float | None:
        return _ratio(self.found, len(self.detections))

    @property
    def typed(self) -> float | None:
        """The share of the incidents that were found and, at some point, named rightly."""
        return _ratio(sum(detection.is_typed for detection in self.detections), len(self.detections))

    @property
    def precision(self) -> float | None:
        """Incidents found among these and the false alarms: repeating an alert does not raise it."""
        return _ratio(self.found, self.found + len(self.false_alarms))

    @property
    def false_alarms_per_hour(self) -> float | None:
        return _ratio(len(self.false_alarms), self.hours)

    @property
    def storm(self) -> float | None:
        """Alerts for each incident that was found."""
        return _ratio(sum(detection.alerts for detection in self.detections), self.found)

    @property
    def median_delay(self) -> float | None:
        return median(self.delays) if self.delays else None

    @property
    def late_delay(self) -> float | None:
        """The delay that 19 of 20 found incidents stay within."""
        return quantiles(self.delays, n=20, method="inclusive")[-1] if self.found > 1 else self.median_delay

    def within(self, seconds: float) -> float | None:
        """Return the share of the incidents that were found so fast."""
        return _ratio(sum(delay <= seconds for delay in self.delays), len(self.detections))

    @property
    def critical(self) -> float | None:
        """The share of the found incidents that became CRITICAL."""
        return _ratio(sum(detection.is_critical for detection in self._found), self.found)

    @property
    def critical_at_first(self) -> float | None:
        """The share of the found incidents that were CRITICAL when they were first told."""
        return _ratio(sum(detection.was_critical for detection in self._found), self.found)

    @property
    def false_critical(self) -> float | None:
        """The share of the false alarms that became CRITICAL."""
        return _ratio(sum(alarm.is_critical for alarm in self.false_alarms), len(self.false_alarms))

    def critical_of_losses(self, is_large: bool) -> float | None:
        """Return the share that became CRITICAL of the found incidents with a large loss, or of the others."""
        those = [each for each in self._found if each.loss is not None and (each.loss >= LARGE_LOSS) == is_large]
        return _ratio(sum(detection.is_critical for detection in those), len(those))

    @property
    def severity_correlation(self) -> float | None:
        """Spearman's rank correlation of severity, and within it of the anomaly score, with what was lost."""
        return self._correlate(lambda detection: detection.is_critical + detection.score)

    @property
    def score_correlation(self) -> float | None:
        """Spearman's rank correlation of the highest anomaly score with what was lost."""
        return self._correlate(lambda detection: detection.score)

    def _correlate(self, measure: Callable[[Detection], float]) -> float | None:
        known = [(measure(each), each.loss) for each in self._found if each.loss is not None]
        return rank_correlation(*zip(*known, strict=True)) if known else None

    @property
    def _found(self) -> list[Detection]:
        return [detection for detection in self.detections if detection.delay is not None]

    def figures(self) -> dict[str, float | int | None]:
        """Return all figures by name, unrounded."""
        return {
            "sessions": self.sessions,
            "hours": self.hours,
            "incidents": len(self.detections),
            "found": self.found,
            "recall": self.recall,
            "typed": self.typed,
            "precision": self.precision,
            "median_delay_seconds": self.median_delay,
            "p95_delay_seconds": self.late_delay,
            "within_10_seconds": self.within(10),
            "within_30_seconds": self.within(30),
            "false_alarms": len(self.false_alarms),
            "false_alarms_per_hour": self.false_alarms_per_hour,
            "planned_alarms": len(self.planned),
            "alerts_per_incident": self.storm,
            "critical": self.critical,
            "critical_at_first": self.critical_at_first,
            "critical_of_large_losses": self.critical_of_losses(is_large=True),
            "critical_of_other_losses": self.critical_of_losses(is_large=False),
            "critical_false_alarms": self.false_critical,
            "severity_to_loss": self.severity_correlation,
            "score_to_loss": self.score_correlation,
        }


def sum_up(tallies: Iterable[Tally]) -> Tally:
    """Return the tally of all of them together."""
    total = Tally()
    for tally in tallies:
        total += tally
    return total


def rank_correlation(left: ArrayLike, right: ArrayLike) -> float | None:
    """Return Spearman's rank correlation, equal values sharing their mean rank; None where one of them is constant.

    >>> round(rank_correlation([1, 2, 3, 4], [10, 20, 20, 90]), 3)
    0.949
    >>> rank_correlation([1, 1], [2, 3]) is None
    True
    """
    ranks = np.array([_ranks(np.asarray(left)), _ranks(np.asarray(right))])
    if (ranks.min(axis=1) == ranks.max(axis=1)).any():
        return None
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
