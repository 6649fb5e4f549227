"""What it costs to record and to sweep a row, beside a bare INSERT of the same rows."""

from collections.abc import Iterator
from datetime import timedelta

from django.db import connection

from anomalies.bench.simulation import simulate
from benchmarks.measure import Measurement, best_seconds
from conductor import pipeline, wakeups
from engagement.ingest import record_rows
from engagement.models import Event, Session

ROWS = 200
SESSIONS = 50


def measure() -> Iterator[Measurement]:
    event = Event.objects.create(name="Benchmark")
    readings = simulate(3, "webinar", 200, quiet=True).rows[:ROWS]
    now = readings[-1].timestamp + timedelta(minutes=1)

    def new_session() -> Session:
        return Session.objects.create(event=event, title="Benchmark")

    def bare_insert() -> None:
        session = new_session()
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO engagement (session_id, timestamp, late, received_at) VALUES (%s, %s, false, %s)",
                [(session.id, reading.timestamp, now) for reading in readings],
            )

    bare = best_seconds(bare_insert) / ROWS * 1e6
    recording = best_seconds(lambda: record_rows(new_session().id, readings, now)) / ROWS * 1e6
    yield Measurement("record a row, 200 in a batch", "µs", recording, "bare INSERT", bare)

    def sweep() -> None:
        ids = [new_session().id for _ in range(SESSIONS)]
        for id_ in ids:
            record_rows(id_, readings[:60], now)
        wakeups.DUE.add(ids)
        while pipeline.advance(now) or pipeline.catch_up(now):
            pass

    with_recording = best_seconds(sweep) / (60 * SESSIONS) * 1e6
    yield Measurement("record and judge a row, 50 sessions", "µs", with_recording, "bare INSERT", bare)
