"""What an undisturbed run comes to, by the pure core, and in what the stored rows and verdicts differ from it."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.db.models import Max

from anomalies.detector.changes import Change, Step
from anomalies.detector.replay import judge_rows
from anomalies.detector.state import new_states, pack
from anomalies.detector.timetables import Timetable
from anomalies.models import Anomaly, DetectorMemory
from anomalies.watch import ENDED
from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.load import Told
from engagement import cursors
from engagement.models import EngagementRow, RawEventRow, Session
from engagement.moments import write_moment
from engagement.readings import Reading
from engagement.scoring import find_score, score_in_order
from engagement.windows import RawEvent, Windows

JUDGED_SECONDS = 180.0  # in which something that waits is judged, once nothing is disturbed
LOOK_SECONDS = 0.3

Incident = dict[str, Any]
EventFacts = tuple[datetime, str, str | None, str]


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What must be stored of a session: its rows with their scores, its incidents, its detector's memory."""

    rows: list[tuple[Reading, float | None]]
    incidents: list[Incident]
    memory: bytes


def compute(told: Sequence[Told]) -> list[Undisturbed]:
    """Replay what was answered of each session through the pure core; all at once, as that is far quicker."""
    rows = [[row for row in _rows_of(each) if not row.is_empty] for each in told]
    scored = [score_in_order(its_rows) for its_rows in rows]
    states = new_states(len(told))
    changes = judge_rows(states, scored, [Timetable()] * len(told))
    found = []
    for each, its_rows, its_scored, its_changes, state in zip(told, rows, scored, changes, states, strict=True):
        incidents = _gather(its_changes)
        if each.is_ended and incidents and incidents[-1]["resolved_at"] is None:
            _resolve(incidents[-1], its_rows[-1].timestamp, incidents[-1]["anomaly_score"], ENDED)
        found.append(Undisturbed(list(zip(its_rows, map(find_score, its_scored), strict=True)), incidents, pack(state)))
    return found


def _rows_of(told: Told) -> Sequence[Reading]:
    items = told.story.items[: told.sent]
    if not told.story.has_events:
        return cast(Sequence[Reading], items)
    windows = Windows()
    windows.add(cast(Sequence[RawEvent], items))
    return windows.finish()


def _gather(changes: Sequence[Change]) -> list[Incident]:
    """Return the incidents that changes lead to, as they are stored."""
    found: list[Incident] = []
    for change in changes:
        if change.step == Step.OPENED:
            found.append({"timestamp": change.at, "resolved_at": None, "anomaly_score": 0.0, "history": []})
        incident = found[-1]
        if change.step == Step.RESOLVED:
            _resolve(incident, change.at, change.anomaly_score, change.reason)
            continue
        assert change.finding is not None
        incident |= {
            "anomaly_type": change.anomaly_type,
            "severity": change.severity,
            "anomaly_score": max(incident["anomaly_score"], change.anomaly_score),
            "current_engagement": change.finding.current,
            "expected_engagement": change.finding.expected,
            "description": change.finding.description,
        }
        _remember(incident, change.at, str(change.step), change.anomaly_score)
    return found


def _resolve(incident: Incident, at: datetime, score: float, reason: str | None) -> None:
    incident["resolved_at"] = at
    _remember(incident, at, str(Step.RESOLVED), score)
    if reason is not None:
        incident["history"][-1]["reason"] = str(reason)


def _remember(incident: Incident, at: datetime, change: str, score: float) -> None:
    kept = {name: incident[name] for name in ("severity", "anomaly_type")}
    incident["history"].append({"at": write_moment(at), "change": change, "anomaly_score": score, **kept})


def await_judgement(told: Sequence[Told]) -> tuple[list[Told], float]:
    """Wait until all that was told is judged, and what was ended is settled, or nothing moves any more.

    Return what is not, and the seconds.
    """
    started = moved_at = time.monotonic()
    waiting = cursors.measure_backlog()[0]
    while (unjudged := _unjudged(told)) and time.monotonic() < moved_at + JUDGED_SECONDS:
        time.sleep(LOOK_SECONDS)
        before, waiting = waiting, cursors.measure_backlog()[0]
        moved_at = time.monotonic() if waiting < before else moved_at
    return unjudged, time.monotonic() - started


