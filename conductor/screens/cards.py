"""The signal cards: what each signal measures, how it moved, and what is usual in this room."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from anomalies.models import Anomaly
from conductor.screens.charts import draw_spark
from engagement.models import EngagementRow

SPARK = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class SignalCard:
    """One card; `value` and `usual` are in the signal's own unit, `change` is relative to what is usual."""

    name: str
    value: float | None
    usual: float | None
    change: float | None
    detail: str
    spark: str
    has_moved: bool


def signal_cards(
    line: Sequence[EngagementRow], usual: Mapping[str, float], incident: Anomaly | None
) -> list[SignalCard]:
    """Return a card for every signal; leaves only where somebody left. `line` is oldest first."""
    moved = set() if incident is None else set(incident.metadata.get("moved", ()))
    shown = [row for row in line if row.timestamp >= line[-1].timestamp - SPARK]
    cards = []
    for name, read in SIGNALS.items():
        series = [(row.timestamp, read(row)) for row in shown]
        if name == "user_leave_rate" and not any(value for _, value in series):
            continue
        value = series[-1][1] if series else None
        expected = None if value is None else usual.get(name)
        is_no_news = value is None or not expected or (name == "user_leave_rate" and value <= expected)
        cards.append(
            SignalCard(
                name=name,
                value=value,
                usual=expected,
                change=None if is_no_news else value / expected - 1,
                detail=_people(shown[-1]) if name == "active_share" and shown else "",
                spark=draw_spark(series, top=_top(name, [value for _, value in series if value is not None])),
                has_moved=name in moved,
            )
        )
    return cards


def _top(name: str, values: Sequence[float]) -> float | None:
    """Return what the top of a sparkline stands for; None lets the values say it."""
    if name == "user_leave_rate":  # one leaver must not look like an exodus
        return max(LEAVES_TOP, *values)
    return 1.0 if name in FULL_SHARES else None


def _people(row: EngagementRow) -> str:
    return "" if row.active_users is None or not row.total_users else f"{row.active_users} of {row.total_users}"


SIGNALS: dict[str, Callable[[EngagementRow], float | None]] = {
    "chat_msgs_per_min": lambda row: row.chat_msgs_per_min,
    "poll_participation": lambda row: row.poll_participation,
    "active_share": lambda row: row.reading.active_share,
    "reactions_per_min": lambda row: row.reactions_per_min,
    "user_leave_rate": lambda row: row.user_leave_rate,
}
FULL_SHARES = {"poll_participation", "active_share"}
LEAVES_TOP = 0.2
