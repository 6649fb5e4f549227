"""Hours and days of sessions out of ten million rows, by REST and on a page, beside a SELECT of the same rows."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from statistics import median
from uuid import UUID

import psycopg
from django.db import connection
from django.test import Client
from django.utils.timezone import now

from benchmarks.figures import Figure
from benchmarks.rooms import ROW_SECONDS, draw_rooms
from conductor.screens.session import render_session, show_session
from engagement import condense
from engagement.models import ApiKey, Event, Session

SESSIONS = {2: 6_000, 8: 200, 24: 10, 120: 1}  # hours, and how many last so long
SPAN_HOURS = 120  # in which all of them are: 115 at once
ROW = timedelta(seconds=ROW_SECONDS)
START = datetime(2026, 3, 2, tzinfo=UTC)
STEP = f"INTERVAL '{ROW_SECONDS} seconds'"
REPEATS = 20
SELECT = "a SELECT of the rows"
# As rooms write at the same time: rows of one are not beside each other. Sums of sines are the same in every run.
FILL = f"""
    INSERT INTO engagement (session_id, timestamp, chat_msgs_per_min, poll_participation, active_users, total_users,
        reactions_per_min, user_leave_rate, engagement_score, late, received_at)
    SELECT s.id, at, 10 + 9 * wave, 0.5 + wave / 3, 100 + 50 * wave, 200, 5 + 4 * wave, 0.05 + wave / 50,
        0.5 + wave / 3, n %% 97 = 0, at
    FROM engagement_session s CROSS JOIN LATERAL (
        SELECT at, n, (sin(n / 11.0) + sin(n / 113.0)) / 2 AS wave
        FROM generate_series(s.starts_at, s.ends_at - {STEP}, {STEP}) WITH ORDINALITY AS moments (at, n)
    ) rows
    WHERE s.event_id = %s ORDER BY at
"""
ROWS_OF = "SELECT * FROM engagement WHERE session_id = %s AND timestamp >= %s AND timestamp < %s ORDER BY timestamp"
# What is asked for: hours of a session that lasts so long, in buckets.
ASKED = ((1, 2, "30s"), (8, 8, "5m"), (24, 24, "10s"), (24, 24, "5m"), (120, 120, "1h"))


def measure(database_url: str, scale: float = 1.0) -> Iterator[Figure]:
    """Fill the database of the settings, which has this address, and yield what asking costs, in milliseconds."""
    event = Event.objects.create(name="Long ranges")
    sessions = _make_sessions(event, scale)
    rows, seconds = _fill(event)
    yield Figure(f"{rows:,} rows of {sum(map(len, sessions.values())):,} sessions are written", "s", seconds)
    began = time.monotonic()
    while condense.step(1):
        pass
    yield Figure("  those of more than two hours are condensed", "s", time.monotonic() - began)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    key = ApiKey.objects.issue(event, "benchmark")[1]
    client = Client(headers={"host": "localhost", "authorization": f"Bearer {key}"})
    with psycopg.connect(database_url, autocommit=True) as database:

        @cache
        def baseline(hours: int, of_hours: int) -> list[float]:
            return _times(sessions[of_hours], partial(_select, database, timedelta(hours=hours)))

        for hours, of_hours, bucket in ASKED:
            found = _times(sessions[of_hours], partial(_ask, client, timedelta(hours=hours), bucket))
            yield from _figures(f"{hours} h of {of_hours} h in {bucket}, by REST", found, baseline(hours, of_hours))
        for hours, asked in sessions.items():
            found = _times(asked, _show)
            yield from _figures(f"the page of {hours} h that have ended", found, baseline(hours, hours))


def _make_sessions(event: Event, scale: float) -> dict[int, list[Session]]:
    """Make sessions that are over and judged; return them by their hours."""
    sessions: dict[int, list[Session]] = {}
    for hours, count in SESSIONS.items():
        ids = draw_rooms(max(1, round(count * scale)), f"long {hours}")
        moves = (SPAN_HOURS - hours) * 3600 / len(ids)
        starts = [START + timedelta(seconds=round(place * moves)) for place in range(len(ids))]
        sessions[hours] = [
            Session(
                id=UUID(id_), event=event, title=f"{hours} h", status=Session.Status.ENDED, starts_at=start,
                ends_at=start + timedelta(hours=hours), judged_until=start + timedelta(hours=hours) - ROW,
                ended_at=now(), settled_at=now(),
            )
            for id_, start in zip(ids, starts, strict=True)
        ]  # fmt: skip
        Session.objects.bulk_create(sessions[hours])
    return sessions


def _fill(event: Event) -> tuple[int, float]:
    """Write the rows of an event's sessions; return how many, and how long that took."""
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica; SET work_mem = '256MB'")  # no look at each session
        cursor.execute(FILL, [event.id])
        rows = cursor.rowcount
        cursor.execute("RESET session_replication_role; RESET work_mem")
    return rows, time.monotonic() - began


def _times(sessions: list[Session], work: Callable[[Session], object]) -> list[float]:
    """Return how many milliseconds each of some sessions takes, where it was just asked for."""
    times = []
    for place in range(REPEATS):
        session = sessions[place * len(sessions) // REPEATS]
        work(session)
        began = time.perf_counter()
        work(session)
        times.append((time.perf_counter() - began) * 1e3)
    return times


def _figures(name: str, times: list[float], baseline: list[float]) -> Iterator[Figure]:
    yield Figure(f"{name}: median", "ms", median(times), SELECT, median(baseline))
    yield Figure("  worst", "ms", max(times), SELECT, max(baseline))


def _select(database: "psycopg.Connection[tuple[object, ...]]", length: timedelta, session: Session) -> object:
    assert session.starts_at is not None
    return database.execute(ROWS_OF, [session.id, session.starts_at, session.starts_at + length]).fetchall()


def _ask(client: Client, length: timedelta, bucket: str, session: Session) -> None:
    assert session.starts_at is not None
    query = {"since": session.starts_at.isoformat(), "until": (session.starts_at + length).isoformat()}
    answer = client.get(f"/api/v1/sessions/{session.id}/engagement", {**query, "bucket": bucket})
    if answer.status_code != 200 or not answer.json()["items"]:
        raise RuntimeError(f"{answer.status_code}: {answer.content.decode()}")


def _show(session: Session) -> None:
    render_session(show_session(Session.objects.select_related("event").get(id=session.id), now()))
