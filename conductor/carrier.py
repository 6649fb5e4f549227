"""Redis, as what only carries: whoever reaches for it waits a moment at most, and goes on without it."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

WAIT_SECONDS = 0.5
PAUSE_SECONDS = 2.0  # how long nobody asks again after it did not answer

log = logging.getLogger(__name__)

_asked_again_at: dict[str, float] = {}  # by address


class Away(redis.ConnectionError):
    """Redis did not answer a moment ago, and is not asked again yet."""


@contextmanager
def reach(seconds: float = WAIT_SECONDS) -> Iterator[redis.Redis]:
    """Give a client of Redis that waits so long for each answer.

    Raises `redis.RedisError`, of which the log has been told. After one it is raised at once for a while: a Redis that
    is frozen costs one request its wait, and not each.
    """
    url = settings.REDIS_URL
    if time.monotonic() < _asked_again_at.get(url, 0.0):
        raise Away("it did not answer a moment ago")
    try:
        yield _client(url, seconds)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        _asked_again_at[url] = time.monotonic() + PAUSE_SECONDS
        log.warning("Redis does not answer and is not asked for %g s: %s", PAUSE_SECONDS, error)
        raise


@cache
def _client(url: str, seconds: float) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0)
    )