def _unjudged(told: Sequence[Told]) -> list[Told]:
    sessions = Session.objects.in_bulk([each.session_id for each in told])
    newest = dict(
        EngagementRow.objects.filter(session__in=list(sessions)).values_list("session").annotate(Max("timestamp"))
    )

    def is_judged(each: Told) -> bool:
        session = sessions[each.session_id]
        if each.is_ended:
            return session.settled_at is not None
        return session.judged_until is not None and session.judged_until == newest.get(session.id)

    return [each for each in told if not is_judged(each)]


def compare(told: Sequence[Told], outcome: Outcome) -> None:
    """Note in what the database differs from undisturbed runs of all that was answered."""
    tally: Counter[str] = Counter()
    for each, expected in zip(told, compute(told), strict=True):
        tally["incidents"] += len(expected.incidents)
        for name, differs in DIFFERENCES.items():
            if differs(each, expected):
                tally[name] += 1
                outcome.broken.append(f"session {each.session_id} ({each.story.name}): {name}")
        for name, number in _count_items(each, expected).items():
            tally[name] += number
            outcome.promise(number == 0, f"session {each.session_id} ({each.story.name}): {number} {name}")
        tally["late"] += each.late
        outcome.promise(each.late == 0, f"session {each.session_id}: {each.late} late, and none was")
    outcome.figures |= {"incidents that there must be": tally["incidents"]}
    outcome.figures |= {name: tally[name] for name in ("lost", "doubled", "never sent", "late")}
    outcome.figures |= {f"sessions with {name}": tally[name] for name in DIFFERENCES}


def _count_items(told: Told, expected: Undisturbed) -> Mapping[str, int]:
    """Return how many rows or raw events of a session are lost, doubled, or there though nobody sent them."""
    wanted: Counter[object]
    found: Counter[object]
    if told.story.has_events:
        sent = cast(Sequence[RawEvent], told.story.items[: told.sent])
        wanted = Counter((event.timestamp, event.type, event.id, event.poll or "") for event in sent)
        stored = RawEventRow.objects.filter(session_id=told.session_id)
        found = Counter(stored.values_list("timestamp", "type", "key", "poll"))
    else:
        wanted = Counter(row.timestamp for row, _ in expected.rows)
        found = Counter(EngagementRow.objects.for_session(told.session_id).values_list("timestamp", flat=True))
    more = found - wanted
    return {
        "lost": (wanted - found).total(),
        "doubled": sum(number for item, number in more.items() if item in wanted),
        "never sent": sum(number for item, number in more.items() if item not in wanted),
    }


def _has_other_rows(told: Told, expected: Undisturbed) -> bool:
    rows = EngagementRow.objects.for_session(told.session_id).order_by("timestamp")
    return [(row.reading, row.engagement_score) for row in rows] != expected.rows


def _has_other_incidents(told: Told, expected: Undisturbed) -> bool:
    stored = Anomaly.objects.for_session(told.session_id).order_by("timestamp")
    fields = (
        "timestamp", "resolved_at", "anomaly_score", "anomaly_type", "severity", "current_engagement",
        "expected_engagement", "description",
    )  # fmt: skip
    found = [{name: getattr(each, name) for name in fields} | {"history": each.metadata["history"]} for each in stored]
    return found != expected.incidents


def _has_other_memory(told: Told, expected: Undisturbed) -> bool:
    memory = DetectorMemory.objects.filter(session_id=told.session_id).first()
    return (b"" if memory is None else bytes(memory.state)) != (expected.memory if expected.rows else b"")


DIFFERENCES: dict[str, Callable[[Told, Undisturbed], bool]] = {
    "other rows": _has_other_rows,
    "other incidents": _has_other_incidents,
    "another memory of the detector": _has_other_memory,
}
