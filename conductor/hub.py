"""The way from Redis to all sockets of this process: one subscriber, and the same bytes to all who listen to a room.

A socket is told through nothing of Channels but its own `send`. There is one hub for each event loop; it works while
somebody listens.
"""

import asyncio
import json
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import redis
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.utils.timezone import now
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from conductor import live
from conductor.access import Claim, find_allowed
from engagement.moments import write_moment

HEARTBEAT_SECONDS = 10.0
ACCESS_SECONDS = 30.0  # access that ended (logout, removal, revoked key) is noticed after at most so long
JOIN_SECONDS = 1.0  # a page is opened without Redis too, and mended when it is back
PING_SECONDS = 10.0
SILENT_SECONDS = 25.0  # a Redis that says so long nothing, a ping among it, is away
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 5.0  # between two attempts to subscribe
MOST_WAITING = 256  # messages to a stream that does not read
CHANNELS_A_COMMAND = 500

ACCESS_ENDED = 4403
TRY_AGAIN = 1013

OWN_CHANNEL = "conductor.hub"  # without one a subscriber may not ping

log = logging.getLogger(__name__)


class Listener:
    """One open socket: what waits to be written to it. One that does not read costs this, and delays no other."""

    def __init__(
        self,
        claim: Claim,
        send: Callable[[str], Awaitable[None]],
        close: Callable[[int], Coroutine[Any, Any, None]],
        *,
        is_latest_enough: bool,
    ) -> None:
        self.claim = claim
        self.room: Room | None = None
        self._send, self._close = send, close
        self._is_latest_enough = is_latest_enough  # only the newest frame waits: `push_changes` sees that it is enough
        self._knows_what_was_told = False
        self._waiting: deque[str] = deque()
        self._is_held = True
        self._writer: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_behind(self) -> bool:
        """Whether it may lack something of what was told before: a part that changed would not make it right."""
        return bool(self._waiting) or not self._knows_what_was_told

    def push(self, frame: str) -> None:
        """Have a frame written as soon as there is room; a stream for which too many wait is closed."""
        if self._closing is not None:
            return
        if self._is_latest_enough:
            self._waiting.clear()
        elif len(self._waiting) >= MOST_WAITING:
            self.end(TRY_AGAIN)
            return
        self._waiting.append(frame)
        self._write()

    def push_changes(self, changes: str, whole: str) -> None:
        """Have what changed since what was told before written; all of it to whoever is behind.

        So what is shown and what waits are together always what was told last, whatever was left out.
        """
        frame = whole if self.is_behind else changes
        self._knows_what_was_told = True
        if frame:
            self.push(frame)

    def beat(self, frame: str) -> None:
        """Have a heartbeat written, unless there is something to say that has not been said."""
        if not self._waiting:
            self.push(frame)

    def end(self, code: int) -> None:
        """Close the socket; nothing more is written."""
        self._waiting.clear()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(code))

    async def send_first(self, find: Callable[[], Awaitable[str]] | None) -> None:
        """Write what is found, if anything is to be; what is pushed meanwhile waits behind it.

        It may be newer than what all are told next, and differ from it in what does not change: so that comes whole.
        """
        self._is_held = True
        if find is not None:
            self._waiting.clear()  # it is older than what is found
            self._knows_what_was_told = False
            await self._send(await find())
        self._is_held = False
        self._write()

    def _write(self) -> None:
        if self._waiting and not self._is_held and self._writer is None:
            self._writer = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._waiting and not self._is_held:
                await self._send(self._waiting.popleft())
        except OSError:  # the client has gone; the server tells the consumer too
            self._waiting.clear()
        finally:
            self._writer = None


class SharedWork:
    """A piece of work done once for all who ask while they wait for it; never what was begun before they asked."""

    def __init__(self, work: Callable[[], Awaitable[str]]) -> None:
        self._work = work
        self._current: asyncio.Task[str] | None = None
        self._next: asyncio.Task[str] | None = None

    async def __call__(self) -> str:
        if self._next is None:
            self._next = asyncio.create_task(self._do_after(self._current))
        return await asyncio.shield(self._next)

    async def _do_after(self, before: asyncio.Task[str] | None) -> str:
        if before is not None:
            await asyncio.wait([before])
        self._current, self._next = self._next, None
        return await self._work()


class Room:
    """A group of the channel layer, and who listens to it here. `render` gives the state as it is now."""

    def __init__(self, group: str, render: Callable[[], str] | None = None) -> None:
        self.channel = live.redis_channel(group)
        self.key: Hashable = self.channel  # rooms of one group may differ in what they show of it
        self.listeners: set[Listener] = set()
        self.is_heard = asyncio.Event()  # Redis has confirmed the subscription
        self.has_missed = False  # something may have been said while nobody heard it
        self.snapshot = None if render is None else SharedWork(database_sync_to_async(render))

    def start(self) -> None:
        """Begin to work: the first one comes."""

    def stop(self) -> None:
        """End the work: the last one has gone."""

    def tell(self, frames: Sequence[str]) -> None:
        """Pass on what `live.announce` sent to the group."""
        for listener in self.listeners:
            for frame in frames:
                listener.push(frame)

    async def refresh(self) -> None:
        """Send the state as it is now to everybody, where there is such a thing."""
        if self.snapshot is not None:
            self.tell([await self.snapshot()])


