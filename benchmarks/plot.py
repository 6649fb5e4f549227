"""A plot of what a single row costs and how long its POST takes, against how many come a second.

An SVG of our own: two panels with logarithmic axes are less than a plotting library is to install.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

from benchmarks.measure import Run

WIDTH, HEIGHT, MARGIN, GAP = 460, 300, 60, 40
COLOURS = ("#1b6e8c", "#b4551d", "#5b6b2f")
FONT = 'font-family="sans-serif" font-size="12"'

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """Whole decades, from end to end of so many pixels."""

    least: int
    most: int
    begin: float
    end: float

    def place(self, value: float) -> float:
        """Return where a value is.

        >>> Axis(0, 2, 0, 100).place(10), Axis(0, 2, 100, 0).place(1)
        (50.0, 100.0)
        """
        share = (log10(value) - self.least) / (self.most - self.least)
        return self.begin + share * (self.end - self.begin)

    @property
    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.least, self.most + 1)]


def draw(curves: Mapping[str, Sequence[Run]]) -> str:
    """Return the plot as SVG. A rate at which a stack was full is no point of it: its line ends before."""
    kept = {stack: [run for run in runs if run.keeps_up] for stack, runs in curves.items()}
    costs = {stack: [(run.case.rate, run.cpu_of()) for run in runs] for stack, runs in kept.items()}
    times = {stack: [(run.case.rate, run.post_ms(99)) for run in runs] for stack, runs in kept.items()}
    panels = [
        *_panel("CPU of a row, µs", costs, MARGIN),
        *_panel("POST, 99th percentile, ms", times, MARGIN + WIDTH + GAP + MARGIN),
    ]
    width, height = 2 * (MARGIN + WIDTH + GAP), HEIGHT + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(panels) + "\n</svg>\n"
    )


def _panel(title: str, lines: Mapping[str, Points], left: float) -> list[str]:
    points = [point for line in lines.values() for point in line] or [(1.0, 1.0)]
    across = _axis([rate for rate, _ in points], left, left + WIDTH)
    up = _axis([value for _, value in points], MARGIN + HEIGHT, MARGIN)
    parts = [_text(title, left, MARGIN - 20, bold=True), _text("single rows a second", left, MARGIN + HEIGHT + 40)]
    for value in across.decades:
        x = across.place(value)
        parts += [_line(x, MARGIN, x, MARGIN + HEIGHT), _text(f"{value:,g}", x - 8, MARGIN + HEIGHT + 18)]
    for value in up.decades:
        y = up.place(value)
        parts += [_line(left, y, left + WIDTH, y), _text(f"{value:,g}", left - 50, y + 4)]
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [(across.place(rate), up.place(value)) for rate, value in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(_text(name, left + WIDTH - 130, MARGIN + 18 * (number + 1), colour))
    return parts


def _axis(values: Sequence[float], begin: float, end: float) -> Axis:
    """Return an axis of the decades that the values lie in, one at least."""
    least = floor(log10(min(values)))
    return Axis(least, max(least + 1, ceil(log10(max(values)))), begin, end)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(text: str, x: float, y: float, colour: str = "#333333", *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" {FONT}{weight} fill="{colour}">{escape(text)}</text>'
