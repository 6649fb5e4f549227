"""What was planned for a session: its start, its end, its breaks. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from anomalies.detector.arrays import Floats


@dataclass(frozen=True, slots=True)
class Timetable:
    """What was planned: nothing opens in a break or from `ends_at` on, and what is open is resolved."""

    starts_at: datetime | None = None
    ends_at: datetime | None = None
    breaks: tuple[tuple[datetime, datetime], ...] = ()


class Timetables(NamedTuple):
    """Timetables of many sessions as arrays of seconds since the epoch; absent moments are infinite."""

    starts_at: Floats
    ends_at: Floats
    breaks_from: Floats  # (sessions, most breaks)
    breaks_until: Floats


def as_timetables(timetables: Sequence[Timetable]) -> Timetables:
    """Return the timetables as arrays."""

    def seconds(at: datetime | None, otherwise: float) -> float:
        return otherwise if at is None else at.timestamp()

    most_breaks = max((len(timetable.breaks) for timetable in timetables), default=0)
    breaks_from, breaks_until = np.full((2, len(timetables), most_breaks), np.inf)
    for session, timetable in enumerate(timetables):
        for place, (start, end) in enumerate(timetable.breaks):
            breaks_from[session, place], breaks_until[session, place] = start.timestamp(), end.timestamp()
    return Timetables(
        starts_at=np.array([seconds(timetable.starts_at, -np.inf) for timetable in timetables]),
        ends_at=np.array([seconds(timetable.ends_at, np.inf) for timetable in timetables]),
        breaks_from=breaks_from,
        breaks_until=breaks_until,
    )
