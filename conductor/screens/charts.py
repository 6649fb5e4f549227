"""Turn scored rows into the geometry of the chart and the sparklines. Pure.

Everything across and down is in per cent of the plot, from its top left corner, so one drawing fits a phone and a
projector. The paths of the chart are in steps of a second across, and down of a thousandth of the score or of one
person: from point to point these are small whole numbers, which are short, and a reader gets back what was drawn.
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
LONGEST_HOLD = timedelta(seconds=65)  # some platforms count their people once a minute
MARK_WIDTH = 17.0  # what icon and type of an incident need on a laptop
POLL_WIDTH = 12.0  # what the name of a poll needs there, and the shorter one on a phone
SCALE = 1_000  # steps from a score of 0 to 1: a third of a pixel each
# Up to so many minutes: how many are from tick to tick on a wide screen, and on a narrow one.
TICK_STEPS = (
    (8, 1, 2), (16, 1, 5), (32, 2, 10), (80, 5, 15), (160, 10, 30), (240, 15, 60), (480, 30, 120), (960, 60, 240),
    (3_840, 240, 720),
)  # fmt: skip
MOST_TICKS = 16
MOST_LANES = 5
COLUMNS = 900  # a plot has hardly more pixels: of more points in one of them only the lowest and the highest are drawn

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
    lane: int | None  # None where all rows are full: it is drawn without its mark
    is_leftward: bool  # the mark is written to the left of the start, as the right edge is near
    starts_inside: bool
    ends_inside: bool
    key: object

    @property
    def end(self) -> float:
        return round(self.x + self.width, 3)


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
class People:
    """How many were there: a stepped area whose box is as high as the most of them."""

    area: str
    most: int
    newest: int | None  # None where nobody knows how many are there now


@dataclass(frozen=True, slots=True)
class Chart:
    """All that the chart draws. Its paths lie in boxes of `seconds` across; those of the score are `SCALE` high."""

    since: datetime
    until: datetime
    seconds: int
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
    polls: tuple[Block, ...]  # under the score, in a row of their own: they are many, and no bad news
    people: People | None  # None where nobody was ever counted


def draw_chart(
    rows: Sequence[Moment],
    *,
    people: Iterable[Moment] = (),
    late: Iterable[Moment] = (),
    band: Sequence[tuple[datetime, float, float]] = (),
    incidents: Iterable[Span] = (),
    breaks: Iterable[Span] = (),
    polls: Iterable[Span] = (),
    span: timedelta | None = SPAN,
    bridge: timedelta = LONGEST_BRIDGE,
) -> Chart | None:
    """Return the drawing of the rows (moment, score), oldest first, or None where there is none.

    It shows the last `span` up to the newest row, less where the rows began later; None shows them all. A row
    without a score and a gap longer than `bridge` both interrupt the line; so it is with those who were there.
    Polls come oldest first, incidents and breaks in any order.
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
    blocks = list(_blocks(axis, incidents, breaks))
    return Chart(
        since=since,
        until=until,
        seconds=axis.seconds,
        line="".join(_trail(axis.steps(run)) for run in points if len(run) > 1),
        band=_trail(axis.steps([*upper, *reversed(lower)])) + "Z" if upper else "",
        band_edges=_trail(axis.steps(upper)) + _trail(axis.steps(lower)) if upper else "",
        band_label=lower[0] if lower else None,
        head=None if newest is None else axis.point(until, newest),
        lone=tuple(axis.point(*run[0]) for run in runs if len(run) == 1),
        late=tuple(axis.point(at, value) for at, value in late if value is not None and since <= at <= until),
        levels=tuple(Level(_y(least), least, name) for name, least in LEVELS if least),
        ticks=tuple(_ticks(axis)),
        incidents=tuple(block for block, is_break in blocks if not is_break),
        breaks=tuple(block for block, is_break in blocks if is_break),
        polls=tuple(_draw_blocks(axis, filter(axis.shows, polls), POLL_WIDTH, most_lanes=1)),
        people=_people(axis, people, bridge),
    )


