"""The frame of every picture of the bench: an SVG that is readable on light and dark, without a font. Pure."""

from collections.abc import Iterable
from xml.sax.saxutils import escape

# In pixels of the SVG's own box.
WIDTH, HEIGHT = 760, 440
LEFT, TOP, RIGHT, BOTTOM = 56, 76, 590, 404
NAMES_AT, NAME_HEIGHT = 606, 18

STYLE = """
svg { --ink: #16191d; --soft: #4f565e; --hair: #d6d8d4; --paper: #fff; --accent: #14507f; --target: #d5e3ee }
@media (prefers-color-scheme: dark) {
svg { --ink: #eceef0; --soft: #aab1b9; --hair: #343a41; --paper: #191d22; --accent: #74b9f0; --target: #24394b } }
text { font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums; fill: var(--ink) }
.title { font-size: 16px; font-weight: 600 } .quiet { fill: var(--soft) } .paper { fill: var(--paper) }
.hair { stroke: var(--hair) } .leader { stroke: var(--soft); stroke-width: .75; fill: none }
.target { fill: var(--target) } .end { text-anchor: end } .middle { text-anchor: middle }
.line { fill: none; stroke: var(--soft); stroke-width: 1.25; stroke-linejoin: round }
.dot { fill: var(--paper); stroke: var(--soft); stroke-width: 1.25 }
.spot { fill: none; stroke: var(--soft) } .spot.ours { fill: var(--accent); fill-opacity: .35; stroke-width: 1 }
.field { fill: none; stroke: var(--hair) } .right { fill: var(--target) } .wrong { fill: var(--hair) }
.promise { stroke: var(--target); stroke-width: 9 } .strong { font-weight: 600 }
.ours { stroke: var(--accent); stroke-width: 2.5 } .name.ours { fill: var(--accent); font-weight: 600; stroke: none }
"""


def frame(title: str, parts: Iterable[str]) -> str:
    """Return the SVG of these parts under a title."""
    body = "\n".join((f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>', *parts))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">\n<style>{STYLE}</style>\n'
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>\n{body}\n</svg>\n'
    )


def caption(text: str) -> str:
    """Return the line below the title, which says what is on the axes."""
    return f'<text class="quiet" x="{LEFT}" y="42">{escape(text)}</text>'


def write(text: str, x: float, y: float, look: str = "") -> str:
    """Return a text."""
    return f'<text class="{look}" x="{x:g}" y="{y:g}">{escape(text)}</text>'


def y_of(share: float) -> float:
    """Return the height at which a share is drawn."""
    return round(BOTTOM - share * (BOTTOM - TOP), 1)


def level(share: float) -> str:
    """Return the line across the picture at a share, with its figure."""
    y = y_of(share)
    label = f"{share:.2f}".removeprefix("0")
    return (
        f'<line class="hair" x1="{LEFT}" x2="{RIGHT}" y1="{y:g}" y2="{y:g}"/>'
        f'<text class="quiet end" x="{LEFT - 8}" y="{y + 4:g}">{label}</text>'
    )


def tick(x: float, label: str) -> str:
    """Return a mark below the picture, with what it stands for."""
    return (
        f'<line class="hair" x1="{x:g}" x2="{x:g}" y1="{BOTTOM}" y2="{BOTTOM + 5}"/>'
        f'<text class="quiet middle" x="{x:g}" y="{BOTTOM + 20}">{escape(label)}</text>'
    )


def legend(names: Iterable[tuple[str, float, float]], chief: str = "") -> list[str]:
    """Return names in a column at the right, each with a line to the end (x, y) of what it names, highest first."""
    parts, below = [], float(TOP)
    for name, x, y in sorted(names, key=lambda each: each[2]):
        at = max(below, y)
        below = at + NAME_HEIGHT
        parts.append(f'<path class="leader" d="M{x + 4:g} {y:g}L{RIGHT + 4} {at:g}H{NAMES_AT - 4}"/>')
        parts.append(write(name, NAMES_AT, at + 4, "name ours" if name == chief else "name"))
    return parts
