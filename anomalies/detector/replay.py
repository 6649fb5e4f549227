"""Judge the rows of many sessions, each in its own order, and gather incidents. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from anomalies.detector import incidents
from anomalies.detector.config import DEFAULT, DetectorConfig
from anomalies.detector.incidents import Change, Step
from anomalies.detector.prior import Prior, shipped
from anomalies.detector.rows import as_rows
from anomalies.detector.state import States, new_states
from anomalies.detector.timetables import Timetable, as_timetables
from engagement.readings import Reading


@dataclass(slots=True)
class Incident:
    """One incident from its opening on; `changes` are what came after, `resolved_at` is None while it goes on."""

    timestamp: datetime
    anomaly_type: str
    severity: str
    anomaly_score: float
    description: str = ""
    changes: list[Change] = field(default_factory=list)
    resolved_at: datetime | None = None


def judge_rows(
    states: States,
    readings: Sequence[Sequence[Reading]],
    timetables: Sequence[Timetable],
    prior: Prior | None = None,
    config: DetectorConfig = DEFAULT,
) -> list[list[Change]]:
    """Judge new readings of each session, oldest first; return the changes of each. Changes `states` in place.

    However the readings of a session are cut into calls, and whatever other sessions are judged with it, the
    changes and the state are the same.
    """
    prior = prior or shipped()
    plans = as_timetables(timetables)
    lengths = np.array([len(session) for session in readings], np.int64)
    rows = as_rows(reading for session in readings for reading in session)
    first = np.cumsum(lengths) - lengths
    changes: list[list[Change]] = [[] for _ in readings]
    for place in range(int(lengths.max(initial=0))):
        which = np.flatnonzero(lengths > place)
        part = states[which]
        for session, change in incidents.step(part, rows[first[which] + place], plans[which], prior, config):
            changes[which[session]].append(change)
        states[which] = part
    return changes


def judge_sessions(
    sessions: Mapping[str, tuple[Sequence[Reading], Timetable]],
    prior: Prior | None = None,
    config: DetectorConfig = DEFAULT,
) -> dict[str, list[Incident]]:
    """Judge whole sessions from their first row and return the incidents of each."""
    states = new_states(len(sessions), config.noise)
    readings, timetables = zip(*sessions.values(), strict=True) if sessions else ((), ())
    judged = judge_rows(states, readings, timetables, prior, config)
    return {name: gather(changes) for name, changes in zip(sessions, judged, strict=True)}


def gather(changes: Sequence[Change]) -> list[Incident]:
    """Return the incidents that a session's changes tell of."""
    found: list[Incident] = []
    for change in changes:
        if change.step == Step.OPENED:
            description = change.finding.description if change.finding else ""
            found.append(Incident(change.at, change.anomaly_type, change.severity, change.anomaly_score, description))
        else:
            found[-1].changes.append(change)
            if change.step == Step.RESOLVED:
                found[-1].resolved_at = change.at
    return found
