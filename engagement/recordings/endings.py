"""When a session ended, by who was there. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

WAVE = timedelta(minutes=3)  # within it everybody goes when a session ends
Span = tuple[datetime, datetime]


def find_end(spans: Sequence[Span]) -> datetime | None:
    """Return when a session ended by who was there: the first of those leaves with which everybody went.

    None where most had gone before: what is over then nobody knows.

    >>> find_end([(datetime(2026, 3, 4, 9), datetime(2026, 3, 4, 10, 0, n)) for n in (0, 5)]).second
    0
    """
    if not spans:
        return None
    last = max(left for _, left in spans)
    until_the_end = [left for _, left in spans if left >= last - WAVE]
    if len(until_the_end) * 2 < _peak(spans):
        return None
    return min(until_the_end)


def _peak(spans: Sequence[Span]) -> int:
    """Return how many were there at once, at most."""
    changes = sorted([(joined, 1) for joined, _ in spans] + [(left, -1) for _, left in spans])
    here = peak = 0
    for _, change in changes:
        here += change
        peak = max(peak, here)
    return peak
