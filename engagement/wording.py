"""How figures, durations and names are written, in one way on every page. Pure."""

from datetime import timedelta

from engagement.readings import BY_NAME, Signal, SignalKind

MINUS = "\N{MINUS SIGN}"
MOST_PERCENT = 900
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"


def signal_of(name: str) -> Signal:
    """Return a signal by its name; one that is measured no more, and stands in an old incident, is its own label.

    >>> signal_of("user_leave_rate").label, signal_of("hand_waving").label
    ('Leaves', 'hand_waving')
    """
    return BY_NAME.get(name) or Signal(name, SignalKind.SHARE, name, name)


def write_score(value: float) -> str:
    """Write a score.

    >>> [write_score(value) for value in (0.744, 0.999, 0, -0.02)]
    ['.74', '1.00', '.00', '−.02']
    """
    digits = f"{abs(value):.2f}"
    return (MINUS if value < 0 and digits != "0.00" else "") + digits.removeprefix("0")


def write_name(name: str) -> str:
    """Write the name of a level, a type or a severity.

    >>> write_name("VERY_LOW"), write_name("MASS_EXIT"), write_name("CRITICAL")
    ('Very low', 'Mass exit', 'Critical')
    """
    return name.replace("_", " ").capitalize()


def write_change(value: float) -> str:
    """Write a relative change with its sign; beyond ten times what is usual the figure says nothing more.

    >>> [write_change(value) for value in (-0.86, 0.004, 1.2, 98.6)]
    ['−86\\u202f%', '±0\\u202f%', '+120\\u202f%', '> +900\\u202f%']
    """
    percent = round(100 * value)
    if percent > MOST_PERCENT:
        return f"> +{MOST_PERCENT}{NARROW_SPACE}%"
    sign = "+" if percent > 0 else MINUS if percent < 0 else "±"
    return f"{sign}{abs(percent)}{NARROW_SPACE}%"


def write_percent(share: float) -> str:
    """Write a share.

    >>> write_percent(0.423)
    '42 %'
    """
    return f"{100 * share:.0f} %"


def write_measured(value: float, signal: Signal) -> str:
    """Write what a signal measured, beside its unit: a share as per cent, a low rate to the tenth.

    >>> [write_measured(value, BY_NAME["chat_msgs_per_min"]) for value in (12.0, 1.5, 3.0)]
    ['12', '1.5', '3']
    >>> write_measured(0.746, BY_NAME["active_share"])
    '75'
    """
    if signal.kind is SignalKind.SHARE:
        value *= 100
    elif 0 < value < 10:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.0f}"


def write_unit(signal: Signal, value: float | None = None) -> str:
    """Write the unit of a signal beside a value of it.

    >>> [write_unit(BY_NAME["hands_raised"], value) for value in (0, 1, 2)], write_unit(BY_NAME["chatters"])
    (['people', 'person', 'people'], 'people')
    >>> write_unit(BY_NAME["questions_per_min"], 1)
    'a minute'
    """
    return "person" if signal.kind is SignalKind.PEOPLE and value == 1 else signal.kind.value


def write_evidence(value: float, signal: Signal) -> str:
    """Write what a signal measured where nothing but its long label stands beside it.

    >>> write_evidence(0.423, BY_NAME["active_share"]), write_evidence(13.0, BY_NAME["chat_msgs_per_min"])
    ('42 %', '13.0')
    """
    return write_percent(value) if signal.kind is SignalKind.SHARE else f"{value:.1f}"


def write_duration(lasted: timedelta) -> str:
    """Write how long something took, no finer than a person needs.

    >>> [write_duration(timedelta(seconds=seconds)) for seconds in (40, 200, 2400, 3900)]
    ['40 s', '3 min 20 s', '40 min', '1 h 05 min']
    """
    minutes, seconds = divmod(max(0, round(lasted.total_seconds())), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    if minutes >= 10 or (minutes and not seconds):
        return f"{minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
