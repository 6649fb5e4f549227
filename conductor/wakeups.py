"""Flags in Redis that say "this partition has new rows": one wake-up is enough for many posts."""

import logging
from functools import cache

import redis
from django.conf import settings

log = logging.getLogger(__name__)

FLAG_SECONDS = 10  # a wake-up that got lost is forgotten after this long


def raise_flag(partition: int) -> bool:
    """Return whether the flag was down, so that a sweep must be enqueued. Raises `redis.RedisError`."""
    return bool(_redis().set(_key(partition), 1, nx=True, ex=FLAG_SECONDS))


def lower_flag(partition: int) -> None:
    """Say that the rows of this partition are being read."""
    try:
        _redis().delete(_key(partition))
    except redis.RedisError as error:
        log.warning("Redis is away: %s", error)


def is_flag_up(partition: int) -> bool:
    """Tell whether rows came after the flag was lowered; no, where Redis cannot say."""
    try:
        return bool(_redis().exists(_key(partition)))
    except redis.RedisError:
        return False


def _key(partition: int) -> str:
    return f"conductor:wake:{partition}"


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)
