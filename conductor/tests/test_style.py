"""What the visual brief asks of colours, sizes and markup, computed from the files."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings

from conductor.hub import ACCESS_ENDED, HEARTBEAT_SECONDS
from conductor.screens.banners import NOTICE
from conductor.screens.charts import MARK_WIDTH, SCALE
from conductor.screens.session import SPANS, Range
from engagement.readings import SIGNALS

STATIC = Path(settings.BASE_DIR) / "static"
TEMPLATES = [path for path in (Path(settings.BASE_DIR) / "templates").rglob("*.html") if "admin" not in path.parts]
OWN_CSS = [path for path in (STATIC / "css").rglob("*.css") if path.name not in ("admin.css", "api.css")]
TOKENS = (STATIC / "css" / "tokens.css").read_text()
HEX = re.compile(r"--([\w-]+): (#[0-9a-f]{6});")

LIGHT = dict(HEX.findall(TOKENS.split("@media")[0]))
DARK = LIGHT | dict(HEX.findall(TOKENS.split("@media")[1]))

TEXT = [
    ("ink", "paper"), ("ink", "surface"), ("ink-soft", "paper"), ("ink-soft", "surface"), ("ink", "band"),
    ("accent", "paper"), ("accent", "surface"), ("on-accent", "accent"), ("paper", "ink"),
    ("on-warning", "warning"), ("on-critical", "critical"), ("warning-mark", "surface"),
    ("critical-mark", "surface"), ("critical-mark", "paper"), ("ink", "warning-wash"), ("ink", "critical-wash"),
]  # fmt: skip
MARKS = [
    ("accent", "surface"), ("accent", "band"), ("accent", "warning-wash"), ("accent", "critical-wash"),
    ("warning-mark", "paper"), ("warning-mark", "warning-wash"), ("critical-mark", "critical-wash"),
    ("edge", "surface"), ("edge", "paper"), ("part-1", "paper"), ("part-2", "paper"), ("part-3", "paper"),
    ("part-4", "paper"), ("band-edge", "surface"),
]  # fmt: skip


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("words", "ground"), TEXT)
def test_text_can_be_read(scheme, words, ground):
    assert contrast(scheme[words], scheme[ground]) >= 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("mark", "ground"), MARKS)
def test_marks_can_be_seen(scheme, mark, ground):
    assert contrast(scheme[mark], scheme[ground]) >= 3


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_severities_differ_in_grey(scheme):
    assert contrast(scheme["warning"], scheme["critical"]) >= 3


def test_both_schemes_name_every_colour():
    assert set(dict(HEX.findall(TOKENS.split("@media")[1]))) == set(LIGHT)


def test_colours_and_sizes_come_from_the_tokens_alone():
    for path in OWN_CSS:
        if path.name == "tokens.css":
            continue
        css = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
        assert not re.search(r"#[0-9a-f]{3,8}\b|rgb|hsl|oklch", css), path
        for size in re.findall(r"font-size:\s*([^;]+);", css):
            assert size.startswith("var(--text-") or size == "125%", (path, size)


def test_every_token_that_is_used_exists():
    defined = set(re.findall(r"(--[\w-]+):", "".join(path.read_text() for path in OWN_CSS)))
    for path in OWN_CSS:
        assert set(re.findall(r"var\((--[\w-]+)", path.read_text())) <= defined, path


def test_every_signal_of_the_score_has_its_colour():
    css = (STATIC / "css" / "parts" / "engagement-score.css").read_text()
    assert re.findall(r"\.part-(\w+)", css) == [signal.name for signal in SIGNALS if signal.weight]


def test_every_stylesheet_is_imported():
    imported = set(re.findall(r'@import url\("([^"]+)"\)', (STATIC / "css" / "app.css").read_text()))
    assert imported == {str(path.relative_to(STATIC / "css")) for path in OWN_CSS if path.name != "app.css"}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_template_has_no_inline_style_script_or_handler(template):
    source = template.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+\s*=|javascript:", source, re.I)
    assert not re.search(r"<script(?![^>]*\s(src=|type=\"application/json\"))", source, re.I)  # data does nothing
    assert not re.search(r"\b(hx-on|hx-vals=.js|hx-vars)", source)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_template_loads_nothing_from_elsewhere(template):
    assert not re.search(r"""(src|href|action)=["'](https?:)?//""", template.read_text())


def test_scripts_and_python_agree():
    scripts = "".join((STATIC / "js" / name).read_text() for name in ("live.js", "sockets.js"))
    numbers = set(re.findall(r"^const ([A-Z_]+) = ([\d_]+);", scripts, re.M))
    assert {name: int(number) for name, number in numbers if name not in ("LONGEST_WAIT_MS", "CONNECT_MS")} == {
        "ACCESS_ENDED": ACCESS_ENDED,
        "HEARTBEAT_MS": HEARTBEAT_SECONDS * 1_000,
        "NOTICE_MS": NOTICE / timedelta(milliseconds=1),
    }


def test_scripts_of_the_chart_and_its_geometry_agree():
    scripts = "".join(path.read_text() for path in (STATIC / "js").glob("chart-*.js"))
    assert re.findall(r"^const THOUSANDTHS = ([\d_]+);", scripts, re.M) == [f"{SCALE:_}"]
    assert re.findall(r"^const MARK_WIDTH = ([\d_]+);", scripts, re.M) == [f"{MARK_WIDTH:g}"]
    assert re.findall(r'^const MS = \{ "(\w+)": ([\d_]+) \};', scripts, re.M) == [
        (Range.FIVE_MINUTES, f"{SPANS[Range.FIVE_MINUTES] // timedelta(milliseconds=1):_}")
    ]


def test_scripts_are_a_screen_at_most():
    for path in (STATIC / "js").iterdir():
        assert len(path.read_text().splitlines()) <= 100, path
