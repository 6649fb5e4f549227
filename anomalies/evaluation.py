"""Score incidents against a labelled corpus: recall, precision, delay, false alarms. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median, quantiles

from anomalies.incidents import Step, Timetable
from anomalies.replay import Incident, judge_sessions
from engagement.readings import Reading
from engagement.recordings.corpus import Label, LabelledSession

TYPES = ("MASS_EXIT", "LOW_ENGAGEMENT", "SUDDEN_DROP", "GRADUAL_DECLINE")
GRACE = timedelta(seconds=60)  # an alert so soon after an incident's end still is about it
AFTERMATH = timedelta(minutes=3)  # and so soon after that it is false, but one sees why
PLANNED = ("planned break", "planned end")  # alerts there are counted apart
ROOMS = ((20, "up to 20"), (100, "21 to 100"), (500, "101 to 500"), (float("inf"), "over 500"))
BATCH = 50  # sessions that are judged together: enough to be fast, few enough to show progress

Judge = Callable[[Mapping[str, tuple[Sequence[Reading], Timetable]]], Mapping[str, Sequence[Incident]]]


@dataclass(frozen=True, slots=True)
class Alert:
    """What an organizer is told: an incident opened, or it is of another type than was thought."""

    at: datetime
    type: str


@dataclass(frozen=True, slots=True)
class Finding:
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
    """Findings and false alarms of some sessions, and the figures they give; None where nothing can be said."""

    sessions: int = 0
    hours: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    false_alarms: list[FalseAlarm] = field(default_factory=list)
    planned: list[FalseAlarm] = field(default_factory=list)  # in planned breaks and after the planned end

    def __iadd__(self, other: "Tally") -> "Tally":
        self.sessions += other.sessions
        self.hours += other.hours
        self.findings += other.findings
        self.false_alarms += other.false_alarms
        self.planned += other.planned
        return self

    def of_type(self, incident_type: str) -> "Tally":
        """Return what concerns one type: the incidents that are labelled so, the false alarms that say so."""
        return Tally(
            self.sessions,
            self.hours,
            [finding for finding in self.findings if finding.type == incident_type],
            [alarm for alarm in self.false_alarms if alarm.type == incident_type],
            [alarm for alarm in self.planned if alarm.type == incident_type],
        )

    @property
    def found(self) -> int:
        return len(self.delays)

    @property
    def delays(self) -> list[float]:
        return [finding.delay for finding in self.findings if finding.delay is not None]

    @property
    def recall(self) -> float | None:
        return _ratio(self.found, len(self.findings))

    @property
    def typed(self) -> float | None:
        """The share of the incidents that were found and, at some point, named rightly."""
        return _ratio(sum(finding.is_typed for finding in self.findings), len(self.findings))

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
        return _ratio(sum(finding.alerts for finding in self.findings), self.found)

    @property
    def median_delay(self) -> float | None:
        return median(self.delays) if self.delays else None

    @property
    def late_delay(self) -> float | None:
        """The delay that 19 of 20 found incidents stay within."""
        return quantiles(self.delays, n=20, method="inclusive")[-1] if self.found > 1 else self.median_delay

    def within(self, seconds: float) -> float | None:
        """Return the share of the incidents that were found so fast."""
        return _ratio(sum(delay <= seconds for delay in self.delays), len(self.findings))

    def figures(self) -> dict[str, float | int | None]:
        """Return all figures by name, unrounded."""
        return {
            "sessions": self.sessions,
            "hours": self.hours,
            "incidents": len(self.findings),
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


@dataclass(slots=True)
class Evaluation:
    """How a detector did on a corpus: in all, by type of incident, and by size of the room."""

    total: Tally = field(default_factory=Tally)
    by_room: dict[str, Tally] = field(default_factory=dict)

    @property
    def by_type(self) -> dict[str, Tally]:
        return {name: self.total.of_type(name) for name in TYPES}

    def figures(self) -> dict[str, object]:
        """Return everything as plain values that JSON can hold."""
        return {
            "total": self.total.figures(),
            "by_type": {name: tally.figures() for name, tally in self.by_type.items()},
            "by_room": {name: tally.figures() for name, tally in self.by_room.items()},
            "false_alarms_by_reason": dict(Counter(alarm.why for alarm in self.total.false_alarms).most_common()),
            "planned_alarms_by_reason": dict(Counter(alarm.why for alarm in self.total.planned).most_common()),
            "false_alarms": [
                {"session": alarm.session, "at": alarm.at.isoformat(), "type": alarm.type, "why": alarm.why}
                for alarm in self.total.false_alarms
            ],
        }


def evaluate(
    sessions: Sequence[LabelledSession],
    judge: Judge = judge_sessions,
    progress: Callable[[int], object] = lambda count: None,
) -> Evaluation:
    """Judge the sessions and score what comes out; `progress` hears how many were done."""
    evaluation = Evaluation(by_room={name: Tally() for _, name in ROOMS})
    for start in range(0, len(sessions), BATCH):
        batch = sessions[start : start + BATCH]
        judged = judge({session.name: (session.rows, timetable(session)) for session in batch})
        for session in batch:
            tally = score_session(session, judged[session.name])
            evaluation.total += tally
            evaluation.by_room[_room(session)] += tally
        progress(len(batch))
    return evaluation


def timetable(session: LabelledSession) -> Timetable:
    """Return what the detector is told of the plan."""
    return Timetable(session.starts_at, session.ends_at, session.breaks)


def score_session(session: LabelledSession, incidents: Iterable[Incident]) -> Tally:
    """Match the alerts of one session to its labels.

    An alert from an incident's start to a minute after its end is credited to it: to one of its own type first,
    then to the one that began last. Every other alert is false, and is set down to what is labelled there.
    """
    labels = [label for label in session.labels if label.type is not None]
    credited: dict[int, list[Alert]] = {place: [] for place in range(len(labels))}
    tally = Tally(sessions=1, hours=_seconds(session) / 3600)
    for alert in sorted(_alerts(incidents), key=lambda alert: alert.at):
        hits = [place for place, label in enumerate(labels) if label.start <= alert.at <= label.end + GRACE]
        if hits:
            best = max(hits, key=lambda place: (labels[place].type == alert.type, labels[place].start))
            credited[best].append(alert)
            continue
        why = _why(session, alert.at)
        alarms = tally.planned if why in PLANNED else tally.false_alarms
        alarms.append(FalseAlarm(session.name, alert.at, alert.type, why))
    tally.findings = [_finding(label, credited[place]) for place, label in enumerate(labels)]
    return tally


def _alerts(incidents: Iterable[Incident]) -> Iterator[Alert]:
    for incident in incidents:
        yield Alert(incident.timestamp, incident.anomaly_type)
        for change in incident.changes:
            if change.step == Step.RETYPED:
                yield Alert(change.at, change.anomaly_type)


def _finding(label: Label, alerts: Sequence[Alert]) -> Finding:
    delay = (alerts[0].at - label.start).total_seconds() if alerts else None
    return Finding(str(label.type), delay, any(alert.type == label.type for alert in alerts), len(alerts))


def _why(session: LabelledSession, at: datetime) -> str:
    """Return what went on at a moment at which no incident did: the plan first, then the shortest stretch."""
    if session.ends_at is not None and at >= session.ends_at:
        return "planned end"
    if any(start <= at <= end + GRACE for start, end in session.breaks):
        return "planned break"
    quiet = [label for label in session.labels if label.type is None and label.start <= at <= label.end + GRACE]
    if quiet:
        return min(quiet, key=lambda label: (label.why not in PLANNED, label.end - label.start)).why
    if any(label.type and timedelta(0) < at - label.end <= GRACE + AFTERMATH for label in session.labels):
        return "aftermath of an incident"
    return "nothing in particular"


def _room(session: LabelledSession) -> str:
    people = session.audience or max((row.total_users or row.active_users or 0 for row in session.rows), default=0)
    return next(name for most, name in ROOMS if people <= most)


def _seconds(session: LabelledSession) -> float:
    if not session.rows:
        return 0.0
    first = session.starts_at or session.rows[0].timestamp
    return max(0.0, (session.rows[-1].timestamp - first).total_seconds())


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
