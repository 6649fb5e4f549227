"""Keep buckets of sessions that are long, in bounded steps: what was judged is final, whatever comes late.

One process at a time does, and none while rows are erased: what is gone must not be counted once more.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet

from engagement import arrays
from engagement.buckets import FAR, MEANS, WIDTH, find_end, floor
from engagement.models import EngagementRow, Session

log = logging.getLogger(__name__)

LONG = timedelta(hours=2)  # what is not longer is as quick to read row by row
MOST_ROWS = 5_000  # of one step: some hundredths of a second
MOST_SESSIONS = 100  # that are found at once
MOST_LEFT = 1_000
LOCK = 0x6275636B  # an advisory lock of our own: "buck"

# Sessions that have settled since, and those that go on and have much that was judged and is in no bucket.
FIND = """
    (SELECT id FROM engagement_session
    WHERE NOT is_condensed AND settled_at IS NOT NULL AND erased_at IS NULL ORDER BY settled_at LIMIT %s)
    UNION ALL
    (SELECT s.id FROM engagement_session s CROSS JOIN LATERAL (
        SELECT timestamp FROM engagement WHERE session_id = s.id AND NOT late AND timestamp >= coalesce(
            (SELECT starts_at + %s FROM engagement_buckets WHERE session_id = s.id ORDER BY starts_at DESC LIMIT 1),
            '-infinity'
        ) ORDER BY timestamp LIMIT 1
    ) oldest
    WHERE s.settled_at IS NULL AND s.status <> 'scheduled' AND s.erased_at IS NULL
        AND oldest.timestamp < s.judged_until - %s
    LIMIT %s)
"""
# Most sessions are short, and there may be years of them: so many at once, where a step for each takes milliseconds.
LEAVE_SHORT = """
    UPDATE engagement_session SET is_condensed = true WHERE id IN (
        SELECT s.id FROM (
            SELECT id FROM engagement_session WHERE NOT is_condensed AND settled_at IS NOT NULL AND erased_at IS NULL
            ORDER BY settled_at LIMIT %s FOR UPDATE SKIP LOCKED
        ) s
        WHERE NOT EXISTS (SELECT FROM engagement_buckets WHERE session_id = s.id) AND coalesce(
            (SELECT timestamp FROM engagement WHERE session_id = s.id AND NOT late ORDER BY timestamp DESC LIMIT 1)
            - (SELECT timestamp FROM engagement WHERE session_id = s.id AND NOT late ORDER BY timestamp LIMIT 1) < %s,
            true
        )
    )
"""
CONDENSE = f"""
    INSERT INTO engagement_buckets (session_id, starts_at, rows,
        {", ".join(f"sum_{name}, known_{name}" for name in MEANS)}, lowest, highest, first_at, last_at)
    SELECT session_id, time_bucket(%s, timestamp), count(*),
        {", ".join(f"sum({name}::float8), count({name})" for name in MEANS)},
        min(engagement_score), max(engagement_score),
        min(timestamp) FILTER (WHERE engagement_score IS NOT NULL),
        max(timestamp) FILTER (WHERE engagement_score IS NOT NULL)
    FROM engagement WHERE session_id = %s AND timestamp >= %s AND timestamp < %s AND NOT late GROUP BY 1, 2
"""


def step(seconds: float) -> bool:
    """Condense for about so long, a bounded step of each session in turn; return whether there is more to do."""
    until = time.monotonic() + seconds
    failed: set[UUID] = set()
    while waiting := [id_ for id_ in _find_long() if id_ not in failed]:
        for session_id in waiting:
            if time.monotonic() >= until:
                return True
            try:
                if not condense(session_id):
                    return True  # somebody else is at it
            except DatabaseError as error:  # it was erased meanwhile, or is a fault of ours: the others go on
                log.warning("The session %s is not condensed: %s", session_id, error)
                failed.add(session_id)
    return bool(failed)


def _find_long() -> Sequence[UUID]:
    arrays.execute(LEAVE_SHORT, MOST_LEFT, LONG)
    return find_waiting()


def find_waiting() -> Sequence[UUID]:
    return [id_ for (id_,) in arrays.execute(FIND, MOST_SESSIONS, WIDTH, LONG, MOST_SESSIONS)]


def condense(session_id: UUID) -> bool:
    """Do a step of a session; return False where somebody else condenses or erases, and nothing was done."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return False
        session = Session.objects.filter(id=session_id).first()  # after the lock: what was erased meanwhile is seen
        if session is not None and (session.settled_at or session.judged_until):
            _step(session)
    return True


def hold_off() -> None:
    """See to it that nobody condenses until the end of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])


def _step(session: Session) -> None:
    """Condense what is final, or as much of it as fits into a step; note where that is all there will be."""
    # Of a session that goes on, a bucket is final once it was judged to its end.
    final = FAR if session.settled_at or session.judged_until is None else floor(session.judged_until, WIDTH)
    rows = EngagementRow.objects.for_session(session).between(None, final).filter(late=False)
    moments = rows.order_by("timestamp").values_list("timestamp", flat=True)
    begin = _find_begin(session.id, moments)
    if begin is not None:
        cut = moments.filter(timestamp__gte=begin)[MOST_ROWS : MOST_ROWS + 1].first()
        # Half a minute of more rows than that is one step all the same.
        end = final if cut is None else max(floor(cut, WIDTH), floor(begin, WIDTH) + WIDTH)
        arrays.execute(CONDENSE, WIDTH, session.id, begin, end)
        if cut is not None:
            return
    if session.settled_at:
        Session.objects.filter(id=session.id).update(is_condensed=True)


def _find_begin(session_id: UUID, moments: QuerySet[Any, datetime]) -> datetime | None:
    """Return the oldest moment that is in no bucket; None where all are, or where they are too few for buckets."""
    kept_until, newest = find_end(session_id), moments.last()
    begin = (moments if kept_until is None else moments.filter(timestamp__gte=kept_until)).first()
    if begin is None or newest is None or (kept_until is None and newest - begin < LONG):
        return None
    return begin
