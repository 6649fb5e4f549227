"""Judge new rows and keep what was found: only here an anomaly opens, worsens and ends, and a detector remembers."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import asdict, dataclass, field
from datetime import datetime

import numpy as np

from anomalies.detector.changes import Change, Step
from anomalies.detector.config import BY_SENSITIVITY, DetectorConfig
from anomalies.detector.outlook import Outlook, is_learning, is_trusted, outlook_of
from anomalies.detector.prior import shipped
from anomalies.detector.replay import judge_as_arrays
from anomalies.detector.rows import with_scores
from anomalies.detector.state import VERSION, States, new_states, pack_all, unpack_all
from anomalies.detector.timetables import Timetable, as_timetables
from anomalies.models import Anomaly, DetectorMemory
from engagement import arrays
from engagement.models import EngagementRow, Session
from engagement.moments import write_moment
from engagement.readings import MEASURED

log = logging.getLogger(__name__)

ENDED = "the session ended"
NOTHING_EXPECTED = outlook_of(new_states()[0])

RECALL = """
    SELECT s.id, e.sensitivity, m.state FROM engagement_session s
    JOIN engagement_event e ON e.id = s.event_id
    LEFT JOIN detector_memory m ON m.session_id = s.id AND m.version = %s
    WHERE s.id = ANY(%b::uuid[])
"""
SAVE_STATES = """
    INSERT INTO detector_memory (session_id, version, state, updated_at)
    SELECT id, %s, state, %s FROM UNNEST(%b::uuid[], %b::bytea[]) AS new (id, state)
    ON CONFLICT (session_id) DO UPDATE
    SET version = EXCLUDED.version, state = EXCLUDED.state, updated_at = EXCLUDED.updated_at
"""


@dataclass(slots=True)
class Found:
    """What new rows of one session led to: anomalies that opened or got worse, whose type was corrected, that ended."""

    detected: list[Anomaly] = field(default_factory=list)
    corrected: list[Anomaly] = field(default_factory=list)  # and are not news otherwise
    resolved: list[Anomaly] = field(default_factory=list)
    steps: list[tuple[Step, Anomaly]] = field(default_factory=list)  # all, in their order, as it stood after each


def judge_new_rows(sessions: Sequence[Session], rows: Sequence[Sequence[EngagementRow]], now: datetime) -> list[Found]:
    """Judge each session's new rows, oldest first; write states and anomalies, and move the sessions' cursors.

    The caller holds the sessions' locks and the transaction, and writes the cursors (see `cursors.sweeping`), so all of
    it is written or none.
    """
    found = [Found() for _ in sessions]
    those = [place for place, new in enumerate(rows) if new]
    if those:
        its_sessions, its_rows = [sessions[place] for place in those], [rows[place] for place in those]
        _judge_and_keep(its_sessions, its_rows, now, [found[place] for place in those])
    return found


def _judge_and_keep(
    sessions: Sequence[Session], rows: Sequence[Sequence[EngagementRow]], now: datetime, found: Sequence[Found]
) -> None:
    sensitivities, states = _recall(sessions)
    changes: list[list[Change]] = [[] for _ in sessions]
    for sensitivity, config in BY_SENSITIVITY.items():
        places = [place for place, other in enumerate(sensitivities) if other == sensitivity]
        if not places:
            continue
        part = states[places]
        judged = _judge(part, [sessions[place] for place in places], [rows[place] for place in places], config)
        states[places] = part
        for place, session_changes in zip(places, judged, strict=True):
            changes[place] = session_changes
    _save_states(sessions, states, [new[-1].timestamp for new in rows], now)
    if changed := [place for place in range(len(sessions)) if changes[place]]:
        _keep_changes(
            {sessions[place]: changes[place] for place in changed},
            {(sessions[place].id, row.timestamp): row for place in changed for row in rows[place]},
            {sessions[place].id: sensitivities[place] for place in changed},
            {sessions[place].id: found[place] for place in changed},
        )


def resolve_at_end(session: Session, at: datetime) -> list[Anomaly]:
    """Resolve what is open in a session that ends; the caller holds its lock."""
    anomalies = list(Anomaly.objects.for_session(session).unresolved().select_for_update(of=("self",)))
    for anomaly in anomalies:
        _resolve(anomaly, at, anomaly.anomaly_score, ENDED)
    _update(anomalies)
    return anomalies


def timetable_of(session: Session) -> Timetable:
    return Timetable(session.starts_at, session.ends_at, tuple(session.planned_breaks))


def read_outlooks(session_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Outlook]:
    """Return what each session's detector expects now; nothing where it has no state that we can read."""
    known = DetectorMemory.objects.filter(session_id__in=session_ids, version=VERSION)
    states = {id_: bytes(state) for id_, state in known.values_list("session_id", "state")}
    unpacked = unpack_all(list(states.values())) if states else ()
    found = {id_: outlook_of(state) for id_, state in zip(states, unpacked, strict=True)}
    return {id_: found.get(id_, NOTHING_EXPECTED) for id_ in session_ids}


