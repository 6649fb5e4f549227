"""Turn scored rows into the geometry of the chart and the sparklines. Pure.

Everything across and down is in per cent of the plot, from its top left corner, so one drawing fits a phone and a
projector; the paths use the same numbers in a box of 100 × 100.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

from engagement.scoring import LEVELS

SPAN = timedelta(minutes=30)
LEAST_SPAN = timedelta(minutes=5)
LONGEST_BRIDGE = timedelta(seconds=15)  # rows come every 5 s: over a longer gap nobody knows what happened
MARK_WIDTH = 17.0  # what icon and type of an incident need on a laptop
TICK_STEPS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 240))
MOST_TICKS = 7
COLUMNS = 900  # a plot has hardly more pixels: of more points in one of them only the lowest and the highest are drawn

# A hundredth of a per cent is less than a pixel. To write a number takes longer than all the rest of drawing it.
_HUNDREDTHS = [f"{place / 100:g}" for place in range(10_001)]

Moment = tuple[datetime, float | None]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time to be drawn; it goes on where `until` is None. `key` is the caller's own."""

    since: datetime
    until: datetime | None
    key: object = None


@dataclass(frozen=True, slots=True)
class Block:
    """A drawn stretch: where it starts, how wide it is, and in which row of marks its own mark has room."""

    x: float
    width: float
    lane: int
    is_leftward: bool  # the mark is written to the left of the start, as the right edge is near
    starts_inside: bool
    key: object


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    place: float
    at: datetime
    is_minor: bool  # left out where there is little room


