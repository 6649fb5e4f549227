"""Quotas: how many requests a second a key may send, and how many rows and raw events an event's keys may.

Redis counts; where it is away, everything passes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
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
TOO_MANY_REPORTS = "The pages with this token, or those at your address, send more than this server takes of them."


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
class Quota:
    """How much of something may be spent in a window of the clock, and of which window it is."""

    what: str
    whose: UUID | str
    window: int
    seconds: int  # how long the window is
    most: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What one request takes of the quotas: itself of its key's, its items of its event's."""

    key_id: UUID
    event_id: UUID
    items: int

    def quotas(self, second: int) -> list[tuple[Quota, int]]:
        return [
            (Quota("requests", self.key_id, second, 1, settings.RATE_LIMIT), 1),
            (_in_window("items", self.event_id, second, settings.ITEM_LIMIT), self.items),
        ]


@dataclass(frozen=True, slots=True)
class SpentByTab:
    """What one report of a beacon takes: itself of its token's and its address's, its items of its event's."""

    token_id: UUID
    event_id: UUID
    address: str
    items: int

    def quotas(self, second: int) -> list[tuple[Quota, int]]:
        return [
            (_in_window("reports", self.token_id, second, settings.BEACON_LIMIT), 1),
            (_in_window("address", self.address, second, settings.BEACON_ADDRESS_LIMIT), 1),
            (_in_window("items", self.event_id, second, settings.ITEM_LIMIT), self.items),
        ]


def _in_window(what: str, whose: UUID | str, second: int, most_a_second: int) -> Quota:
    window = second // ITEM_WINDOW_SECONDS
    return Quota(what, whose, window, ITEM_WINDOW_SECONDS, most_a_second * ITEM_WINDOW_SECONDS)


def spend_report(spent: SpentByTab) -> None:
    """Count a report of a beacon. Raises `Problem` (429) where one of its quotas is used up."""
    second = int(time())
    if not all(spend_together([spent], second)):
        wait = ITEM_WINDOW_SECONDS - second % ITEM_WINDOW_SECONDS
        raise Problem(429, TOO_MANY_REPORTS, headers={"Retry-After": str(wait)})


def spend_together(requests: Sequence[Spent | SpentByTab], second: int) -> list[bool]:
    """Count several requests, one after the other, and return of each whether it is within the quotas.

    Redis is asked once for all of them. Of one that is not, nothing stays counted: whoever refuses it counts it again.
    """
    asked = [[(quota, number) for quota, number in each.quotas(second) if quota.most] for each in requests]
    numbers: Counter[Quota] = Counter()
    for taken in asked:
        for quota, number in taken:
            numbers[quota] += number
    if not numbers or not (totals := _count_quotas(numbers)):
        return [True] * len(requests)
    spent = {quota: total - numbers[quota] for quota, total in zip(numbers, totals, strict=True)}
    passed = [_passes(taken, spent) for taken in asked]
    give_back([each for each, has_passed in zip(requests, passed, strict=True) if not has_passed], second)
    return passed


def give_back(requests: Sequence[Spent | SpentByTab], second: int) -> None:
    """Take back what was counted of requests, in that second, which somebody else will count again."""
    numbers: Counter[Quota] = Counter()
    for each in requests:
        for quota, number in each.quotas(second):
            if quota.most:
                numbers[quota] -= number
    if numbers:
        _count_quotas(numbers)


def _count_quotas(numbers: Mapping[Quota, int]) -> list[int]:
    return count_together(
        [(quota.what, quota.whose, quota.window, number, 2 * quota.seconds) for quota, number in numbers.items()]
    )


def _passes(taken: Sequence[tuple[Quota, int]], spent: dict[Quota, int]) -> bool:
    """Tell whether a request is within its quotas, and add it to what is spent if it is."""
    if any(spent[quota] >= quota.most for quota, _ in taken):
        return False
    for quota, number in taken:
        spent[quota] += number
    return True


def count(what: str, whose: UUID | str, window: int, number: int, seconds: int) -> int:
    """Add to what was counted in a window of time, and return it; 0 where nobody knows."""
    totals = count_together([(what, whose, window, number, seconds)])
    return totals[0] if totals else 0


def count_together(counted: Sequence[tuple[str, UUID | str, int, int, int]]) -> list[int]:
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