class Hub:
    """All rooms of this process."""

    def __init__(self) -> None:
        self._rooms: dict[Hashable, Room] = {}
        self._channels: dict[str, list[Room]] = {}
        self._orders: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_connected = False
        self._mending: set[asyncio.Task[None]] = set()

    async def join(self, made: Room, listener: Listener) -> Room:
        """Return the room, this one or its equal that is there already, when Redis tells us of it.

        Without Redis that is after a second, and everybody gets the state anew as soon as it is there.
        """
        room = self._rooms.get(made.key)
        if room is None:
            room = self._rooms[made.key] = made
            self._tune_in(room)
            room.start()
        listener.room = room
        room.listeners.add(listener)
        if not self._tasks:
            loops = (self._listen(), self._beat(), self._watch_access())
            self._tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await room.is_heard.wait()
        except TimeoutError:
            room.has_missed = True
        return room

    def leave(self, listener: Listener) -> None:
        """Forget a socket, and what nobody listens to any more."""
        room, listener.room = listener.room, None
        if room is None:
            return
        room.listeners.discard(listener)
        if not room.listeners:
            del self._rooms[room.key]
            room.stop()
            self._tune_out(room)
        if not self._rooms:
            for task in [*self._tasks, *self._mending]:
                task.cancel()
            self._tasks = []

    def _tune_in(self, room: Room) -> None:
        others = self._channels.setdefault(room.channel, [])
        if not others:
            self._orders.put_nowait(("SUBSCRIBE", room.channel))
        elif others[0].is_heard.is_set():
            room.is_heard.set()
        others.append(room)

    def _tune_out(self, room: Room) -> None:
        others = self._channels[room.channel]
        others.remove(room)
        if not others:
            del self._channels[room.channel]
            self._orders.put_nowait(("UNSUBSCRIBE", room.channel))

    async def _listen(self) -> None:
        """Hear what is announced; where Redis goes, try again at growing intervals."""
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                await self._hear()
            except* (redis.RedisError, OSError) as errors:
                log.warning("Redis does not tell us what is announced: %s", errors.exceptions[0])
            except* Exception:
                log.exception("What is announced cannot be heard.")
            wait = FIRST_WAIT_SECONDS if self._is_connected else min(2 * wait, LONGEST_WAIT_SECONDS)
            self._is_connected = False
            for room in self._rooms.values():
                room.is_heard.clear()
                room.has_missed = True
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))

    async def _hear(self) -> None:
        client = Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=None,
            socket_connect_timeout=LONGEST_WAIT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        async with client, client.pubsub() as pubsub, asyncio.TaskGroup() as tasks:
            self._orders = asyncio.Queue()
            for channel in self._channels:
                self._orders.put_nowait(("SUBSCRIBE", channel))
            await pubsub.subscribe(OWN_CHANNEL)
            tasks.create_task(self._obey(pubsub))
            tasks.create_task(self._read(pubsub))

    async def _obey(self, pubsub: PubSub) -> None:
        """Subscribe and unsubscribe in the order of the comings and goings, and ask for a sign of life."""
        while True:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    orders = [await self._orders.get()]
            except TimeoutError:
                await pubsub.ping()
                continue
            while not self._orders.empty() and len(orders) < CHANNELS_A_COMMAND:
                orders.append(self._orders.get_nowait())
            # The last word on a channel is the one that holds.
            last = {channel: verb for verb, channel in orders}
            gone = [channel for channel, verb in last.items() if verb == "UNSUBSCRIBE"]
            come = [channel for channel, verb in last.items() if verb == "SUBSCRIBE"]
            if gone:
                await pubsub.unsubscribe(*gone)
            if come:
                await pubsub.subscribe(*come)

    async def _read(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=SILENT_SECONDS)
            if message is None:
                raise redis.ConnectionError(f"it has said nothing for {SILENT_SECONDS:g} s")
            self._is_connected = True
            channel = "" if message["channel"] is None else message["channel"].decode()
            for room in self._channels.get(channel, ()):
                if message["type"] == "subscribe":
                    self._welcome(room)
                elif message["type"] == "message":
                    self._pass_on(room, message["data"])
            await asyncio.sleep(0)  # what many messages say is written while they are read

    def _welcome(self, room: Room) -> None:
        room.is_heard.set()
        if room.has_missed:
            room.has_missed = False
            task = asyncio.create_task(self._mend(room))
            self._mending.add(task)
            task.add_done_callback(self._mending.discard)

    def _pass_on(self, room: Room, data: bytes) -> None:
        try:
            room.tell(get_channel_layer().deserialize(data)["frames"])
        except Exception:
            log.exception("What was published on %s is no message of ours.", room.channel)

    async def _mend(self, room: Room) -> None:
        try:
            await room.refresh()
        except Exception as error:  # the next announcement mends it
            log.warning("%s was not told what it missed: %s", room.channel, error)

    async def _beat(self) -> None:
        """Say that what is announced would be told: a hub that does not hear Redis is silent."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if self._is_connected:
                frame = json.dumps({"type": "heartbeat", "at": write_moment(now())})
                for listener in self._listeners():
                    listener.beat(frame)

    async def _watch_access(self) -> None:
        """Close the sockets whose owners may no longer listen."""
        while True:
            await asyncio.sleep(ACCESS_SECONDS)
            listeners = self._listeners()
            try:
                allowed = await database_sync_to_async(find_allowed)({each.claim for each in listeners})
            except Exception as error:  # nobody's access ended because the database is away
                log.warning("The access of %d sockets could not be checked: %r", len(listeners), error)
                continue
            for listener in listeners:
                if listener.claim not in allowed:
                    listener.end(ACCESS_ENDED)

    def _listeners(self) -> list[Listener]:
        return [listener for room in self._rooms.values() for listener in room.listeners]


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of the running event loop."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
