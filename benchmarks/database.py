"""What it costs to record and to sweep a row, beside a bare INSERT of the same rows."""

from collections.abc import Iterator
from datetime import timedelta

from django.db import connection

from anomalies.bench.simulation import simulate
from benchmarks.measure import Measurement, best_seconds
from conductor import pipeline
from engagement.ingest import record_rows
from engagement.models import PARTITIONS, Event, Session

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
        for _ in range(SESSIONS):
            record_rows(new_session().id, readings[:60], now)
        for partition in range(PARTITIONS):
            pipeline.advance(partition, now)

    with_recording = best_seconds(sweep) / (60 * SESSIONS) * 1e6
    yield Measurement("record and judge a row, 50 sessions", "µs", with_recording, "bare INSERT", bare)
