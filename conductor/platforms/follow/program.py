"""Follow several chats until they are over, or until somebody stops it: each is read and posted by itself."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from conductor.local.rest_client import CannotReach, Refused, RestClient
from conductor.platforms.follow import twitch, youtube
from conductor.platforms.follow.chat import CannotFollow, Tell
from conductor.platforms.follow.sender import Sender, Session

# How far behind what is said it is posted: a second of a batch, and for YouTube until it is asked again.
TWITCH_LATENESS_SECONDS, YOUTUBE_LATENESS_SECONDS = 5, 30
REST_PATIENCE_SECONDS = 20.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chat to follow, such as twitch:somebody."""

    platform: str
    name: str

    @classmethod
    def read(cls, word: str) -> "Wanted":
        """Read a chat as it is written. Raises `CannotFollow`."""
        platform, _, name = word.partition(":")
        if platform not in ("twitch", "youtube") or not name.strip():
            raise CannotFollow(f"{word!r} is no chat: write twitch:CHANNEL or youtube:VIDEO")
        return cls(platform, name.strip())

    def __str__(self) -> str:
        return f"{self.platform}:{self.name}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where is posted, where is asked, and with which keys."""

    url: str
    api_key: str
    youtube_key: str = ""
    twitch_server: str = twitch.SERVER
    youtube_server: str = youtube.SERVER

    def connect(self, tell: Tell) -> RestClient:
        return RestClient(self.url, self.api_key, REST_PATIENCE_SECONDS, on_retry=tell)


async def follow_all(wanted: Sequence[Wanted], target: Target, tell: Tell, stop: asyncio.Event) -> bool:
    """Follow chats until all are over or `stop` is set; return whether each went well to its end."""
    works = [asyncio.create_task(_follow(each, target, _named(each, tell), stop)) for each in wanted]
    return all(await asyncio.gather(*works))


def _named(wanted: Wanted, tell: Tell) -> Tell:
    return lambda words: tell(f"{wanted}: {words}.")


async def _follow(wanted: Wanted, target: Target, tell: Tell, stop: asyncio.Event) -> bool:
    """Follow one chat; what ends it is told, and ends no other."""
    try:
        await (_follow_twitch if wanted.platform == "twitch" else _follow_youtube)(wanted, target, tell, stop)
    except (CannotFollow, CannotReach, Refused) as error:
        tell(str(error).rstrip("."))
        return False
    except Exception as error:  # what nobody thought of ends no other either
        log.exception("%s broke.", wanted)
        tell(f"it broke ({type(error).__name__}: {error})")
        return False
    return True


async def _follow_twitch(wanted: Wanted, target: Target, tell: Tell, stop: asyncio.Event) -> None:
    name = f"twitch:{wanted.name.lower()}"
    session = Session(target.connect(tell), name, f"Twitch: {wanted.name}", TWITCH_LATENESS_SECONDS, is_only=False)
    sender = Sender(session, tell)
    await _until_over(lambda: twitch.follow(wanted.name, sender.take, tell, target.twitch_server), sender, stop)


async def _follow_youtube(wanted: Wanted, target: Target, tell: Tell, stop: asyncio.Event) -> None:
    if not target.youtube_key:
        raise CannotFollow("a key of Google's is needed: CONDUCTOR_YOUTUBE_KEY")
    chat = youtube.Chat(wanted.name, target.youtube_key, tell, target.youtube_server)
    try:
        broadcast = await _or_stopped(chat.find_broadcast(), stop)
        if broadcast is None:
            return
        if broadcast.is_over:
            tell("the broadcast is over")
            return
        title = broadcast.title or str(wanted)
        session = Session(target.connect(tell), str(wanted), title, YOUTUBE_LATENESS_SECONDS, is_only=True)
        sender = Sender(session, tell)
        tell(f"reading the chat of “{title}”")
        await _until_over(lambda: chat.follow(broadcast, sender.take), sender, stop)
    finally:
        await chat.close()


async def _until_over(read: Callable[[], Coroutine[Any, Any, None]], sender: Sender, stop: asyncio.Event) -> None:
    """Read a chat and post it until it is over, its session has ended, or we are stopped; post what is left."""
    reading, posting = asyncio.create_task(read()), asyncio.create_task(sender.run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({reading, posting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    is_over, has_ended = reading.done(), posting.done()
    for task in (reading, posting, stopping):
        task.cancel()
    results = await asyncio.gather(reading, posting, return_exceptions=True)
    failed = next((each for each in results if isinstance(each, Exception)), None)
    try:
        if not has_ended:
            await sender.finish(is_over=is_over and failed is None)
    finally:
        await sender.close()
    if failed is not None:
        raise failed


async def _or_stopped(work: Coroutine[Any, Any, youtube.Broadcast], stop: asyncio.Event) -> youtube.Broadcast | None:
    """Return what a work comes to, None where we are stopped before."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    return None