def _recall(sessions: Sequence[Session]) -> tuple[Sequence[str], States]:
    """Return how sensitively each session is judged, and what its detector remembers."""
    found = {id_.int: rest for id_, *rest in arrays.execute(RECALL, VERSION, [session.id for session in sessions])}
    sensitivities, packed = zip(*(found[session.id.int] for session in sessions), strict=True)
    states = new_states(len(sessions))
    known = [place for place, each in enumerate(packed) if each is not None]
    if known:
        states[known] = unpack_all([packed[place] for place in known])
    for place, session in enumerate(sessions):
        if packed[place] is None and session.judged_until is not None:
            states[place] = _rebuild(session, BY_SENSITIVITY[sensitivities[place]])
    return sensitivities, states


def _judge(
    states: States, sessions: Sequence[Session], rows: Sequence[Sequence[EngagementRow]], config: DetectorConfig
) -> list[list[Change]]:
    """Judge the rows of these sessions by the scores that they are stored with; return the changes of each."""
    whose = np.repeat(np.arange(len(sessions)), [len(each) for each in rows])
    judged = with_scores((row, row.engagement_score) for each in rows for row in each)
    timetables = as_timetables([timetable_of(session) for session in sessions])
    return judge_as_arrays(states, judged, whose, timetables, shipped(), config)


def _rebuild(session: Session, config: DetectorConfig) -> States:
    """Replay the rows that were judged already; the anomalies they led to stay as they were kept."""
    log.info("rebuilding the detector state of session %s from its rows", session.id)
    rows = EngagementRow.objects.for_session(session).filter(late=False, timestamp__lte=session.judged_until)
    states = new_states(1)
    _judge(states, [session], [list(rows.order_by("timestamp"))], config)
    going_on = Anomaly.objects.for_session(session).unresolved().first()
    states.is_open = going_on is not None
    if going_on is not None:
        states.opened_at = going_on.timestamp.timestamp()
    return states[0]


def _save_states(sessions: Sequence[Session], states: States, judged_until: Sequence[datetime], now: datetime) -> None:
    arrays.execute(SAVE_STATES, VERSION, now, [session.id for session in sessions], pack_all(states))
    for session, until, said in zip(sessions, judged_until, _detector_states(states), strict=True):
        session.judged_until, session.detector_state, session.heard_at = until, said, now


def _detector_states(states: States) -> list[str]:
    said = np.full(len(states), Session.DetectorState.WATCHING.value, object)
    said[is_learning(states)] = Session.DetectorState.INSUFFICIENT_DATA.value
    said[~is_trusted(states)] = Session.DetectorState.UNKNOWN.value
    return list(said)


