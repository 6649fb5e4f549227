"""What an evaluation found, as drawings: delays, severity, names, and what was promised. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from math import log10
from xml.sax.saxutils import escape

from anomalies.bench.curves import Curve, Point
from anomalies.bench.drawing import (
    BOTTOM,
    LEFT,
    NAMES_AT,
    RIGHT,
    TOP,
    caption,
    frame,
    legend,
    level,
    tick,
    write,
    y_of,
)
from anomalies.bench.evaluation import MISSED, TYPES, Evaluation
from anomalies.bench.tally import LARGE_LOSS, Tally
from anomalies.detector.config import BY_SENSITIVITY, DEFAULT

ALL = "all"
SECONDS = 300.0  # of delay that are drawn
LEAST_HOURS, MOST_HOURS = 1.0, 300.0  # for each false alarm, logarithmic; what is more is drawn there
HOURS = (1, 3, 10, 30, 100, 300)
ROW = 26  # pixels a line of the promise takes


def draw_delays(evaluation: Evaluation, title: str) -> str:
    """Return what share of the incidents was found within so many seconds, by type and of all."""
    lines = {_words(name): tally for name, tally in evaluation.by_type.items() if tally.detections}
    parts = [
        caption("Share of all incidents that was told within so many seconds of their beginning"),
        *(level(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        *(tick(_x_of_delay(seconds), f"{seconds} s") for seconds in (10, 30, 60, 120, 180, 240, 300)),
    ]
    ends = []
    for name, tally in {**lines, ALL: evaluation.total}.items():
        parts.append(f'<path class="line{" ours" if name == ALL else ""}" d="{_steps(tally)}"/>')
        ends.append((name, float(RIGHT), y_of(tally.within(SECONDS) or 0.0)))
    return frame(title, [*parts, *legend(ends, ALL)])


def _x_of_delay(seconds: float) -> float:
    return round(LEFT + min(seconds, SECONDS) / SECONDS * (RIGHT - LEFT), 1)


def _steps(tally: Tally) -> str:
    """Return the path that rises by a step at every delay."""
    delays = sorted(delay for delay in tally.delays if delay <= SECONDS)
    path, found = f"M{LEFT} {y_of(0):g}", 0
    for delay in sorted(set(delays)):
        found = sum(other <= delay for other in delays)
        path += f"H{_x_of_delay(max(0.0, delay)):g}V{y_of(found / len(tally.detections)):g}"
    return f"{path}H{RIGHT}"


def draw_severity(tally: Tally, title: str) -> str:
    """Return each found incident by what was lost and by the anomaly score that was told of it."""
    least = DEFAULT.opening.warning_from
    known = [each for each in tally.detections if each.delay is not None and each.loss is not None]

    def y(score: float) -> float:
        return y_of((max(least, score) - least) / (1 - least))

    correlation = tally.score_correlation
    related = "" if correlation is None else f"; rank correlation {correlation:.2f}".replace("0.", ".")
    critical, large = DEFAULT.opening.critical_from, LEFT + LARGE_LOSS * (RIGHT - LEFT)
    parts = [
        caption(f"Highest anomaly score, by the share of the engaged audience that was lost{related}"),
        *(_score_line(score, y(score)) for score in (0.6, 0.7, critical, 0.9, 1.0)),
        *(tick(LEFT + loss * (RIGHT - LEFT), f"{100 * loss:.0f} %") for loss in (0.0, 0.25, LARGE_LOSS, 0.75, 1.0)),
        f'<line class="leader" x1="{large:g}" x2="{large:g}" y1="{TOP}" y2="{BOTTOM}"/>',
        write("CRITICAL", NAMES_AT, y(0.9)),
        write("WARNING", NAMES_AT, y(0.7)),
    ]
    for each in sorted(known, key=lambda each: (each.is_critical, each.loss, each.score)):
        x = LEFT + (each.loss or 0.0) * (RIGHT - LEFT)
        look = "spot ours" if each.is_critical else "spot"
        parts.append(f'<circle class="{look}" cx="{x:.1f}" cy="{y(each.score):g}" r="3.5"/>')
    return frame(title, parts)


def _score_line(score: float, y: float) -> str:
    look = "leader" if score == DEFAULT.opening.critical_from else "hair"
    label = f"{score:.2f}".removeprefix("0")
    return (
        f'<line class="{look}" x1="{LEFT}" x2="{RIGHT}" y1="{y:g}" y2="{y:g}"/>'
        f'<text class="quiet end" x="{LEFT - 8}" y="{y + 4:g}">{label}</text>'
    )


def draw_names(evaluation: Evaluation, title: str) -> str:
    """Return by which name the incidents of each type were last told: a field the fuller, the more of them."""
    told = [*TYPES, MISSED]
    across, down = (RIGHT - LEFT - 90) / len(told), (BOTTOM - TOP - 20) / len(TYPES)
    parts = [caption("Incidents of a type, a line each, by the name that they were last told by")]
    parts += [
        write(word, LEFT + 90 + across * (column + 0.5) - 2, TOP + 14 * line, "middle")
        for column, name in enumerate(told)
        for line, word in enumerate(_words(name).split())
    ]
    for row, name in enumerate(TYPES):
        y, counts = TOP + 20 + down * row, evaluation.names[name]
        whole = sum(counts.values())
        parts.append(write(_words(name), LEFT + 82, y + down / 2 + 4, "end"))
        for column, other in enumerate(told):
            x = LEFT + 90 + across * column
            share = counts[other] / whole if whole else 0.0
            look = "right" if other == name else "wrong"
            parts.append(
                f'<rect class="field" x="{x:g}" y="{y:g}" width="{across - 4:g}" height="{down - 4:g}"/>'
                f'<rect class="{look}" x="{x:g}" y="{y:g}" width="{(across - 4) * share:.1f}" height="{down - 4:g}"/>'
            )
            parts.append(write(str(counts[other]), x + across / 2 - 2, y + down / 2 + 4, "middle"))
    return frame(title, parts)


def draw_promise(curves: Sequence[Curve], promised: Mapping[str, float], title: str) -> str:
    """Return for how many hours there is one false alarm: promised, and measured on each corpus.

    A line reaches from the worse to the better half of a corpus's sessions.
    """
    parts = [
        caption("Hours for each false alarm: a bar what is promised, a dot what was measured, a line its halves"),
        *(tick(_x_of_hours(hours), str(hours)) for hours in HOURS),
    ]
    y = float(TOP)
    for sensitivity in BY_SENSITIVITY:
        x = _x_of_hours(promised[sensitivity])
        height = ROW * len(curves)
        parts.append(write(sensitivity, LEFT - 48, y + 14, "strong"))
        parts.append(f'<line class="promise" x1="{x:g}" x2="{x:g}" y1="{y:g}" y2="{y + height:g}"/>')
        for curve in curves:
            parts += _measured(curve, sensitivity, y + ROW / 2)
            y += ROW
        y += ROW / 2
    return frame(title, parts)


def _measured(curve: Curve, sensitivity: str, y: float) -> Iterable[str]:
    point = next((point for point in curve.points if point.name == sensitivity), Point(0, 0.0, 0.0))
    hours = [_x_of_hours(1 / rate if rate else MOST_HOURS) for rate in (*point.halves, point.false_alarms_per_hour)]
    look = " ours" if curve.is_ours else ""
    yield f'<line class="line{look}" x1="{min(hours):g}" x2="{max(hours):g}" y1="{y:g}" y2="{y:g}"/>'
    what = f"{sensitivity}, {curve.name}: {point.false_alarms_per_hour:.3f} false alarms an hour"
    yield f'<circle class="dot{look}" cx="{hours[-1]:g}" cy="{y:g}" r="4"><title>{escape(what)}</title></circle>'
    yield write(curve.name, NAMES_AT, y + 4, f"name{look}")


def _x_of_hours(hours: float) -> float:
    share = log10(min(MOST_HOURS, max(LEAST_HOURS, hours)) / LEAST_HOURS) / log10(MOST_HOURS / LEAST_HOURS)
    return round(LEFT + 24 + share * (RIGHT - LEFT - 24), 1)


def _words(name: str) -> str:
    return name.replace("_", " ").lower()
