"""Follow a live chat of YouTube: asked for as often as YouTube allows, and as the quota lasts.

YouTube tells what is written and by whom, and when the chat is over. Who watches it does not tell there, so that stays
unknown.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from conductor.platforms.follow.chat import CannotFollow, Pause, Said, Take, Tell
from conductor.platforms.told import find, from_text, text

SERVER = "https://www.googleapis.com/youtube/v3"
LEAST_SECONDS = 5.0  # a call costs 5 of 10,000 units a day: so they last for two hours and three quarters
SCHEDULED_SECONDS = 60.0  # until it is looked again whether a broadcast has begun
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 120.0
TIMEOUT_SECONDS = 20.0
MOST_MESSAGES = 2_000  # of one answer
# By YouTube's names. What is paid for is written, too; a gift or a new member is a reaction of the room.
TYPES = {
    "textMessageEvent": "chat",
    "superChatEvent": "chat",
    "memberMilestoneChatEvent": "chat",
    "superStickerEvent": "reaction",
    "newSponsorEvent": "reaction",
    "membershipGiftingEvent": "reaction",
}
ENDED = "chatEndedEvent"
QUOTA = {"quotaExceeded", "dailyLimitExceeded"}
SLOW_DOWN = {"rateLimitExceeded", "userRateLimitExceeded"}
OVER = {"liveChatEnded"}
QUOTA_ZONE = ZoneInfo("America/Los_Angeles")  # where the day begins at which a quota is new

Sleep = Callable[[float], Awaitable[None]]


class Over(Exception):
    """The chat has ended."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A video that is live or is to be: its title, and its chat once it is there."""

    title: str
    chat: str
    is_over: bool


def until_new_quota(now: datetime) -> timedelta:
    """Return how long it is until a quota is new: midnight in California, and a minute.

    >>> until_new_quota(datetime(2026, 3, 2, 7, 30, tzinfo=UTC))
    datetime.timedelta(seconds=1860)
    """
    here = now.astimezone(QUOTA_ZONE)
    midnight = datetime.combine(here.date() + timedelta(days=1), datetime.min.time(), QUOTA_ZONE)
    return midnight.astimezone(UTC) - now.astimezone(UTC) + timedelta(minutes=1)


class Chat:
    """The chat of one video, with a key of Google's."""

    def __init__(self, video: str, key: str, tell: Tell, server: str = SERVER, sleep: Sleep = asyncio.sleep) -> None:
        self._video, self._tell, self._sleep = video, tell, sleep
        headers = {"X-Goog-Api-Key": key}  # not in the address, which stands in logs
        self._client = httpx.AsyncClient(base_url=server, timeout=TIMEOUT_SECONDS, headers=headers)
        self._pause = Pause(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        await self._client.aclose()

    async def find_broadcast(self) -> Broadcast:
        """Wait until the video is live, and return it; also one that is over. Raises `CannotFollow`."""
        while True:
            found = await self._ask("/videos", part="snippet,liveStreamingDetails", id=self._video)
            [video] = find(found, "items") or [None]
            if video is None:
                raise CannotFollow(f"YouTube knows no video {self._video}")
            details, title = find(video, "liveStreamingDetails"), text(video, "snippet", "title")
            broadcast = Broadcast(title, text(details, "activeLiveChatId"), bool(text(details, "actualEndTime")))
            if broadcast.chat or broadcast.is_over:
                return broadcast
            if not details:
                raise CannotFollow(f"the video {self._video} is no live one")
            self._tell("it has not begun")
            await self._sleep(SCHEDULED_SECONDS)

    async def follow(self, broadcast: Broadcast, take: Take) -> None:
        """Take what is written until the chat is over. Raises `CannotFollow`."""
        query = {"liveChatId": broadcast.chat, "part": "id,snippet", "maxResults": str(MOST_MESSAGES)}
        while True:
            try:
                found = await self._ask("/liveChat/messages", **query)
            except Over:
                return
            items = find(found, "items") or []
            said = [each for each in map(_said, items) if each is not None]
            if said:
                await take(said)
            if find(found, "offlineAt") or any(text(item, "snippet", "type") == ENDED for item in items):
                return
            if page := text(found, "nextPageToken"):
                query["pageToken"] = page
            milliseconds = find(found, "pollingIntervalMillis")
            wished = milliseconds / 1_000 if isinstance(milliseconds, (int, float)) else 0.0
            await self._sleep(max(LEAST_SECONDS, wished))

    async def _ask(self, path: str, **query: str) -> Any:
        """Return an answer, however often it takes to get one. Raises `Over` or `CannotFollow`."""
        while True:
            try:
                answer = await self._client.get(path, params=query)
            except httpx.InvalidURL:
                raise CannotFollow("the address of YouTube cannot be read") from None
            except httpx.HTTPError as error:
                await self._wait(f"YouTube does not answer ({type(error).__name__})")
                continue
            if answer.is_success and (document := _parse(answer)) is not None:
                self._pause.reset()
                return document
            await self._refused(answer)

    async def _refused(self, answer: httpx.Response) -> None:
        """Wait as long as it takes until it is worth asking again. Raises `Over` or `CannotFollow`."""
        reason = _reason(answer)
        if reason in OVER:
            raise Over
        if reason in QUOTA:
            seconds = until_new_quota(datetime.now(UTC)).total_seconds()
            self._tell(f"the quota of the key is used up: waiting for a new one, {seconds / 3_600:.1f} h")
            await self._sleep(seconds)
        elif reason in SLOW_DOWN or answer.status_code in (408, 429) or not 400 <= answer.status_code < 500:
            await self._wait(f"YouTube answers {answer.status_code} {reason}".rstrip())
        else:
            raise CannotFollow(f"YouTube answers {answer.status_code} {reason}".rstrip())

    async def _wait(self, reason: str) -> None:
        seconds = self._pause.take()
        self._tell(f"{reason}; asking again in {seconds:g} s")
        await self._sleep(seconds)


def _said(item: object) -> Said | None:
    """Return what somebody wrote; None where it is none of that."""
    kind = TYPES.get(text(item, "snippet", "type"))
    at, id_ = from_text(find(item, "snippet", "publishedAt")), text(item, "id")
    if kind is None or at is None or not id_:
        return None
    return Said(kind, at, text(item, "snippet", "authorChannelId"), id_)


def _parse(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _reason(answer: httpx.Response) -> str:
    """Return Google's word for what is wrong."""
    errors = find(_parse(answer), "error", "errors")
    return text(errors[0], "reason") if isinstance(errors, list) and errors else ""
