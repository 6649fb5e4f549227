"""The signal cards: what each signal measures, how it moved, and what is usual in this room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from anomalies.models import Anomaly
from conductor.screens.charts import draw_spark
from conductor.screens.rows import Row
from engagement.readings import SIGNALS, Reading, Signal

SPARK = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class SignalCard:
    """One card; `value` and `usual` are in the signal's own unit, `change` is relative to what is usual.

    `has_usual` says whether there is a line for that, also while it is empty, so that nothing moves when it is filled.
    """

    name: str
    value: float | None
    usual: float | None
    change: float | None
    detail: str
    spark: str
    has_moved: bool
    has_usual: bool


def signal_cards(line: Sequence[Row], usual: Mapping[str, float], incident: Anomaly | None) -> list[SignalCard]:
    """Return a card for every signal; leaves only where somebody left, an optional one only where it is known.

    `line` is oldest first.
    """
    moved = set() if incident is None else set(incident.metadata.get("moved", ()))
    shown = [row.reading for row in line if row.timestamp >= line[-1].timestamp - SPARK]
    found = (_card(signal, shown, usual.get(signal.name), signal.name in moved) for signal in SIGNALS if signal.label)
    return [card for card in found if card is not None]


def _card(signal: Signal, shown: Sequence[Reading], usual: float | None, has_moved: bool) -> SignalCard | None:
    series = [(reading.timestamp, getattr(reading, signal.name)) for reading in shown]
    if signal.is_loss and not any(value for _, value in series):
        return None
    if signal.is_optional and all(value is None for _, value in series):
        return None
    value = series[-1][1] if series else None
    expected = None if value is None else usual
    return SignalCard(
        name=signal.name,
        value=value,
        usual=expected,
        change=_change(signal, value, expected),
        detail=_people(signal, shown[-1]) if shown else "",
        spark=draw_spark(series, top=signal.top),
        has_moved=has_moved,
        has_usual=expected is not None or not signal.is_optional,
    )


def _change(signal: Signal, value: float | None, expected: float | None) -> float | None:
    """Return the relative change; None where there is none, or where it is no news."""
    if value is None or not expected or (signal.is_loss and value <= expected):
        return None
    return value / expected - 1


def _people(signal: Signal, reading: Reading) -> str:
    """Return the part and the whole that a share is made of."""
    if signal.of is None:
        return ""
    part, whole = (getattr(reading, name) for name in signal.of)
    return "" if part is None or not whole else f"{part} of {whole}"
