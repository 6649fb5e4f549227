"""Sessions with something in every table, and what is left of them; and what goes on beside a test."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import connection, connections

from anomalies.models import Anomaly, DetectorMemory
from conductor import housekeeping
from conductor.tests import stage
from engagement.models import (
    Bucket,
    EngagementRow,
    Event,
    Presence,
    RawEventRow,
    RoomState,
    Session,
)

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(hours=1)
TABLES = (EngagementRow, Bucket, RawEventRow, Presence, RoomState, DetectorMemory, Anomaly)  # of a session

INSERT_ROWS = """
    INSERT INTO engagement (session_id, timestamp, late, received_at)
    SELECT %s, %s + n * INTERVAL '5 seconds', false, now() FROM generate_series(1, %s) n
"""
INSERT_EVENTS = """
    INSERT INTO raw_events (session_id, timestamp, type, "user", poll, late, received_at)
    SELECT %s, %s + n / 3 * INTERVAL '1 second', 'chat', 'u-' || n %% %s, '', false, now() FROM generate_series(1, %s) n
"""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def full_session(event: Event, rows: int = 30, events: int = 30, people: int = 7, **fields) -> Session:
    """An ended session with something in every table."""
    ended = {"title": "Keynote", "status": "ended", "ended_at": NOW}
    session = Session.objects.create(event=event, **ended | fields)
    with connection.cursor() as cursor:
        cursor.execute(INSERT_ROWS, [session.id, START, rows])
        cursor.execute(INSERT_EVENTS, [session.id, START, people, events])
    Presence.objects.bulk_create(
        Presence(session=session, user=f"u-{n}", is_present=True, is_focused=False) for n in range(people)
    )
    Bucket.objects.create(session=session, starts_at=START, rows=rows)
    RoomState.objects.create(session=session, version=1, state={})
    DetectorMemory.objects.create(session=session, version=1, state=b"", updated_at=NOW)
    stage.incident(session)
    return session


def count_rows(session_id: uuid.UUID) -> int:
    return sum(model.objects.filter(session=session_id).count() for model in TABLES)


def erase_everything(seconds: float = 60) -> None:
    assert not housekeeping.step(NOW, seconds)


@contextmanager
def in_threads(*targets: Callable[[], None]) -> Iterator[None]:
    """Do all of it again and again beside the test, each on a connection of its own; what one raises is raised here."""
    is_over, raised = threading.Event(), []

    def run(target: Callable[[], None]) -> None:
        try:
            while not is_over.is_set():
                target()
        except Exception as error:
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if raised:
        raise raised[0]
