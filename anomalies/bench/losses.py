"""What a labelled incident cost: the share of the engaged audience that it took. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from statistics import fmean

from anomalies.bench.corpus import Label, LabelledSession
from engagement.readings import Reading

BEFORE = timedelta(minutes=5)  # what it is a loss from
LEAST_BEFORE = timedelta(minutes=1)  # so much of that must be known
GLITCHES = 0.05  # so few rows that cannot be true say nothing of what is told
DEEPEST_PART = 1 / 3  # of an incident: it is deepest in this last part of it


def find_loss(session: LabelledSession, label: Label) -> float | None:
    """Return the share (0..1) that was gone when the incident was deepest; None where too little is known before it.

    Of an exit it is those who left. Of another it is the active people, where fewer are active than present,
    else chats and reactions.
    """
    measure = _present if label.type == "MASS_EXIT" else _engaged_in(session.rows)
    before = _mean(session.rows, measure, label.start - BEFORE, label.start)
    deepest = label.end - DEEPEST_PART * (label.end - label.start)
    after = _mean(session.rows, measure, deepest, label.end)
    is_known = session.rows and label.start - session.rows[0].timestamp >= LEAST_BEFORE + LEAST_BEFORE
    if not is_known or not before or after is None:
        return None
    return min(1.0, max(0.0, 1 - after / before))


def _engaged_in(rows: Sequence[Reading]) -> Callable[[Reading], float | None]:
    differ = sum(row.active_users not in (None, row.total_users) for row in rows)
    return _active if differ > GLITCHES * len(rows) else _events


def _present(row: Reading) -> float | None:
    return row.total_users


def _active(row: Reading) -> float | None:
    return row.active_users


def _events(row: Reading) -> float | None:
    known = [rate for rate in (row.chat_msgs_per_min, row.reactions_per_min) if rate is not None]
    return sum(known) if known else None


def _mean(
    rows: Sequence[Reading], measure: Callable[[Reading], float | None], since: datetime, until: datetime
) -> float | None:
    """Return the mean of what is known between two moments; None where nothing is."""
    known = [value for row in rows if since <= row.timestamp < until and (value := measure(row)) is not None]
    return fmean(known) if known else None
