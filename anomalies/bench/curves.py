"""Recall against false alarms an hour, as points and as an SVG drawing. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log10
from xml.sax.saxutils import escape

from anomalies.bench.corpus import LabelledSession
from anomalies.bench.drawing import LEFT, NAME_HEIGHT, NAMES_AT, RIGHT, TOP, caption, frame, level, tick, y_of
from anomalies.bench.evaluation import Judge, evaluate
from anomalies.bench.rivals.rival import Rival, Watched
from anomalies.detector.config import BY_SENSITIVITY, DEFAULT, DetectorConfig
from anomalies.detector.replay import judge_sessions

TARGET_RECALL, TARGET_FALSE_ALARMS = 0.95, 0.05
WARNINGS = (0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4)  # thresholds of our own curve
HYSTERESIS = 0.1  # an incident closes at least so far below the score that opens one

LEAST, MOST = 0.01, 100.0  # false alarms an hour, logarithmic; fewer than the least are drawn there
TICKS = ((0.01, "≤ .01"), (0.05, ".05"), (0.1, ".1"), (1, "1"), (10, "10"), (100, "100"))


@dataclass(frozen=True, slots=True)
class Point:
    """What a detector reaches at one threshold; `name` where somebody can choose just this point."""

    threshold: float
    false_alarms_per_hour: float
    recall: float
    name: str = ""
    halves: tuple[float | None, ...] = ()  # false alarms an hour on the even and the odd half of the sessions


@dataclass(frozen=True, slots=True)
class Curve:
    """What a detector reaches, from shy to loud."""

    name: str
    points: tuple[Point, ...]
    is_ours: bool = False


def with_warning_from(warning_from: float, config: DetectorConfig = DEFAULT) -> DetectorConfig:
    """Return the config with another threshold, and the others in order around it."""
    opening, closing = config.opening, config.closing
    return replace(
        config,
        opening=replace(opening, warning_from=warning_from, critical_from=max(opening.critical_from, warning_from)),
        closing=replace(closing, calm_below=min(closing.calm_below, warning_from - HYSTERESIS)),
    )


def our_curve(
    sessions: Sequence[LabelledSession],
    progress: Callable[[int], object] = lambda count: None,
    name: str = "this detector",
) -> Curve:
    """Return the curve of our detector, through the sensitivities that an event can choose."""
    named = {config.opening.warning_from: name for name, config in BY_SENSITIVITY.items()}
    chosen = {config.opening.warning_from: config for config in BY_SENSITIVITY.values()}
    thresholds = sorted({*WARNINGS, *named}, reverse=True)

    def judge_at(threshold: float) -> Judge:
        config = chosen.get(threshold) or with_warning_from(threshold)
        return lambda batch: judge_sessions(batch, config=config)

    return replace(sweep(name, sessions, judge_at, thresholds, named, progress), is_ours=True)


def rival_curve(
    rival: Rival,
    sessions: Sequence[LabelledSession],
    watched: Watched,
    progress: Callable[[int], object] = lambda count: None,
) -> Curve:
    """Return the curve of a rival, with a dot at the threshold it is usually given."""

    def judge_at(threshold: float) -> Judge:
        return rival.as_judge(threshold, watched)

    return sweep(rival.name, sessions, judge_at, rival.thresholds, {rival.threshold: "as usual"}, progress)


def sweep(
    name: str,
    sessions: Sequence[LabelledSession],
    judge_at: Callable[[float], Judge],
    thresholds: Iterable[float],
    named: Mapping[float, str],
    progress: Callable[[int], object] = lambda count: None,
) -> Curve:
    """Evaluate a detector at each threshold; `progress` hears of each."""
    points = []
    for threshold in thresholds:
        evaluation = evaluate(sessions, judge_at(threshold))
        total, halves = evaluation.total, evaluation.by_half.values()
        points.append(
            Point(
                threshold,
                total.false_alarms_per_hour or 0.0,
                total.recall or 0.0,
                named.get(threshold, ""),
                tuple(half.false_alarms_per_hour for half in halves),
            )
        )
        progress(1)
    return Curve(name, tuple(points))


def draw_curves(curves: Sequence[Curve], title: str) -> str:
    """Return the SVG: each curve with its name at its end, dots where a point has a name, the target as a corner."""
    x, y = _x(TARGET_FALSE_ALARMS), y_of(TARGET_RECALL)
    parts = [
        caption("Share of incidents found, against false alarms an hour"),
        f'<path class="target" d="M{LEFT} {TOP}H{x:g}V{y:g}H{LEFT}Z"/>',
        f'<text class="quiet" x="{LEFT}" y="{TOP - 8}">target: .95 at .05</text>',
        *(level(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        *(tick(_x(rate), label) for rate, label in TICKS),
    ]
    for curve in sorted(curves, key=lambda curve: curve.is_ours):  # ours on top
        parts += _line(curve)
        if curve.is_ours:
            parts += _choices(curve)
    parts += _names(curves)
    return frame(title, parts)


def _x(rate: float) -> float:
    share = log10(min(MOST, max(LEAST, rate)) / LEAST) / log10(MOST / LEAST)
    return round(LEFT + share * (RIGHT - LEFT), 1)


def _line(curve: Curve) -> list[str]:
    style = " ours" if curve.is_ours else ""
    path = "L".join(f"{_x(point.false_alarms_per_hour):g} {y_of(point.recall):g}" for point in curve.points)
    parts = [f'<path class="line{style}" d="M{path}"/>']
    for point in curve.points:
        if point.name:
            x, y = _x(point.false_alarms_per_hour), y_of(point.recall)
            what = f"{curve.name}, {point.name}: {point.recall:.2f} at {point.false_alarms_per_hour:.3f} an hour"
            parts.append(
                f'<circle class="dot{style}" cx="{x:g}" cy="{y:g}" r="4"><title>{escape(what)}</title></circle>'
            )
    return parts


def _choices(curve: Curve) -> list[str]:
    """Return the names of the points that can be chosen, below them all, the leftmost at the bottom."""
    named = sorted((point for point in curve.points if point.name), key=lambda point: -point.false_alarms_per_hour)
    lowest = max((y_of(point.recall) for point in named), default=0.0)
    parts = []
    for place, point in enumerate(named, 1):
        x, y = _x(point.false_alarms_per_hour), lowest + NAME_HEIGHT * place
        parts.append(f'<path class="leader" d="M{x:g} {y_of(point.recall) + 5:g}V{y + 6:g}"/>')
        parts.append(f'<text x="{x + 5:g}" y="{y + 6:g}">{escape(point.name)}</text>')
    return parts


def _names(curves: Sequence[Curve]) -> list[str]:
    """Return each curve's name in a column at the right, in the order of the ends, with a line that leads there."""
    parts, below = [], float(TOP)
    for curve in sorted(curves, key=lambda curve: -curve.points[-1].recall):
        end = curve.points[-1]
        x, y = _x(end.false_alarms_per_hour), y_of(end.recall)
        at = max(below, y)
        below = at + NAME_HEIGHT
        style = " ours" if curve.is_ours else ""
        parts.append(f'<path class="leader" d="M{x + 4:g} {y:g}L{RIGHT + 4} {at:g}H{NAMES_AT - 4}"/>')
        parts.append(f'<text class="name{style}" x="{NAMES_AT}" y="{at + 4:g}">{escape(curve.name)}</text>')
    return parts
