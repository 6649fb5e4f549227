"""The filters of the pages: thin ones over `engagement.wording`, and what only pages write."""

from datetime import UTC, datetime, timedelta

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from anomalies.life import Action, Tried
from anomalies.models import AnomalyAction
from anomalies.remedies import Effect
from conductor.screens.doubts import Doubt, DoubtKind
from engagement.moments import write_moment
from engagement.scoring import level
from engagement.wording import (
    signal_of,
    write_change,
    write_duration,
    write_measured,
    write_name,
    write_percent,
    write_score,
    write_unit,
)

register = template.Library()
register.filter("change", write_change)
register.filter("percent", write_percent)

UNKNOWN = "—"
ACTION_WORDS: dict[str, str] = {
    Action.ACKNOWLEDGE: "took it on",
    Action.SNOOZE: "asked for quiet",
    Action.CONFIRM: "found it to be real",
    Action.DISMISS: "found it to be a false alarm",
    Action.TRIED: "tried something else",
    Action.NOTE: "noted",
    Action.UNDO: "took the latest back",
    Action.REOPEN: "opened it again",
}
TRIED_NOUNS: dict[str, str] = {
    Tried.POLL: "a poll",
    Tried.QUESTION: "a question",
    Tried.BREAK: "a break",
    Tried.FIXED: "mending sound or picture",
    Tried.OTHER: "something else",
}
TRIED_WORDS: dict[str, str] = {
    Tried.POLL: "opened a poll",
    Tried.QUESTION: "asked a question",
    Tried.BREAK: "made a break",
    Tried.FIXED: "mended sound, picture or link",
}


@register.filter
def score(value: float | str | None) -> str:
    # Django hands a filter "" for the attribute of a thing that is not there.
    return UNKNOWN if value is None or value == "" else write_score(float(value))


@register.filter
def fall(value: float) -> str:
    """Write the part that is gone.

    >>> fall(0.58)
    '−58\\u202f%'
    """
    return write_change(-value)


@register.filter
def measured(value: float | None, name: str) -> str:
    return UNKNOWN if value is None else write_measured(value, signal_of(name))


@register.filter
def unit(name: str, value: float | None = None) -> str:
    return write_unit(signal_of(name), value)


@register.filter
def signal_name(name: str) -> str:
    return signal_of(name).label


@register.filter
def level_name(name: str | None) -> str:
    return write_name(name or "")


@register.filter
def level_of(value: float) -> str:
    return write_name(level(value))


@register.filter
def action_words(action: AnomalyAction) -> str:
    """Write what a person did with an incident.

    >>> action_words(AnomalyAction(by="mara", action="tried", tried="poll"))
    'mara opened a poll'
    """
    return f"{action.by} {TRIED_WORDS.get(action.tried) or ACTION_WORDS[action.action]}"


@register.filter
def tried_noun(tried: str) -> str:
    """Write what can be tried to win an audience back.

    >>> tried_noun("fixed")
    'mending sound or picture'
    """
    return TRIED_NOUNS[tried]


@register.filter
def effect_words(effect: Effect) -> str:
    """Write what came after something was tried in an event before.

    >>> minute = timedelta(minutes=1)
    >>> effect_words(Effect("poll", 6, 2 * minute, 9, 5 * minute))
    'In this event a poll helped: people were back after 2 min (6 times), without it after 5 min (9 times).'
    """
    after, alone = (write_duration(each or timedelta()) for each in (effect.median_after, effect.median_alone))
    return (
        f"In this event {tried_noun(effect.tried)} helped: people were back after {after} ({effect.cases} times), "
        f"without it after {alone} ({effect.left_alone} times)."
    )


@register.filter
def duration(value: timedelta | None) -> str:
    return "" if value is None else write_duration(value)


@register.filter
def seconds(value: int) -> str:
    """Write a number of seconds as a duration."""
    return write_duration(timedelta(seconds=value))


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
    if doubt.kind == DoubtKind.UNTRUE or doubt.lasted is None:
        return "The numbers cannot be true"
    what = {DoubtKind.SILENT: "No data", DoubtKind.UNJUDGED: "Nothing judged"}.get(
        doubt.kind, "The numbers have not moved"
    )
    return f"{what} for {'at least ' if doubt.is_at_least else ''}{write_duration(doubt.lasted)}"


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
    return format_html('<time datetime="{}"{}>{}</time>', write_moment(at), attribute, words)


@register.filter
def rfc3339(at: datetime) -> str:
    return write_moment(at)


@register.filter
def section_name(section: str | None) -> str:
    """Write where rooms stand: "Needs you"; "All" where no section is meant."""
    return "All" if section is None else section.replace("-", " ").capitalize()
