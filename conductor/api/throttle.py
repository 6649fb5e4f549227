"""Quotas: how many requests a second a key may send, and how many rows and raw events an event's keys may.

Redis counts; where it is away, everything passes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Spent:
    """What one request takes of the quotas: itself of its key's, its items of its event's."""

    key_id: UUID
    event_id: UUID
    items: int


def spend_together(requests: Sequence[Spent], second: int) -> list[bool]:
    """Count several requests, one after the other, and return of each whether it is within the quotas.

    Redis is asked once for all of them. Of one that is not, nothing stays counted: whoever refuses it counts it again.
    """
    if not requests or not (settings.RATE_LIMIT or settings.ITEM_LIMIT):
        return [True] * len(requests)
    window = second // ITEM_WINDOW_SECONDS
    sent = Counter(each.key_id for each in requests)
    posted: Counter[UUID] = Counter()
    for each in requests:
        posted[each.event_id] += each.items
    counted = [("requests", key_id, second, number, 2) for key_id, number in sent.items()]
    counted += [("items", id_, window, number, 2 * ITEM_WINDOW_SECONDS) for id_, number in posted.items()]
    if not (totals := count_together(counted)):
        return [True] * len(requests)
    before = {whose: total - number for (_, whose, _, number, _), total in zip(counted, totals, strict=True)}
    passed = [_passes(each, before) for each in requests]
    give_back([each for each, has_passed in zip(requests, passed, strict=True) if not has_passed], second)
    return passed


def give_back(requests: Sequence[Spent], second: int) -> None:
    """Take back what was counted of requests, in that second, which somebody else will count again."""
    if not (settings.RATE_LIMIT or settings.ITEM_LIMIT):
        return
    window = second // ITEM_WINDOW_SECONDS
    counted = [("requests", each.key_id, second, -1, 2) for each in requests]
    counted += [("items", each.event_id, window, -each.items, 2 * ITEM_WINDOW_SECONDS) for each in requests]
    if counted:
        count_together(counted)


def _passes(request: Spent, spent: dict[UUID, int]) -> bool:
    """Tell whether a request is within the quotas, and add it to what is spent if it is."""
    is_over_rate = settings.RATE_LIMIT and spent[request.key_id] >= settings.RATE_LIMIT
    is_over_items = settings.ITEM_LIMIT and spent[request.event_id] >= settings.ITEM_LIMIT * ITEM_WINDOW_SECONDS
    if is_over_rate or is_over_items:
        return False
    spent[request.key_id] += 1
    spent[request.event_id] += request.items
    return True


def count(what: str, whose: UUID, window: int, number: int, seconds: int) -> int:
    """Add to what was counted in a window of time, and return it; 0 where nobody knows."""
    totals = count_together([(what, whose, window, number, seconds)])
    return totals[0] if totals else 0


def count_together(counted: Sequence[tuple[str, UUID, int, int, int]]) -> list[int]:
    """Add to several counts in one round trip and return them; none where nobody knows."""
    try:
        with carrier.reach() as client, client.pipeline(transaction=False) as pipeline:
            for what, whose, window, number, seconds in counted:
                name = f"limit:{what}:{whose}:{window}"
                pipeline.incrby(name, number)
                pipeline.expire(name, seconds)
            return [int(total) for total in pipeline.execute()[::2]]
    except redis.RedisError:
        return []
