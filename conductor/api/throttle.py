"""Limit how many requests a second one API key may send. Redis counts; where it is away, everything passes."""

import logging
from functools import cache
from time import monotonic, time
from typing import cast
from uuid import UUID

import redis
from django.conf import settings
from django.http import HttpRequest
from ninja.throttling import BaseThrottle
from redis.backoff import NoBackoff
from redis.retry import Retry

from conductor.keys import KeyedRequest

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0  # how long Redis is not asked again after it did not answer
TIMEOUT_SECONDS = 0.25


@cache
def counters(url: str) -> redis.Redis:
    """Return a client that gives up at once: a limit is no reason to let a request wait."""
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
    )


class KeyLimit(BaseThrottle):
    """Let a key send `settings.RATE_LIMIT` requests in each second of the clock."""

    def __init__(self) -> None:
        self.asks_again_at = 0.0

    def allow_request(self, request: HttpRequest) -> bool:
        return (
            not settings.RATE_LIMIT
            or self.count(cast(KeyedRequest, request).auth.key_id, int(time())) <= settings.RATE_LIMIT
        )

    def count(self, key_id: UUID, second: int) -> int:
        """Return how many requests the key has sent in that second, this one included; 0 where nobody knows."""
        if monotonic() < self.asks_again_at:
            return 0
        name = f"limit:{key_id}:{second}"
        try:
            with counters(settings.REDIS_URL).pipeline(transaction=False) as pipeline:
                pipeline.incr(name)
                pipeline.expire(name, 2)
                return int(pipeline.execute()[0])
        except redis.RedisError as error:
            self.asks_again_at = monotonic() + PAUSE_SECONDS
            logger.warning("Requests are not limited, as Redis does not answer: %s", error)
            return 0

    def wait(self) -> float:
        return 1.0
