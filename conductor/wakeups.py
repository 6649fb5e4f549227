"""What Redis remembers for a moment: which partitions have new rows, so that one wake-up is enough for many posts;
when the last tick was; and that a worker lives."""

from contextlib import suppress

import redis
from django.conf import settings

from conductor import carrier

REST_FLAG_SECONDS = 30  # what is left waits for its turn
FLAG_SECONDS = 5  # a wake-up that got lost is forgotten after this long, and the next tick wakes again
WORKER, WORKER_SECONDS = "conductor:worker", 10  # a worker's heart beats every two seconds


def raise_flag(partition: int, *, of_rest: bool = False) -> bool:
    """Return whether the flag was down, so that a sweep must be enqueued. Raises `redis.RedisError`.

    A partition has a second flag, for what a sweep has left to do.
    """
    with carrier.reach() as client:
        seconds = REST_FLAG_SECONDS if of_rest else FLAG_SECONDS
        return bool(client.set(_key(partition, of_rest), 1, nx=True, ex=seconds))


def lower_flag(partition: int, *, of_rest: bool = False) -> None:
    """Say that the rows of this partition are being read."""
    with suppress(redis.RedisError), carrier.reach() as client:
        client.delete(_key(partition, of_rest))


def is_flag_up(partition: int) -> bool:
    """Tell whether rows came after the flag was lowered; no, where Redis cannot say."""
    try:
        with carrier.reach() as client:
            return bool(client.exists(_key(partition)))
    except redis.RedisError:
        return False


def claim_tick(what: str = "tick") -> bool:
    """Tell whether a tick is due: ticks that have piled up, or come from two clocks, count as one.

    Redis measures the time, whatever the clocks of beat and of the workers say. Without it a tick too many is made.
    """
    try:
        with carrier.reach() as client:
            return bool(client.set(f"conductor:{what}", 1, nx=True, px=round(settings.TICK_SECONDS * 500)))
    except redis.RedisError:
        return True


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


def _key(partition: int, of_rest: bool = False) -> str:
    return f"conductor:{'rest' if of_rest else 'wake'}:{partition}"
