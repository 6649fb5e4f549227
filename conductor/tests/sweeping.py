"""What workers do, done here and now and to the end."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from conductor import carrier, pipeline, wakeups
from engagement import cursors
from engagement.models import Session


def begin_anew() -> None:
    """Forget what is remembered outside the database: which sessions are due, and which are set aside."""
    for queue in (wakeups.DUE, wakeups.LEFT):
        empty(queue)
    pipeline._set_aside.clear()


def empty(queue: wakeups.Queue) -> None:
    while waiting := queue.peek(1_000):
        queue.remove(waiting)
    with carrier.reach() as client:
        client.delete(queue._sent)


def sweep(due: Collection[UUID], left: Collection[UUID], now: datetime) -> None:
    wakeups.DUE.add(due)
    wakeups.LEFT.add(left)
    while pipeline.advance(now):
        pass
    while pipeline.catch_up(now):
        pass


def sweep_all(now: datetime) -> None:
    sweep(*cursors.find_due(pipeline.DUE_A_TICK), now)


def tick(now: datetime) -> None:
    """Make one tick, and the sweeps to which it leads."""
    sweep(*pipeline.tick(now), now)


def end(session_id: UUID, now: datetime) -> Session:
    """End a session and settle it."""
    pipeline.end_session(session_id, now)
    sweep_all(now)
    return Session.objects.get(id=session_id)
