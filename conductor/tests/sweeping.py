"""What workers do, done here and now and to the end."""

import math
from datetime import datetime
from uuid import UUID

from conductor import pipeline, wakeups
from engagement.models import PARTITIONS, Session


def begin_anew() -> None:
    """Forget what is remembered outside the database: which partitions are woken, and which sessions set aside."""
    for partition in range(PARTITIONS):
        wakeups.lower_flag(partition)
    pipeline._set_aside.clear()


def advance(partition: int, now: datetime) -> None:
    pipeline.catch_up(partition, now, seconds=math.inf)


def sweep_all(now: datetime) -> None:
    for partition in range(PARTITIONS):
        advance(partition, now)


def tick(now: datetime) -> None:
    """Make one tick, and the sweeps to which it leads."""
    for partition, *_ in pipeline.tick(now):
        advance(partition, now)


def end(session_id: UUID, now: datetime) -> Session:
    """End a session and settle it."""
    pipeline.end_session(session_id, now)
    sweep_all(now)
    return Session.objects.get(id=session_id)
