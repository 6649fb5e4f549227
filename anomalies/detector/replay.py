"""Judge the rows of many sessions, each in its own order, and gather incidents. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from anomalies.detector.arrays import Integers
from anomalies.detector.changes import Change, Step, tell
from anomalies.detector.config import DEFAULT, DetectorConfig
from anomalies.detector.explanation import News
from anomalies.detector.prior import Prior, shipped
from anomalies.detector.rows import Rows, as_rows
from anomalies.detector.state import States, new_states
from anomalies.detector.timetables import Timetable, Timetables, as_timetables
from engagement.readings import Reading


def prepare() -> None:
    """Load what judges, now and not when the first row comes: machine code, or have it made, and River's trees."""
    judge_rows(new_states(1), [[]], [Timetable()])


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
    return judge_as_arrays(states, *as_arrays(readings, timetables), prior or shipped(), config)


def as_arrays(
    readings: Sequence[Sequence[Reading]], timetables: Sequence[Timetable]
) -> tuple[Rows, Integers, Timetables]:
    """Return the readings of sessions as rows, one session after the other, whose each row is, and their plans."""
    whose = np.repeat(np.arange(len(readings)), [len(session) for session in readings])
    rows = as_rows(reading for session in readings for reading in session)
    return rows, whose, as_timetables(timetables)


def judge_as_arrays(
    states: States,
    rows: Rows,
    sessions: Integers,
    timetables: Timetables,
    prior: Prior,
    config: DetectorConfig = DEFAULT,
) -> list[list[Change]]:
    """Judge rows in their order, of which `sessions` says whose each is; return the changes of each session."""
    from anomalies.detector.incidents import judge_until_news  # here, as only who judges needs numba

    news = News.zeros(1)
    changes: list[list[Change]] = [[] for _ in range(len(states))]
    given = states.records, rows.array, sessions, timetables, prior.quiet, config.record
    place = 0
    while (place := judge_until_news(*given, place, news.array)) < len(rows):
        changes[sessions[place]] += tell(states[sessions[place]], rows[place], news[0], config)
        place += 1
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
