"""Engagement rows as the screens read them: plain values, as a model instance costs five times what it holds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from engagement.readings import Reading


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
    engagement_score: float | None
    late: bool

    @property
    def reading(self) -> Reading:
        return Reading(self.timestamp, *self[3:9])

    @property
    def active_share(self) -> float | None:
        return self.reading.active_share


def read_rows_since(since: Mapping[UUID, datetime], most: int) -> dict[UUID, list[Row]]:
    """Return the rows of each session from its moment on, oldest first, the newest where there are too many."""
    ids = list(since)
    found: dict[UUID, list[Row]] = {}
    with connection.cursor() as cursor:
        cursor.execute(SINCE, [ids, list(since.values()), most])
        for place, group in groupby(cursor.fetchall(), key=itemgetter(0)):
            session_id = ids[place - 1]
            found[session_id] = [_row(session_id, *values) for _, *values in group][::-1]
    return found


def _row(session_id: UUID, timestamp: float, received_at: float, *values: Any) -> Row:
    return Row(session_id, datetime.fromtimestamp(timestamp, UTC), datetime.fromtimestamp(received_at, UTC), *values)


# Moments as numbers: psycopg looks up a time zone for each, and that was half of all.
SINCE = f"""
    SELECT wanted.place, extract(epoch FROM e.timestamp)::float8, extract(epoch FROM e.received_at)::float8,
        {", ".join(f"e.{name}" for name in Row._fields[3:])}
    FROM unnest(%s::uuid[], %s::timestamptz[]) WITH ORDINALITY AS wanted (id, since, place) CROSS JOIN LATERAL (
        SELECT * FROM engagement WHERE session_id = wanted.id AND timestamp >= wanted.since
        ORDER BY timestamp DESC LIMIT %s
    ) e
    ORDER BY wanted.place, e.timestamp DESC
"""
