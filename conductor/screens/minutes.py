"""Turn what the chart draws into the lines of a table, for who does not see it. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean

from conductor.screens.charts import Moment, Span

STEPS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240, 480, 1440))
MOST_LINES = 150  # two and a half hours, a line a minute
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Step = tuple[datetime, float, float]  # from when on, what was expected at least and at most


@dataclass(frozen=True, slots=True)
class Line:
    """What was in a stretch of time: None where nobody knows."""

    at: datetime  # its start
    score: float | None  # in the mean
    expected: Step | None
    people: int | None  # when they were last counted in it
    incidents: tuple[object, ...]  # that began in it or went on; the callers' own keys
    polls: tuple[object, ...]  # that were open in it
    is_break: bool


def tabulate(
    scores: Sequence[Moment],
    *,
    people: Iterable[Moment] = (),
    band: Sequence[Step] = (),
    incidents: Sequence[Span] = (),
    polls: Sequence[Span] = (),
    breaks: Sequence[Span] = (),
) -> list[Line]:
    """Return a line for each minute that has rows, newest first; of long sessions, for five minutes and more.

    >>> [line.score for line in tabulate([(EPOCH, 0.2), (EPOCH + timedelta(minutes=1), 0.5), (EPOCH, 0.4)])]
    [0.5, 0.30000000000000004]
    """
    if not scores:
        return []
    span = scores[-1][0] - scores[0][0]
    step = next((step for step in STEPS if span < MOST_LINES * step), STEPS[-1])
    found, counts = _gather(scores, step), _gather(people, step)
    return [
        Line(
            at=at,
            score=fmean(found[at]) if found[at] else None,
            expected=next((each for each in reversed(band) if each[0] < at + step), None),
            people=round(counts[at][-1]) if counts.get(at) else None,
            incidents=tuple(span.key for span in incidents if _is_in(span, at, at + step)),
            polls=tuple(span.key for span in polls if _is_in(span, at, at + step)),
            is_break=any(_is_in(span, at, at + step) for span in breaks),
        )
        for at in sorted(found, reverse=True)
    ]


def _gather(moments: Iterable[Moment], step: timedelta) -> dict[datetime, list[float]]:
    """Return the known values of each stretch, in the order in which they come; none where there are none."""
    found: defaultdict[datetime, list[float]] = defaultdict(list)
    for at, value in moments:
        known = found[EPOCH + (at - EPOCH) // step * step]
        if value is not None:
            known.append(value)
    return dict(found)


def _is_in(span: Span, since: datetime, until: datetime) -> bool:
    return span.since < until and (span.until is None or span.until >= since)
