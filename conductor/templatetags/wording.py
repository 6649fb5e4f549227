"""How numbers, times and names are written, in one way on every page."""

from datetime import UTC, datetime, timedelta

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conductor.payloads import moment
from conductor.screens.doubts import Doubt, DoubtKind

register = template.Library()

SIGNAL_NAMES = {
    "chat_msgs_per_min": "Chat",
    "poll_participation": "Polls",
    "active_share": "Active share",
    "reactions_per_min": "Reactions",
    "user_leave_rate": "Leaves",
}
RATES = {"chat_msgs_per_min", "reactions_per_min"}
MINUS = "\N{MINUS SIGN}"
MOST_PERCENT = 900
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"


@register.filter
def score(value: float | str | None) -> str:
    """Write a score.

    >>> [score(v) for v in (0.744, 0.999, 0, -0.02, None)]
    ['.74', '1.00', '.00', '−.02', '—']
    """
    if value is None or value == "":  # Django hands a filter "" for the attribute of a thing that is not there
        return "—"
    digits = f"{abs(float(value)):.2f}"
    return (MINUS if float(value) < 0 and digits != "0.00" else "") + digits.removeprefix("0")


@register.filter
def change(value: float) -> str:
    """Write a relative change with its sign; beyond ten times what is usual the figure says nothing more.

    >>> [change(v) for v in (-0.86, 0.004, 1.2, 98.6)]
    ['−86\\u202f%', '±0\\u202f%', '+120\\u202f%', '> +900\\u202f%']
    """
    percent = round(100 * value)
    if percent > MOST_PERCENT:
        return f"> +{MOST_PERCENT}{NARROW_SPACE}%"
    sign = "+" if percent > 0 else MINUS if percent < 0 else "±"
    return f"{sign}{abs(percent)}{NARROW_SPACE}%"


@register.filter
def fall(value: float) -> str:
    """Write the part that is gone.

    >>> fall(0.58)
    '−58\\u202f%'
    """
    return change(-value)


@register.filter
def measured(value: float | None, name: str) -> str:
    """Write what a signal measured, a rate as a number, a share as per cent.

    >>> measured(0.746, "active_share"), measured(12.0, "chat_msgs_per_min"), measured(1.5, "reactions_per_min")
    ('75', '12', '1.5')
    """
    if value is None:
        return "—"
    value = value if name in RATES else 100 * value
    return f"{value:.1f}".removesuffix(".0") if 0 < value < 10 and name in RATES else f"{value:.0f}"


@register.filter
def unit(name: str) -> str:
    return "a minute" if name in RATES else "%"


@register.filter
def signal_name(name: str) -> str:
    return SIGNAL_NAMES.get(name, name)


@register.filter
def level_name(name: str | None) -> str:
    """Write a level.

    >>> level_name("VERY_LOW")
    'Very low'
    """
    return (name or "").replace("_", " ").capitalize()


@register.filter
def duration(value: timedelta | None) -> str:
    """Write how long something took, no finer than a person needs.

    >>> [duration(timedelta(seconds=s)) for s in (40, 200, 2400, 3900)]
    ['40 s', '3 min 20 s', '40 min', '1 h 05 min']
    """
    if value is None:
        return ""
    minutes, seconds = divmod(max(0, round(value.total_seconds())), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    if minutes >= 10 or (minutes and not seconds):
        return f"{minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


@register.filter
def seconds(value: int) -> str:
    """Write a number of seconds as a duration."""
    return duration(timedelta(seconds=value))


@register.filter
def doubt_words(doubt: Doubt) -> str:
    """Write why nothing can be said of a session.

    >>> doubt_words(Doubt(DoubtKind.SILENT, timedelta(seconds=65)))
    'No data for 1 min 5 s'
    >>> doubt_words(Doubt(DoubtKind.FROZEN, timedelta(minutes=30), is_at_least=True))
    'The numbers have not moved for at least 30 min'
    >>> doubt_words(Doubt(DoubtKind.UNTRUE))
    'The numbers cannot be true'
    >>> doubt_words(Doubt(DoubtKind.UNJUDGED, timedelta(seconds=40)))
    'Nothing judged for 40 s'
    """
    if doubt.kind == DoubtKind.UNTRUE:
        return "The numbers cannot be true"
    what = {DoubtKind.SILENT: "No data", DoubtKind.UNJUDGED: "Nothing judged"}.get(
        doubt.kind, "The numbers have not moved"
    )
    return f"{what} for {'at least ' if doubt.is_at_least else ''}{duration(doubt.lasted)}"


@register.filter
def clock(at: datetime | None) -> SafeString | str:
    """Write a moment in UTC; `times.js` rewrites it in the viewer's zone."""
    return _time(at, "%H:%M", "")


@register.filter
def clock_ago(at: datetime | None) -> SafeString | str:
    """As `clock`; `times.js` adds how long ago that is."""
    return _time(at, "%H:%M", "ago")


@register.filter
def day(at: datetime | None) -> SafeString | str:
    """As `clock`, with the date, for what may lie weeks back."""
    return _time(at, "%Y-%m-%d %H:%M", "day")


def _time(at: datetime | None, pattern: str, wish: str) -> SafeString | str:
    if at is None:
        return ""
    attribute = format_html(" data-{}", wish) if wish else ""
    words = f"{at.astimezone(UTC):{pattern}} UTC"
    return format_html('<time datetime="{}"{}>{}</time>', moment(at), attribute, words)


@register.filter
def rfc3339(at: datetime) -> str | None:
    return moment(at)
