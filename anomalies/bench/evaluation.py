"""Score incidents against a labelled corpus: recall, precision, delay, false alarms. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from anomalies.bench.corpus import Label, LabelledSession
from anomalies.bench.losses import find_loss
from anomalies.bench.tally import Detection, FalseAlarm, Tally, sum_up
from anomalies.detector.changes import Step
from anomalies.detector.replay import Incident, judge_sessions
from anomalies.detector.timetables import Timetable
from engagement.readings import Reading
from engagement.scoring import score_in_order

TYPES = ("MASS_EXIT", "LOW_ENGAGEMENT", "SUDDEN_DROP", "GRADUAL_DECLINE")
MISSED = "missed"
CRITICAL = "CRITICAL"
ECHO = timedelta(seconds=60)  # an alert so soon after an incident's end still is about it
AFTERMATH = timedelta(minutes=3)  # and so soon after that it is false, but one sees why
PLANNED = ("planned break", "planned end")  # alerts there are counted apart
ROOMS = ((12, "up to 12"), (20, "13 to 20"), (100, "21 to 100"), (500, "101 to 500"), (float("inf"), "over 500"))
KNOWN = ("activity", "actors", "connections", "chat")  # who looks; who did something; who is there; nobody
BATCH = 50  # sessions that are judged together: enough to be fast, few enough to show progress

Judge = Callable[[Mapping[str, tuple[Sequence[Reading], Timetable]]], Mapping[str, Sequence[Incident]]]


@dataclass(frozen=True, slots=True)
class Alert:
    """What an organizer is told: an incident opened, or it is of another type than was thought."""

    at: datetime
    type: str
    incident: Incident


@dataclass(frozen=True, slots=True)
class ScoredSession:
    """What came out in one session, and what sort of session it was."""

    room: str
    known: str
    tally: Tally


@dataclass(slots=True)
class Evaluation:
    """How a detector did on a corpus: session by session, and summed up in several ways."""

    sessions: list[ScoredSession] = field(default_factory=list)

    @property
    def total(self) -> Tally:
        return sum_up(scored.tally for scored in self.sessions)

    @property
    def by_type(self) -> dict[str, Tally]:
        total = self.total
        return {name: total.of_type(name) for name in TYPES}

    @property
    def by_room(self) -> dict[str, Tally]:
        """Return the sums of the sizes of rooms that there were, the smallest first."""
        return _group([(scored.room, scored.tally) for scored in self.sessions], [name for _, name in ROOMS])

    @property
    def by_known(self) -> dict[str, Tally]:
        """Return the sums by what is known of who is active."""
        return _group([(scored.known, scored.tally) for scored in self.sessions], KNOWN)

    @property
    def by_half(self) -> dict[str, Tally]:
        """Return the sums of every other session: what was tuned on one half must hold on the other."""
        halves = {"even sessions": self.sessions[::2], "odd sessions": self.sessions[1::2]}
        return {name: sum_up(scored.tally for scored in half) for name, half in halves.items()}

    @property
    def names(self) -> dict[str, Counter[str]]:
        """Return of the incidents of each type by which name they were last told, or that they were missed."""
        return {
            name: Counter(detection.last_name or MISSED for detection in tally.detections)
            for name, tally in self.by_type.items()
        }

    def figures(self) -> dict[str, object]:
        """Return everything as plain values that JSON can hold."""
        total = self.total
        return {
            "total": total.figures(),
            **{
                name: {group: tally.figures() for group, tally in groups.items()}
                for name, groups in (
                    ("by_type", self.by_type),
                    ("by_room", self.by_room),
                    ("by_known", self.by_known),
                    ("by_half", self.by_half),
                )
            },
            "names": {name: dict(told) for name, told in self.names.items()},
            "false_alarms_by_reason": dict(Counter(alarm.why for alarm in total.false_alarms).most_common()),
            "planned_alarms_by_reason": dict(Counter(alarm.why for alarm in total.planned).most_common()),
            "false_alarms": [
                {"session": alarm.session, "at": alarm.at.isoformat(), "type": alarm.type, "why": alarm.why}
                for alarm in total.false_alarms
            ],
        }


def evaluate(
    sessions: Sequence[LabelledSession],
    judge: Judge = judge_sessions,
    progress: Callable[[int], object] = lambda count: None,
) -> Evaluation:
    """Judge the sessions and score what comes out; `progress` hears how many were done."""
    evaluation = Evaluation()
    for start in range(0, len(sessions), BATCH):
        batch = sessions[start : start + BATCH]
        judged = judge({session.name: (score_in_order(session.rows), session.timetable) for session in batch})
        evaluation.sessions += [
            ScoredSession(_room(session), known_activity(session), score_session(session, judged[session.name]))
            for session in batch
        ]
        progress(len(batch))
    return evaluation


def score_session(session: LabelledSession, incidents: Iterable[Incident]) -> Tally:
    """Match the alerts of one session to its labels.

    An alert from an incident's start to a minute after its end is credited to it: to one of its own type first,
    then to the one that began last. Every other alert is false, and is set down to what is labelled there.
    """
    labels = [label for label in session.labels if label.type is not None]
    credited: dict[int, list[Alert]] = {place: [] for place in range(len(labels))}
    tally = Tally(sessions=1, hours=_seconds(session) / 3600)
    for alert in sorted(_alerts(incidents), key=lambda alert: alert.at):
        hits = [place for place, label in enumerate(labels) if label.start <= alert.at <= label.end + ECHO]
        if hits:
            best = max(hits, key=lambda place: (labels[place].type == alert.type, labels[place].start))
            credited[best].append(alert)
            continue
        why = _why(session, alert.at)
        alarms = tally.planned if why in PLANNED else tally.false_alarms
        is_critical = _is_critical(alert.incident)
        alarms.append(FalseAlarm(session.name, alert.at, alert.type, why, is_critical, _score(alert.incident)))
    tally.detections = [_detection(session, label, credited[place]) for place, label in enumerate(labels)]
    return tally


def _alerts(incidents: Iterable[Incident]) -> Iterator[Alert]:
    for incident in incidents:
        yield Alert(incident.timestamp, incident.anomaly_type, incident)
        for change in incident.changes:
            if change.step == Step.RETYPED:
                yield Alert(change.at, change.anomaly_type, incident)


def _detection(session: LabelledSession, label: Label, alerts: Sequence[Alert]) -> Detection:
    kind, loss = str(label.type), find_loss(session, label)
    if not alerts:
        return Detection(kind, None, is_typed=False, alerts=0, loss=loss)
    names = [name for alert in alerts for name in (alert.type, *_corrections(alert))]
    about = [alert.incident for alert in alerts]
    return Detection(
        kind,
        (alerts[0].at - label.start).total_seconds(),
        is_typed=kind in names,
        alerts=len(alerts),
        first_name=names[0],
        last_name=names[-1],
        was_critical=about[0].severity == CRITICAL,
        is_critical=any(_is_critical(incident) for incident in about),
        score=max(_score(incident) for incident in about),
        loss=loss,
    )


def _corrections(alert: Alert) -> list[str]:
    """Return the names that an opening was given instead of its own: no alert, as it was told already."""
    is_opening = alert.at == alert.incident.timestamp
    changes = alert.incident.changes if is_opening else []
    return [change.anomaly_type for change in changes if change.step == Step.CORRECTED]


def _is_critical(incident: Incident) -> bool:
    return CRITICAL in (incident.severity, *(change.severity for change in incident.changes))


def _score(incident: Incident) -> float:
    """Return the highest anomaly score that was told of an incident; its end tells of none."""
    told = [change.anomaly_score for change in incident.changes if change.step != Step.RESOLVED]
    return max([incident.anomaly_score, *told])


def _why(session: LabelledSession, at: datetime) -> str:
    """Return what went on at a moment at which no incident did: the plan first, then the shortest stretch."""
    if session.ends_at is not None and at >= session.ends_at:
        return "planned end"
    if any(start <= at <= end + ECHO for start, end in session.breaks):
        return "planned break"
    quiet = [label for label in session.labels if label.type is None and label.start <= at <= label.end + ECHO]
    if quiet:
        return min(quiet, key=lambda label: (label.why not in PLANNED, label.end - label.start)).why
    if any(label.type and timedelta(0) < at - label.end <= ECHO + AFTERMATH for label in session.labels):
        return "aftermath of an incident"
    return "nothing in particular"


def _room(session: LabelledSession) -> str:
    people = session.audience or max((row.total_users or row.active_users or 0 for row in session.rows), default=0)
    return next(name for most, name in ROOMS if people <= most)


def known_activity(session: LabelledSession) -> str:
    """Return which of KNOWN the platform tells: what the corpus says, else what the rows look like.

    Whoever acts cannot be told from whoever looks by single rows, so without a word from the corpus both are
    "activity".
    """
    if session.emits in KNOWN:
        return session.emits
    if all(row.total_users is None and row.active_users is None for row in session.rows):
        return "chat"
    if all(row.active_users in (None, row.total_users) for row in session.rows):
        return "connections"
    return "activity"


def _seconds(session: LabelledSession) -> float:
    if not session.rows:
        return 0.0
    first = session.starts_at or session.rows[0].timestamp
    return max(0.0, (session.rows[-1].timestamp - first).total_seconds())


def _group(tallies: Sequence[tuple[str, Tally]], order: Iterable[str]) -> dict[str, Tally]:
    found = {name: sum_up(tally for group, tally in tallies if group == name) for name in order}
    return {name: tally for name, tally in found.items() if tally.sessions}
