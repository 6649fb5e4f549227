"""Who was there from when to when: hours that come twice, people of one name, several devices, and the end. Pure."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from engagement.recordings.dates import Written
from engagement.recordings.recording import Gathering

GRACE = timedelta(minutes=2)  # so long somebody who comes back may be told to be there twice
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Stay:
    """A row: somebody was there once, `minutes` long where the report says it."""

    line: int
    name: str
    email: str
    aliases: tuple[str, ...]
    joined: str
    left: str
    minutes: float | None = None


def find_span(joined: Written, left: Written, minutes: float | None, zone: tzinfo, *, day_first: bool) -> Span | None:
    """Return when a stay began and ended; None where it ends before it begins, or is on no calendar.

    When clocks are put back an hour comes twice; which one is meant, the length of the stay says.
    """
    spans = []
    for fold_in in _folds(joined, zone, day_first):
        for fold_out in _folds(left, zone, day_first):
            begin = joined.moment(zone, day_first=day_first, fold=fold_in)
            end = left.moment(zone, day_first=day_first, fold=fold_out)
            if begin is not None and end is not None and begin <= end:
                spans.append((begin, end))
    if minutes is None:
        return spans[0] if spans else None
    return min(spans, key=lambda span: abs((span[1] - span[0]) / timedelta(minutes=1) - minutes), default=None)


def _folds(written: Written, zone: tzinfo, day_first: bool) -> tuple[int, ...]:
    once, again = (written.moment(zone, day_first=day_first, fold=fold) for fold in (0, 1))
    # Where clocks are put forward the two differ as well, and the second lies before the first.
    return (0, 1) if once is not None and again is not None and once < again else (0,)


def gather_stays(stays: Sequence[Stay], spans: Sequence[Span], gathering: Gathering) -> None:
    """Add a join and a leave for each stretch in which a person was there, on one device or on several."""
    of: dict[str, list[Span]] = {}
    for stay, lane, span in zip(stays, _lanes(stays, spans, gathering), spans, strict=True):
        if stay.email:
            user = gathering.person(
                ("email", stay.email), *(("name", name) for name in (stay.name, *stay.aliases) if name)
            )
        elif lane:
            user = gathering.person(("name", stay.name, lane))
        else:
            user = gathering.person(("name", stay.name), *(("name", name) for name in stay.aliases))
        of.setdefault(user, []).append(span)
    for user, found in of.items():
        for joined, left in merge(found):
            gathering.add("join", joined, user)
            gathering.add("leave", left, user)


def _lanes(stays: Sequence[Stay], spans: Sequence[Span], gathering: Gathering) -> list[int]:
    """Return for each stay which person of its name it is of: who is there at once without an address, is not one."""
    by_name: dict[str, list[int]] = {}
    for place, stay in enumerate(stays):
        if not stay.email:
            by_name.setdefault(stay.name, []).append(place)
    lanes = [0] * len(stays)
    people = 0
    for places in by_name.values():
        free: list[tuple[datetime, int]] = []  # when each of this name left last
        for place in sorted(places, key=lambda each: spans[each]):
            joined, left = spans[place]
            lane = heapq.heappop(free)[1] if free and free[0][0] <= joined + GRACE else len(free)
            heapq.heappush(free, (left, lane))
            lanes[place] = lane
        people += len(free) if len(free) > 1 else 0
    if people:
        gathering.note(f"{people} people share names, have no address, and were there at once: they were counted each.")
    return lanes


def merge(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the stretches that spans cover together. A reconnect in the same second stays a leave and a join.

    >>> list(merge([(1, 4), (2, 3), (4, 6), (8, 9)]))
    [(1, 4), (4, 6), (8, 9)]
    """
    begin, end = None, None
    for joined, left in sorted(spans):
        if begin is None or end is None or joined >= end:
            if begin is not None and end is not None:
                yield begin, end
            begin, end = joined, left
        else:
            end = max(end, left)
    if begin is not None and end is not None:
        yield begin, end
