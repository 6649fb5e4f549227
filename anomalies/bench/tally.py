"""Detections and false alarms of some sessions, and the figures that they give. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median, quantiles


@dataclass(frozen=True, slots=True)
class Detection:
    """What became of one labelled incident: after how many seconds it was alerted (None: missed), and as what."""

    type: str
    delay: float | None
    is_typed: bool
    alerts: int


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """An alert on no incident, and what went on instead."""

    session: str
    at: datetime
    type: str
    why: str


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
        }


def sum_up(tallies: Iterable[Tally]) -> Tally:
    """Return the tally of all of them together."""
    total = Tally()
    for tally in tallies:
        total += tally
    return total


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
