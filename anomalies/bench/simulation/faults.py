"""Break a session's rows as platforms do: glitches, gaps, frozen counters. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from engagement.readings import Reading

GLITCHES: tuple[dict[str, float | int], ...] = (
    {"chat_msgs_per_min": 0.0, "reactions_per_min": 0.0, "active_users": 0},
    {"chat_msgs_per_min": 0.0},
    {"active_users": 0},
)
GLITCHES_PER_SESSION = (0.4, 0.38, 0.14, 0.08)
GAP_CHANCE = 0.3
STALL_CHANCE = 0.15
MARGIN = timedelta(seconds=65)  # so that no rolling window holds a fault and an incident
Fault = tuple[datetime, datetime, str]


def break_rows(
    rng: np.random.Generator, rows: Sequence[Reading], incidents: Sequence[tuple[datetime, datetime]]
) -> tuple[list[Reading], list[Fault]]:
    """Return the rows with their faults, and where these are; incidents are left as they were."""
    whole = list(rows)
    gone: set[int] = set()
    faults: list[Fault] = []

    def place(length: int) -> range | None:
        """Return the indexes of so many rows that no fault and no incident touches."""
        for _ in range(20):
            first = int(rng.integers(12, max(13, len(whole) - length - 30)))
            span = range(first, first + length)
            if span.stop + 2 >= len(whole):
                continue
            begins, ends = whole[span.start].timestamp, whole[span.stop].timestamp
            near_incident = any(begins - MARGIN <= end and ends + MARGIN >= start for start, end in incidents)
            near_fault = any(begins - MARGIN <= end and ends + MARGIN >= start for start, end, _ in faults)
            if not near_incident and not near_fault:
                return span
        return None

    def note(span: range, why: str) -> None:
        faults.append((whole[span.start].timestamp, whole[span.stop].timestamp, why))

    for _ in range(int(rng.choice(4, p=GLITCHES_PER_SESSION))):
        if span := place(1):
            note(span, "glitch")
            row = whole[span.start]
            zeros = GLITCHES[int(rng.integers(len(GLITCHES)))]
            known = {name: zero for name, zero in zeros.items() if getattr(row, name) is not None}
            whole[span.start] = replace(row, **known)  # type: ignore[arg-type]
    if rng.random() < STALL_CHANCE and (span := place(int(rng.integers(6, 19)))):
        note(span, "stall")
        frozen = whole[span.start]
        for index in span:
            whole[index] = replace(frozen, timestamp=whole[index].timestamp)
    if rng.random() < GAP_CHANCE and (span := place(int(rng.integers(4, 14)))):
        note(span, "missing rows")
        gone.update(span)
    return [row for index, row in enumerate(whole) if index not in gone], faults