@dataclass(frozen=True, slots=True)
class Level:
    """A hairline: the least score of a level."""

    y: float
    value: float
    name: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All that the chart draws."""

    since: datetime
    until: datetime
    line: str
    band: str
    band_edges: str  # in grey the band is hard to see inside an incident
    band_label: Point | None
    head: Point | None
    lone: tuple[Point, ...]  # single rows between two gaps: a path cannot show them
    late: tuple[Point, ...]
    levels: tuple[Level, ...]
    ticks: tuple[Tick, ...]
    incidents: tuple[Block, ...]
    breaks: tuple[Block, ...]


def draw_chart(
    rows: Sequence[Moment],
    *,
    late: Iterable[Moment] = (),
    band: Sequence[tuple[datetime, float, float]] = (),
    incidents: Iterable[Span] = (),
    breaks: Iterable[Span] = (),
    span: timedelta | None = SPAN,
    bridge: timedelta = LONGEST_BRIDGE,
) -> Chart | None:
    """Return the drawing of the rows (moment, score), oldest first, or None where there is none.

    It shows the last `span` up to the newest row, less where the rows began later; None shows them all. A row
    without a score and a gap longer than `bridge` both interrupt the line.
    """
    if not rows:
        return None
    until = rows[-1][0]
    since = min(rows[0][0], until - LEAST_SPAN)
    if span is not None:
        since = max(until - span, since)
    axis = _Axis(since, until)
    runs = list(_runs([row for row in rows if row[0] >= since], bridge))
    points = [_thinned(axis.trace(run)) for run in runs]
    upper, lower = _band(axis, band)
    newest = rows[-1][1]
    return Chart(
        since=since,
        until=until,
        line=" ".join(_path(run) for run in points if len(run) > 1),
        band=_path([*upper, *reversed(lower)]) + "Z" if upper else "",
        band_edges=f"{_path(upper)} {_path(lower)}" if upper else "",
        band_label=lower[0] if lower else None,
        head=None if newest is None else axis.point(until, newest),
        lone=tuple(axis.point(*run[0]) for run in runs if len(run) == 1),
        late=tuple(axis.point(at, value) for at, value in late if value is not None and since <= at <= until),
        levels=tuple(Level(_y(least), least, name) for name, least in LEVELS if least),
        ticks=tuple(_ticks(axis)),
        incidents=tuple(_blocks(axis, incidents)),
        breaks=tuple(_blocks(axis, breaks)),
    )


def draw_spark(rows: Sequence[Moment], top: float = 0.0, span: timedelta | None = None) -> str:
    """Return the path of a sparkline in a box of 100 × 100; its upper edge is `top`, or the highest value.

    It ends with the newest row, and is as long as the rows or as `span`.

    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> draw_spark([(at, 0.0), (at + timedelta(seconds=5), 4.0), (at + timedelta(seconds=10), 2.0)])
    'M0 100L50 0L100 50'
    >>> draw_spark([(at, 2.0)])
    ''
    """
    known = [(at, value) for at, value in rows if value is not None]
    if len(known) < 2:
        return ""
    top = max(top, *(value for _, value in known))
    axis = _Axis(rows[0][0] if span is None else rows[-1][0] - span, rows[-1][0])
    scaled = [(at, None if value is None else value / top if top else 0.0) for at, value in rows]
    runs = _runs(scaled, LONGEST_BRIDGE * 2)
    return " ".join(_path(axis.trace(run)) for run in runs if len(run) > 1)


def trace_extremes(extremes: Iterable[tuple[datetime, datetime, float, float]]) -> list[Moment]:
    """Return a line through the lowest and the highest scores of columns, to be drawn without a longest bridge.

    Each is when the first and the last score of a column was, its lowest and its highest. Where two columns are torn
    apart, a moment without a score is between them; what is torn inside of one is less than the line is wide.

    >>> at = [datetime(2026, 3, 2, 9, 0, second) for second in (0, 25, 30, 55)]
    >>> [value for _, value in trace_extremes([(at[0], at[1], 0.2, 0.4), (at[2], at[2], 0.3, 0.3)])]
    [0.2, 0.4, 0.3]
    >>> [value for _, value in trace_extremes([(at[0], at[1], 0.2, 0.4), (at[3], at[3], 0.3, 0.3)])]
    [0.2, 0.4, None, 0.3]
    """
    moments: list[Moment] = []
    for first_at, last_at, lowest, highest in extremes:
        if moments and first_at - moments[-1][0] > LONGEST_BRIDGE:
            moments.append((first_at, None))
        moments.append((first_at, lowest))
        if last_at > first_at:
            moments.append((last_at, highest))
    return moments


@dataclass(frozen=True, slots=True)
class _Axis:
    since: datetime
    until: datetime

    def x(self, at: datetime) -> float:
        return round(100 * ((at - self.since) / (self.until - self.since)), 3)

    def point(self, at: datetime, value: float) -> Point:
        return self.x(at), _y(value)

    def trace(self, run: Iterable[tuple[datetime, float]]) -> list[Point]:
        """Return many points, not rounded: a path does that."""
        since, scale = self.since, 100 / (self.until - self.since).total_seconds()
        return [
            (
                (at - since).total_seconds() * scale,
                100.0 if value <= 0.0 else 0.0 if value >= 1.0 else 100 - 100 * value,
            )
            for at, value in run
        ]


def _y(value: float) -> float:
    return round(100 * (1 - min(1.0, max(0.0, value))), 2)


def _runs(rows: Iterable[Moment], longest: timedelta) -> Iterator[list[tuple[datetime, float]]]:
    """Yield the stretches that may be joined by a line."""
    run: list[tuple[datetime, float]] = []
    for at, value in rows:
        if run and (value is None or at - run[-1][0] > longest):
            yield run
            run = []
        if value is not None:
            run.append((at, value))
    if run:
        yield run


def _thinned(points: list[Point]) -> list[Point]:
    """Return what can be seen of a run of points: where many share a column, its lowest and its highest.

    >>> _thinned([(0.0, 5.0), (0.01, 9.0), (0.02, 1.0), (0.03, 6.0), *((x, 5.0) for x in range(1, 2 * COLUMNS))])[:3]
    [(0.01, 9.0), (0.02, 1.0), (1, 5.0)]
    """
    if len(points) <= 2 * COLUMNS:
        return points
    columns = (list(column) for _, column in groupby(points, key=lambda point: int(point[0] * COLUMNS / 100)))
    return [
        point
        for column in columns
        for point in sorted({min(column, key=itemgetter(1)), max(column, key=itemgetter(1))})
    ]


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join([f"{_HUNDREDTHS[int(100 * x + 0.5)]} {_HUNDREDTHS[int(100 * y + 0.5)]}" for x, y in points])


def _band(axis: _Axis, band: Sequence[tuple[datetime, float, float]]) -> tuple[list[Point], list[Point]]:
    """Return the upper and the lower edge of the expected band; the last step is good until the newest row."""
    upper: list[Point] = []
    lower: list[Point] = []
    ends = [at for at, _, _ in band[1:]] + [axis.until]
    for (at, low, high), end in zip(band, ends, strict=False):
        if axis.since < end and at < axis.until:
            upper.append(axis.point(max(at, axis.since), high))
            lower.append(axis.point(max(at, axis.since), low))
    for edge in (upper, lower):
        edge += [(100.0, y) for _, y in edge[-1:]]
    return upper, lower


def _ticks(axis: _Axis) -> Iterator[Tick]:
    """Yield the full minutes that are labelled, every second one minor."""
    step = next((step for step in TICK_STEPS if (axis.until - axis.since) / step <= MOST_TICKS), TICK_STEPS[-1])
    seconds = step.total_seconds()
    at = axis.since + timedelta(seconds=-axis.since.timestamp() % seconds)
    while at <= axis.until:
        yield Tick(axis.x(at), at, is_minor=bool(at.timestamp() / seconds % 2))
        at += step


def _blocks(axis: _Axis, spans: Iterable[Span]) -> Iterator[Block]:
    """Yield what of the spans lies in the plot, oldest first, each mark in the first lane where it has room."""
    lane_ends: list[float] = []
    for span in sorted(spans, key=lambda span: span.since):
        left, right = max(span.since, axis.since), min(span.until or axis.until, axis.until)
        if right < left or span.since > axis.until:
            continue
        x = axis.x(left)
        is_leftward = x > 100 - MARK_WIDTH
        start = x - MARK_WIDTH if is_leftward else x
        lane = next((lane for lane, end in enumerate(lane_ends) if end <= start), len(lane_ends))
        lane_ends[lane : lane + 1] = [start + MARK_WIDTH]
        yield Block(x, round(axis.x(right) - x, 3), lane, is_leftward, span.since >= axis.since, span.key)
