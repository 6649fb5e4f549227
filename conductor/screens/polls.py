"""Find in the rows of a session when polls were open, as the chart and its table tell of them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from conductor.screens.charts import Span
from engagement.turnout import Polling

Told = tuple[datetime, float | None, float | None]  # a row: its moment, the participation, and how old the poll is


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll: the highest participation in it, and whether it is open still."""

    reached: float
    is_open: bool


def find_polls(rows: Sequence[Told]) -> list[Span]:
    """Return the polls that rows tell of, oldest first: from its opening, or from the first row, to its close.

    >>> at = [datetime(2026, 3, 2, 9, 0, second, tzinfo=UTC) for second in range(0, 30, 5)]
    >>> [poll] = find_polls([(moment, share, None) for moment, share in zip(at, (None, 0.1, 0.4, 0.3, None, None))])
    >>> poll.since.second, poll.until.second, poll.key
    (5, 20, Poll(reached=0.4, is_open=False))
    """
    if all(participation is None for _, participation, _ in rows):
        return []
    return [
        Span(since, until, Poll(reached, is_open=until is None)) for since, until, reached in _follow(Polling(), rows)
    ]


def _follow(polling: Polling, rows: Iterable[Told]) -> Iterable[tuple[datetime, datetime | None, float]]:
    since: datetime | None = None
    reached = 0.0
    for at, participation, age in rows:
        before = polling.opened_at
        polling.hear(at.timestamp(), participation, age)
        closed_at = polling.opened_at if polling.is_open else polling.closed_at  # where another opened, or by itself
        if since is not None and closed_at is not None and not (polling.is_open and closed_at == before):
            yield since, _moment(closed_at), reached
            since = None
        if participation is None:
            continue
        if since is None:
            since, reached = at if polling.opened_at is None else _moment(polling.opened_at), 0.0
        reached = max(reached, participation)
    if since is not None:
        yield since, None, reached


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
