"""Quotas: how many requests a second a key may send, and how many rows and raw events an event's keys may.

Redis counts; where it is away, everything passes.
"""

from time import time
from typing import cast
from uuid import UUID

import redis
from django.conf import settings
from django.http import HttpRequest
from ninja.throttling import BaseThrottle

from conductor import carrier
from conductor.api.problems import Problem
from conductor.keys import KeyedRequest

ITEM_WINDOW_SECONDS = 10  # a recording that is posted in one go may use in a moment what it may use in ten seconds


class KeyLimit(BaseThrottle):
    """Let a key send `settings.RATE_LIMIT` requests in each second of the clock."""

    def allow_request(self, request: HttpRequest) -> bool:
        key_id = cast(KeyedRequest, request).auth.key_id
        return not settings.RATE_LIMIT or count("requests", key_id, int(time()), 1, 2) <= settings.RATE_LIMIT

    def wait(self) -> float:
        return 1.0


def spend_items(event_id: UUID, items: int) -> None:
    """Count the rows or raw events of a request. Raises `Problem` (429) where the event has used up its quota.

    The request that passes the quota is taken, so that one of any size can be.
    """
    if not settings.ITEM_LIMIT:
        return
    window, passed = divmod(int(time()), ITEM_WINDOW_SECONDS)
    spent = count("items", event_id, window, items, 2 * ITEM_WINDOW_SECONDS)
    if spent - items >= settings.ITEM_LIMIT * ITEM_WINDOW_SECONDS:
        raise Problem(
            429,
            f"The keys of this event send more than {settings.ITEM_LIMIT:,} rows and raw events a second.",
            headers={"Retry-After": str(ITEM_WINDOW_SECONDS - passed)},
        )


def count(what: str, whose: UUID, window: int, number: int, seconds: int) -> int:
    """Add to what was counted in a window of time, and return it; 0 where nobody knows."""
    name = f"limit:{what}:{whose}:{window}"
    try:
        with carrier.reach() as client, client.pipeline(transaction=False) as pipeline:
            pipeline.incrby(name, number)
            pipeline.expire(name, seconds)
            return int(pipeline.execute()[0])
    except redis.RedisError:
        return 0