def draw_spark(rows: Sequence[Moment], top: float = 0.0, span: timedelta | None = None) -> str:
    """Return the path of a sparkline in a box of 600 × 100; its upper edge is `top`, or the highest value.

    It ends with the newest row, and is as long as the rows or as `span`.

    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> draw_spark([(at, 0.0), (at + timedelta(seconds=5), 4.0), (at + timedelta(seconds=10), 2.0)])
    'M0 100l300-100l300 50'
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
    lines = (axis.trace(run) for run in runs if len(run) > 1)
    return "".join(_trail([(int(6 * x + 0.5), int(y + 0.5)) for x, y in line]) for line in lines)


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


def hold_counts(counts: Iterable[Moment]) -> Iterator[Moment]:
    """Yield how many were there at each row: where nobody counted, as many as a moment ago.

    >>> at = [datetime(2026, 3, 2, 9, minute) for minute in range(4)]
    >>> [count for _, count in hold_counts(zip(at, [None, 50.0, None, None]))]
    [None, 50.0, 50.0, None]
    """
    counted_at, held = datetime.min, None
    for at, count in counts:
        if count is not None:
            counted_at, held = at, count
        elif held is not None and at - counted_at > LONGEST_HOLD:
            held = None
        yield at, held


def tear(moments: Iterable[Moment], longest: timedelta) -> Iterator[Moment]:
    """Yield the moments, and one without a value in each gap that is longer.

    >>> at = [datetime(2026, 3, 2, 9, minute) for minute in (0, 1, 5)]
    >>> [value for _, value in tear(zip(at, [1.0, 2.0, 3.0]), timedelta(minutes=2))]
    [1.0, 2.0, None, 3.0]
    """
    before = None
    for at, value in moments:
        if before is not None and at - before > longest:
            yield before + longest, None
        yield at, value
        before = at


@dataclass(frozen=True, slots=True)
class _Axis:
    since: datetime
    until: datetime

    def x(self, at: datetime) -> float:
        return round(100 * ((at - self.since) / (self.until - self.since)), 3)

    def point(self, at: datetime, value: float) -> Point:
        return self.x(at), _y(value)

    def shows(self, span: Span) -> bool:
        """Tell whether any of a span lies between the edges."""
        return span.since <= self.until and (span.until is None or span.until >= self.since)

    @property
    def seconds(self) -> int:
        """How many steps a path is wide."""
        return round((self.until - self.since).total_seconds())

    def second(self, at: datetime) -> int:
        return round((at - self.since) / (self.until - self.since) * self.seconds)

    def steps(self, points: Iterable[Point]) -> list[tuple[int, int]]:
        """Return points, in per cent, in the steps of a path."""
        across, down = self.seconds / 100, SCALE / 100
        return [(int(across * x + 0.5), int(down * y + 0.5)) for x, y in points]

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


def _trail(steps: Sequence[tuple[int, int]]) -> str:
    """Return a path that goes from each point to the next one.

    >>> _trail([(0, 500), (5, 488), (10, 500)])
    'M0 500l5-12l5 12'
    """
    (x, y), *rest = steps
    words = [f"M{x} {y}"]
    for to_x, to_y in rest:
        words.append(f"l{to_x - x}{' ' if to_y >= y else ''}{to_y - y}")
        x, y = to_x, to_y
    return "".join(words)


def _people(axis: _Axis, counts: Iterable[Moment], bridge: timedelta) -> People | None:
    shown = [(at, count) for at, count in counts if axis.since <= at <= axis.until]
    runs = list(_runs(shown, bridge))
    if not runs:
        return None
    most = max(1, *(round(count) for run in runs for _, count in run))
    newest = shown[-1][1]
    area = "".join(_steps_of(axis, run, most) for run in runs)
    return People(area, most, None if newest is None else round(newest))


def _steps_of(axis: _Axis, run: Sequence[tuple[datetime, float]], most: int) -> str:
    """Return the outline of a run, from the ground to the ground: as wide as it lasted, a step at least."""
    x, last = axis.second(run[0][0]), axis.second(run[-1][0])
    if x == last:
        x, last = max(0, last - 1), max(1, last)
    count = round(run[0][1])
    words = [f"M{x} {most}v-{count}"]
    for at, value in run:
        if round(value) != count:
            second = axis.second(at)
            words.append(f"h{second - x}v{count - round(value)}")
            x, count = second, round(value)
    words.append(f"H{last}V{most}")
    return "".join(words)


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
    """Yield the full minutes that are labelled; those are minor that a phone has no room for."""
    step, coarse = _tick_steps(axis.until - axis.since)
    at = axis.since + timedelta(seconds=-axis.since.timestamp() % step.total_seconds())
    while at <= axis.until:
        yield Tick(axis.x(at), at, is_minor=bool(at.timestamp() % coarse.total_seconds()))
        at += step


def _tick_steps(span: timedelta) -> tuple[timedelta, timedelta]:
    """Return how far ticks are apart, and those of them that are always labelled.

    >>> [str(step) for step in _tick_steps(timedelta(minutes=30))]
    ['0:02:00', '0:10:00']
    """
    for most, fine, coarse in TICK_STEPS:
        if span <= timedelta(minutes=most):
            return timedelta(minutes=fine), timedelta(minutes=coarse)
    days = timedelta(days=-(-span // timedelta(days=MOST_TICKS)))
    return days, 4 * days


def _blocks(axis: _Axis, incidents: Iterable[Span], breaks: Iterable[Span]) -> Iterator[tuple[Block, bool]]:
    """Yield what of the spans lies in the plot, oldest first, and whether it is a break.

    Each mark is in the first lane where it has room, as those of incidents and of breaks must not meet either.
    """
    spans = [*((span, False) for span in incidents), *((span, True) for span in breaks)]
    shown = sorted(((span, is_break) for span, is_break in spans if axis.shows(span)), key=lambda each: each[0].since)
    blocks = _draw_blocks(axis, [span for span, _ in shown], MARK_WIDTH, MOST_LANES)
    yield from zip(blocks, [is_break for _, is_break in shown], strict=True)


def _draw_blocks(axis: _Axis, spans: Iterable[Span], mark_width: float, most_lanes: int) -> Iterator[Block]:
    """Yield each of the spans, oldest first, as far as it lies in the plot, with lanes for marks of this width."""
    lane_ends: list[float] = []
    for span in spans:
        left, right = max(span.since, axis.since), min(span.until or axis.until, axis.until)
        x = axis.x(left)
        is_leftward = x > 100 - mark_width
        start = x - mark_width if is_leftward else x
        lane = next((lane for lane, end in enumerate(lane_ends) if end <= start), len(lane_ends))
        if lane < most_lanes:
            lane_ends[lane : lane + 1] = [start + mark_width]
        yield Block(
            x=x,
            width=round(axis.x(right) - x, 3),
            lane=lane if lane < most_lanes else None,
            is_leftward=is_leftward,
            starts_inside=span.since >= axis.since,
            ends_inside=span.until is not None and span.until <= axis.until,
            key=span.key,
        )
