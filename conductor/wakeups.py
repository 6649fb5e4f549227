"""What Redis remembers for a moment: of which sessions something waits, and whether somebody was sent for it; when the
last tick was; and that a worker lives."""

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import redis
from django.conf import settings

from conductor import carrier

LEAST_WAITING_SECONDS, MOST_WAITING_SECONDS = 0.01, 2.0  # at once; Redis takes less than 1 ms for no limit
SENT = b"sent"  # a task, and none has begun
IF_IT_IS = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1])"
WORKER, WORKER_SECONDS = "conductor:worker", 10  # a worker's heart beats every two seconds


@dataclass(frozen=True, slots=True)
class Queue:
    """The sessions of which something waits, each once; those first that were added first.

    What Redis forgets of it the tick adds again. Every method raises `redis.RedisError`.
    """

    name: str
    sent_seconds: int  # a task that got lost is forgotten after this long, and who adds next sends another

    def add(self, session_ids: Collection[UUID]) -> None:
        if session_ids:
            with carrier.reach() as client:
                client.zadd(self._key, self._scores(session_ids), nx=True)

    def call(self, session_ids: Collection[UUID]) -> bool:
        """Add sessions; return whether a task must be sent for them, as none is under way."""
        if not session_ids:
            return False
        with carrier.reach() as client, client.pipeline(transaction=False) as pipeline:
            pipeline.zadd(self._key, self._scores(session_ids), nx=True)
            pipeline.set(self._sent, SENT, nx=True, ex=self.sent_seconds)
            return bool(pipeline.execute()[-1])

    def call_again(self) -> bool:
        """Return whether a task must be sent: something waits, and none is under way."""
        with carrier.reach() as client:
            return self.count() > 0 and bool(client.set(self._sent, SENT, nx=True, ex=self.sent_seconds))

    def hold(self, task: bytes) -> bool:
        """Say that a task is at work, which sees what is added: no other one is sent. False where another one is."""
        with carrier.reach() as client:
            if client.get(self._sent) not in (None, SENT, task):
                return False
            return bool(client.set(self._sent, task, ex=self.sent_seconds))

    def release(self, task: bytes = SENT) -> None:
        """Say that the task looks no more, or that the one that was sent has begun: another one may be sent."""
        with carrier.reach() as client:
            client.eval(IF_IT_IS, 1, self._sent, task)

    def count(self) -> int:
        """Return how many sessions wait."""
        with carrier.reach() as client:
            return int(client.zcard(self._key))

    def await_some(self, seconds: float, task: bytes) -> bool:
        """Return whether some session waits, as soon as one does, after so long at most.

        The task that waits is at work, and sees what is added. If it is killed while it waits, that is forgotten soon.
        """
        seconds = min(max(seconds, LEAST_WAITING_SECONDS), MOST_WAITING_SECONDS)
        with carrier.reach(MOST_WAITING_SECONDS + carrier.WAIT_SECONDS) as client:
            with client.pipeline(transaction=False) as pipeline:
                pipeline.set(self._sent, task, px=round((seconds + carrier.WAIT_SECONDS) * 1000))
                pipeline.bzpopmin(self._key, seconds)
                found = pipeline.execute()[-1]
            if found is None:
                return False
            # There is no way to look without taking; what is lost between the two the tick adds again.
            _, session, at = found
            with client.pipeline(transaction=False) as pipeline:
                pipeline.zadd(self._key, {session: at}, nx=True)
                pipeline.set(self._sent, task, ex=self.sent_seconds)
                pipeline.execute()
        return True

    def peek(self, most: int) -> list[UUID]:
        """Return so many of those that have waited longest; they stay."""
        with carrier.reach() as client:
            found = cast(list[bytes], client.zrange(self._key, 0, most - 1))
        return [UUID(bytes=id_) for id_ in found]

    def remove(self, session_ids: Collection[UUID]) -> None:
        if session_ids:
            with carrier.reach() as client:
                client.zrem(self._key, *(id_.bytes for id_ in session_ids))

    @staticmethod
    def _scores(session_ids: Collection[UUID]) -> dict[bytes, float]:
        at = time.time()
        return {id_.bytes: at for id_ in session_ids}

    @property
    def _key(self) -> str:
        return f"conductor:{self.name}"

    @property
    def _sent(self) -> str:
        return f"conductor:{self.name}:sent"


DUE = Queue("due", sent_seconds=5)
LEFT = Queue("left", sent_seconds=30)  # what sweeps have left waits for its turn


def claim_tick(what: str = "tick") -> bool:
    """Tell whether a tick is due: ticks that have piled up, or come from two clocks, count as one.

    Redis measures the time, whatever the clocks of beat and of the workers say. Without it a tick too many is made.
    """
    try:
        with carrier.reach() as client:
            return bool(client.set(f"conductor:{what}", 1, nx=True, px=round(settings.TICK_SECONDS * 500)))
    except redis.RedisError:
        return True


# What goes on without a pause, and since when: whoever does it says so again before this has passed.
LISTENING, TICKING, PAUSE_SECONDS = "listening", "ticking", 20


def say_goes_on(what: str, now: float) -> float | None:
    """Say that something is being done, and return since when it is, without a pause; None where nobody knows."""
    try:
        with carrier.reach() as client, client.pipeline(transaction=False) as pipeline:
            pipeline.set(f"conductor:{what}:since", repr(now), nx=True, ex=PAUSE_SECONDS)
            pipeline.expire(f"conductor:{what}:since", PAUSE_SECONDS)
            pipeline.get(f"conductor:{what}:since")
            return float(pipeline.execute()[-1])
    except (redis.RedisError, TypeError):  # or it was forgotten between the two
        return None


def goes_on_since(what: str) -> float | None:
    """Return since when something is being done without a pause, None where it is not, or nobody knows."""
    try:
        with carrier.reach() as client:
            since = client.get(f"conductor:{what}:since")
    except redis.RedisError:
        return None
    return None if since is None else float(cast(bytes, since))


def say_worker_lives() -> None:
    """Say that a worker lives; its signs come more often than one is forgotten."""
    with suppress(redis.RedisError), carrier.reach() as client:
        client.set(WORKER, 1, ex=WORKER_SECONDS)


def say_worker_goes() -> None:
    """Say that a worker stops."""
    with suppress(redis.RedisError), carrier.reach() as client:
        client.delete(WORKER)


def does_worker_live() -> bool:
    """Tell whether some worker has said so lately. Raises `redis.RedisError`."""
    with carrier.reach() as client:
        return bool(client.exists(WORKER))
