"""Read means and extremes over buckets of time: of rows, and where there are any, of the buckets kept of them.

What `condense` keeps is final, as a row that comes behind the detector is late, and late rows are in no kept bucket.
So an answer is put together of kept buckets, of the rows before and after them, and of the late rows beside them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from engagement import arrays
from engagement.models import Bucket, EngagementRow
from engagement.readings import MEASURED

MEANS = ("engagement_score", *MEASURED)
WIDTH = timedelta(seconds=30)  # of what is kept
ORIGIN = datetime(2000, 1, 3, tzinfo=UTC)  # a Monday, from which every width is counted, as TimescaleDB does
FAR = datetime.max.replace(tzinfo=UTC)

# What a bucket is put together of; a row is one of one row.
PARTS = f"""
    SELECT starts_at AS at, rows, false AS late, {", ".join(f"sum_{name}, known_{name}" for name in MEANS)}
    FROM engagement_buckets WHERE session_id = %s AND starts_at >= %s AND starts_at < %s
    UNION ALL
    SELECT timestamp, 1, late, {", ".join(f"{name}::float8, ({name} IS NOT NULL)::int" for name in MEANS)}
    FROM engagement WHERE session_id = %s AND timestamp >= %s AND timestamp < %s
    UNION ALL
    SELECT timestamp, 1, late, {", ".join(f"{name}::float8, ({name} IS NOT NULL)::int" for name in MEANS)}
    FROM engagement WHERE session_id = %s AND timestamp >= %s AND timestamp < %s
    UNION ALL
    SELECT timestamp, 1, late, {", ".join(f"{name}::float8, ({name} IS NOT NULL)::int" for name in MEANS)}
    FROM engagement WHERE session_id = %s AND timestamp >= %s AND timestamp < %s AND late
"""
MEANS_OF_PARTS = f"""
    SELECT time_bucket(%s, at) AS bucket, sum(rows), bool_or(late),
        {", ".join(f"sum(sum_{name}) / nullif(sum(known_{name}), 0)" for name in MEANS)}
    FROM ({PARTS}) parts GROUP BY 1 ORDER BY 1 LIMIT %s
"""
# The last range is that of late rows, of which a line shows none.
EXTREMES = """
    SELECT min(first_at), max(last_at), min(lowest), max(highest) FROM (
        SELECT starts_at AS at, first_at, last_at, lowest, highest
        FROM engagement_buckets WHERE session_id = %s AND starts_at >= %s AND starts_at < %s AND first_at IS NOT NULL
        UNION ALL
        SELECT timestamp, timestamp, timestamp, engagement_score, engagement_score FROM engagement
        WHERE session_id = %s AND timestamp >= %s AND timestamp < %s AND NOT late AND engagement_score IS NOT NULL
        UNION ALL
        SELECT timestamp, timestamp, timestamp, engagement_score, engagement_score FROM engagement
        WHERE session_id = %s AND timestamp >= %s AND timestamp < %s AND NOT late AND engagement_score IS NOT NULL
    ) parts GROUP BY time_bucket(%s, at) ORDER BY 1
"""


class Extremes(NamedTuple):
    """The scores of one bucket's rows: when the first and the last were, the lowest and the highest."""

    first_at: datetime
    last_at: datetime
    lowest: float
    highest: float


def read_means(
    session_id: UUID, since: datetime | None, until: datetime | None, width: timedelta, most: int
) -> list[dict[str, Any]]:
    """Return the first buckets that have rows, oldest first: each its start as `bucket`, `rows`, means, `any_late`.

    A bucket counts from Monday 2000-01-03 UTC, so the same width always cuts at the same moments. A mean is taken over
    the rows that know the signal, and is None where none does. What it costs, the answer says and not what follows it.
    """
    kept_until = find_end(session_id) if width % WIDTH == timedelta() else None
    names = ("bucket", "rows", "any_late", *(f"mean_{name}" for name in MEANS))
    found: list[dict[str, Any]] = []
    begin, widths = since, most
    while len(found) < most and (begin := _next_row(session_id, begin, until)) is not None:
        end = min(until or FAR, _after(floor(begin, width), widths * width))
        ranges = _ranges(session_id, begin, end, kept_until)
        rows = arrays.execute(MEANS_OF_PARTS, width, *ranges, most - len(found))
        found += [dict(zip(names, row, strict=True)) for row in rows]
        begin, widths = end, widths * 2  # so that a session of many gaps is not asked for each
    return found


def read_extremes(session_id: UUID, since: datetime, until: datetime, width: timedelta) -> list[Extremes]:
    """Return the extremes of the buckets that have scores, oldest first. Late rows are not looked at."""
    kept_until = find_end(session_id) if width % WIDTH == timedelta() else None
    ranges = _ranges(session_id, since, until, kept_until)[:9]
    return [Extremes._make(row) for row in arrays.execute(EXTREMES, *ranges, width)]


def find_end(session_id: UUID) -> datetime | None:
    """Return until when a session's rows are kept in buckets, but for the late ones; None where none are."""
    newest = (
        Bucket.objects.filter(session_id=session_id).order_by("-starts_at").values_list("starts_at", flat=True).first()
    )
    return None if newest is None else newest + WIDTH


def floor(at: datetime, width: timedelta) -> datetime:
    """Return when the bucket of a moment starts.

    >>> floor(datetime(2026, 3, 2, 9, 0, 59, tzinfo=UTC), WIDTH).time()
    datetime.time(9, 0, 30)
    >>> floor(datetime(2026, 3, 8, tzinfo=UTC), timedelta(days=7)).date()
    datetime.date(2026, 3, 2)
    """
    return ORIGIN + (at - ORIGIN) // width * width


def _after(at: datetime, duration: timedelta) -> datetime:
    """Return a later moment, or the end of time."""
    return at + duration if duration < FAR - at else FAR


def _next_row(session_id: UUID, since: datetime | None, until: datetime | None) -> datetime | None:
    rows = EngagementRow.objects.for_session(session_id).between(since, until)
    return rows.order_by("timestamp").values_list("timestamp", flat=True).first()


def _ranges(session_id: UUID, begin: datetime, end: datetime, kept_until: datetime | None) -> Sequence[Any]:
    """Return what is read of the kept buckets, of the rows before and after them, and of the late rows beside them."""
    first = last = begin
    if kept_until is not None:
        whole = floor(begin, WIDTH)  # the first that lies in it as a whole
        first, last = whole if whole == begin else _after(whole, WIDTH), floor(min(end, kept_until), WIDTH)
    if first >= last:
        first = last = begin
    ranges = ((first, last), (begin, first), (last, end), (first, last))
    return [part for since, until in ranges for part in (session_id, since, until)]
