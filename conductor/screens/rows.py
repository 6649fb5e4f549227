"""Engagement rows as the screens read them: plain values, as a model instance costs five times what it holds."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from engagement import arrays
from engagement.readings import MEASURED, Reading

_told = attrgetter(*MEASURED, "poll_age_seconds")


class Row(NamedTuple):
    """What is shown of a row; the fields are those of `EngagementRow`."""

    session_id: UUID
    timestamp: datetime
    received_at: datetime
    chat_msgs_per_min: float | None
    poll_participation: float | None
    active_users: int | None
    total_users: int | None
    reactions_per_min: float | None
    user_leave_rate: float | None
    chatters: int | None
    hands_raised: int | None
    mics_on: int | None
    cameras_on: int | None
    talk_share: float | None
    speakers: int | None
    questions_per_min: float | None
    question_votes_per_min: float | None
    poll_age_seconds: float | None
    engagement_score: float | None
    late: bool

    @property
    def reading(self) -> Reading:
        # `Reading` has its fields in this order.
        return Reading(self.timestamp, *_told(self))

    @property
    def active_share(self) -> float | None:
        return self.reading.active_share


SINCE = f"""
    SELECT {", ".join(f"e.{name}" for name in Row._fields)}
    FROM unnest(%b::uuid[], %b::timestamptz[]) AS wanted (id, since) CROSS JOIN LATERAL (
        SELECT * FROM engagement WHERE session_id = wanted.id AND timestamp >= wanted.since
        ORDER BY timestamp DESC LIMIT %s::int
    ) e
    ORDER BY e.session_id, e.timestamp
"""


def read_rows_since(since: Mapping[UUID, datetime], most: int) -> dict[UUID, list[Row]]:
    """Return the rows of each session from its moment on, oldest first, the newest where there are too many."""
    found: dict[UUID, list[Row]] = {}
    for row in map(Row._make, arrays.execute(SINCE, list(since), list(since.values()), most)):
        found.setdefault(row.session_id, []).append(row)
    return found


COURSES = """
    SELECT wanted.id, date_bin(%s, e.timestamp, '2000-01-03') AS bin, avg(e.engagement_score), max(e.timestamp)
    FROM unnest(%b::uuid[], %b::timestamptz[], %b::timestamptz[]) AS wanted (id, since, until)
    JOIN engagement e ON e.session_id = wanted.id AND e.timestamp > wanted.since AND e.timestamp <= wanted.until
    WHERE NOT e.late
    GROUP BY wanted.id, bin ORDER BY wanted.id, bin
"""


def read_courses(
    spans: Mapping[UUID, tuple[datetime, datetime]], step: timedelta
) -> dict[UUID, list[tuple[datetime, float | None]]]:
    """Return how each session's score went after one moment until another: a mean of each `step`, at its newest row."""
    found: dict[UUID, list[tuple[datetime, float | None]]] = {}
    since, until = [span[0] for span in spans.values()], [span[1] for span in spans.values()]
    for id_, _, mean, newest in arrays.execute(COURSES, step, list(spans), since, until):
        found.setdefault(id_, []).append((newest, mean))
    return found
