"""Turn exact rows into what less careful integrators send: smoothed, rounded, or fewer of them. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from math import exp

from engagement.readings import COUNTS, SIGNALS, Reading, SignalKind

RATES = tuple(signal.name for signal in SIGNALS if signal.kind is SignalKind.RATE)
ROLLING = (*RATES, "user_leave_rate")  # what is counted over the last minute
Degrade = Callable[[Sequence[Reading]], list[Reading]]


def smooth(rows: Iterable[Reading], seconds: float) -> list[Reading]:
    """Return the rows with exponentially smoothed rates, which forget to 1/e in so many seconds.

    >>> from datetime import UTC, datetime
    >>> nine = datetime(2026, 3, 2, 9, tzinfo=UTC)
    >>> rows = [Reading(nine + timedelta(seconds=5 * n), chat_msgs_per_min=rate) for n, rate in enumerate((8, 0, 0))]
    >>> [round(row.chat_msgs_per_min, 2) for row in smooth(rows, 30)]
    [8.0, 6.77, 5.73]
    """
    smoothed: list[Reading] = []
    for row in rows:
        rates: dict[str, float] = {}
        before = smoothed[-1] if smoothed else row
        keep = exp(-(row.timestamp - before.timestamp).total_seconds() / seconds)
        for name in ROLLING:
            value, last = getattr(row, name), getattr(before, name)
            if value is not None:
                rates[name] = value if last is None else float(keep * last + (1 - keep) * value)
        smoothed.append(replace(_without_counts(row), **rates))  # type: ignore[arg-type]
    return smoothed


def round_rates(rows: Iterable[Reading], to: int) -> list[Reading]:
    """Return the rows with their rates as whole multiples of `to` and the leave rate in whole per cent."""

    def nearest(value: float | None) -> float | None:
        return None if value is None else float(to * round(value / to))

    return [
        replace(
            _without_counts(row),
            user_leave_rate=None if row.user_leave_rate is None else round(row.user_leave_rate, 2),
            **{name: nearest(getattr(row, name)) for name in RATES},  # type: ignore[arg-type]
        )
        for row in rows
    ]


def thin_out(rows: Iterable[Reading], seconds: int) -> list[Reading]:
    """Return those rows of which so many seconds have gone by since the one before."""
    kept: list[Reading] = []
    for row in rows:
        if not kept or row.timestamp - kept[-1].timestamp >= timedelta(seconds=seconds):
            kept.append(_without_counts(row))
    return kept


def _without_counts(row: Reading) -> Reading:
    """Return the row as somebody else measured it: only we know counts of 5 s."""
    return replace(row, **dict.fromkeys(COUNTS))  # type: ignore[arg-type]


DEGRADATIONS: dict[str, Degrade] = {
    "smooth-30": lambda rows: smooth(rows, 30),
    "smooth-120": lambda rows: smooth(rows, 120),
    "smooth-30-integers": lambda rows: round_rates(smooth(rows, 30), 1),
    "tens": lambda rows: round_rates(rows, 10),
    "every-10-s": lambda rows: thin_out(rows, 10),
    "every-30-s": lambda rows: thin_out(rows, 30),
}