def _keep_changes(
    changes: Mapping[Session, Sequence[Change]],
    rows: Mapping[tuple[uuid.UUID, datetime], EngagementRow],
    sensitivities: Mapping[uuid.UUID, str],
    found: Mapping[uuid.UUID, Found],
) -> None:
    # Locked, so that a review in the same moment is neither lost nor undone.
    unresolved = Anomaly.objects.filter(session__in=list(changes)).unresolved().select_for_update(of=("self",))
    going_on = {anomaly.session_id: anomaly for anomaly in unresolved}
    opened: list[Anomaly] = []
    moved: dict[uuid.UUID, Anomaly] = {}
    for session, session_changes in changes.items():
        for change in session_changes:
            if change.step == Step.OPENED:
                going_on[session.id] = _open(session, change, rows[session.id, change.at], sensitivities[session.id])
                opened.append(going_on[session.id])
            if session.id not in going_on:
                continue  # it was resolved by hand, or by a detector of another version
            anomaly = going_on[session.id]
            if change.step == Step.RESOLVED:
                _resolve(anomaly, change.at, change.anomaly_score, change.reason)
                del going_on[session.id]
                found[session.id].resolved.append(anomaly)
            elif change.step != Step.OPENED:
                _worsen(anomaly, change)
            moved[anomaly.id] = anomaly
            found[session.id].steps.append((change.step, _as_it_stands(anomaly)))
            told = found[session.id].corrected if change.step == Step.CORRECTED else found[session.id].detected
            if change.step != Step.RESOLVED and anomaly not in [*found[session.id].detected, *told]:
                told.append(anomaly)
    Anomaly.objects.bulk_create(opened)
    _update([anomaly for anomaly in moved.values() if anomaly not in opened])


def _as_it_stands(anomaly: Anomaly) -> Anomaly:
    kept = copy(anomaly)
    kept.metadata = deepcopy(anomaly.metadata)
    return kept


def _open(session: Session, change: Change, row: EngagementRow, sensitivity: str) -> Anomaly:
    anomaly = Anomaly(
        id=uuid.uuid5(session.id, change.at.isoformat()),  # the same incident, whoever finds it
        session_id=session.id,
        event_id=session.event_id,
        timestamp=change.at,
        signals={name: getattr(row, name) for name in MEASURED},
        metadata={"history": [], "sensitivity": sensitivity},
        anomaly_score=change.anomaly_score,
    )
    _tell(anomaly, change)
    return anomaly


def _worsen(anomaly: Anomaly, change: Change) -> None:
    anomaly.anomaly_score = max(anomaly.anomaly_score, change.anomaly_score)
    if change.step != Step.CORRECTED:
        anomaly.snoozed_until = None  # quiet was asked for what it was then
    _tell(anomaly, change)


def _tell(anomaly: Anomaly, change: Change) -> None:
    """Write what was found at this change; the explanation and the evidence are those of the latest one."""
    finding = change.finding
    assert finding is not None, "only an end has no finding"
    anomaly.anomaly_type, anomaly.severity = change.anomaly_type, change.severity
    anomaly.current_engagement, anomaly.expected_engagement = finding.current, finding.expected
    anomaly.deviation = _deviation(finding.current, finding.expected)
    anomaly.description = finding.description
    anomaly.metadata |= {
        "hst_score": finding.tree_score,
        "z_score": finding.z_score,
        "signals": {
            name: {**asdict(evidence), "change": evidence.change} for name, evidence in finding.signals.items()
        },
        "moved": [name for name, evidence in finding.signals.items() if evidence.moved],
        "advice": finding.advice,
        "audience": finding.audience,
    }
    _remember(anomaly, change.at, str(change.step), change.anomaly_score)


def _deviation(current: float | None, expected: float | None) -> float | None:
    return round(1 - current / expected, 4) if current is not None and expected else None


def _resolve(anomaly: Anomaly, at: datetime, score: float, reason: str | None) -> None:
    anomaly.resolved_at = max(at, anomaly.timestamp)
    if anomaly.status != Anomaly.Status.DISMISSED:
        anomaly.status = Anomaly.Status.RESOLVED
    _remember(anomaly, anomaly.resolved_at, str(Step.RESOLVED), score, reason)


def _remember(anomaly: Anomaly, at: datetime, change: str, score: float, reason: str | None = None) -> None:
    entry = {
        "at": write_moment(at),
        "change": change,
        "severity": anomaly.severity,
        "anomaly_type": anomaly.anomaly_type,
        "anomaly_score": score,
    }
    anomaly.metadata["history"].append(entry if reason is None else {**entry, "reason": reason})


def _update(anomalies: Sequence[Anomaly]) -> None:
    """Write the judged columns only: a reviewer's note or review is never overwritten. Getting worse ends a snooze."""
    judged = [
        "anomaly_type", "severity", "anomaly_score", "current_engagement", "expected_engagement",
        "deviation", "description", "metadata", "resolved_at", "status", "snoozed_until",
    ]  # fmt: skip
    if anomalies:
        Anomaly.objects.bulk_update(anomalies, judged)
