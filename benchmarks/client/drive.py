"""Send what is due when it is due, whether or not what came before is answered, and take the times."""

import asyncio
import json
import time
from collections import deque

from benchmarks.client.http import Pool
from benchmarks.client.plan import Plan, Told
from benchmarks.client.requests import Request, requests_of
from benchmarks.client.sockets import Listener, open_all

ACCEPTED = 202
PATIENCE_SECONDS = 10.0  # for what is not answered when the last request is sent
MOST_BEHIND_SECONDS = 10.0  # of load unanswered: more of it would say nothing new
QUIET_SECONDS = 1.0  # without a frame, before a round
ROUND_SECONDS = 30.0


class Driver:
    """One client at work: its connections, its sockets, and what of its rooms no frame has shown yet."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.told = Told()
        self._pool = Pool(plan.post_ports, plan.key)
        self._requests = requests_of(plan.load)
        self._listeners: list[Listener] = []
        self._rooms: list[str] = []  # of each socket
        self._unseen: dict[int, deque[tuple[str, float]]] = {}  # of each socket: timestamp, and when the POST was due
        self._of_room: dict[str, list[int]] = {}
        self._heard_at = 0.0

    async def open_sockets(self) -> None:
        watching, rooms = self.plan.watching, self.plan.load.rooms
        # From all over the rooms, which are told of in turn: else a short phase may tell nothing of any of them.
        watched = rooms[:: max(1, len(rooms) // max(1, watching.rooms))][: watching.rooms]
        self._rooms = [room for room in watched for _ in range(watching.each)]
        for number, room in enumerate(self._rooms):
            self._unseen[number] = deque()
            self._of_room.setdefault(room, []).append(number)
        paths = [watching.path.format(room=room) for room in self._rooms]
        self._listeners = await open_all(self.plan.port, paths, watching.headers, self._note_frame)
        await self._await_quiet()

    async def send_for(self, seconds: float) -> Told:
        """Send at the plan's rate for so long; return what became of it when all is answered, or we gave up."""
        told = self.told = Told(sockets=len(self._listeners))
        rate = self.plan.requests_a_second
        tasks: set[asyncio.Task[None]] = set()
        began, began_cpu = time.perf_counter(), time.process_time()
        for number in range(round(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if len(tasks) > rate * MOST_BEHIND_SECONDS:
                break
            told.sent_late.append(time.perf_counter() - due)
            task = asyncio.create_task(self._send(next(self._requests), due, told))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        told.sending_seconds = time.perf_counter() - began
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE_SECONDS)
        told.unanswered = len(tasks)
        told.seconds = time.perf_counter() - began
        if self._listeners:
            await self._await_seen()
        told.client_share = (time.process_time() - began_cpu) / (time.perf_counter() - began)
        return told

    async def play_rounds(self) -> Told:
        """Send a request when no socket hears anything, and wait until every one has; as often as the plan says."""
        told = self.told = Told(sockets=len(self._listeners))
        began, began_cpu = time.perf_counter(), time.process_time()
        for _ in range(self.plan.rounds):
            await self._await_quiet()
            before, due = len(told.frames), time.perf_counter()
            await self._send(next(self._requests), due, told)
            await self._await_seen()
            told.lasts.append(max(told.frames[before:], default=ROUND_SECONDS))
        told.seconds = time.perf_counter() - began
        told.client_share = (time.process_time() - began_cpu) / told.seconds
        return told

    async def aclose(self) -> None:
        """Close all connections and sockets."""
        self._pool.close()
        for listener in self._listeners:
            listener.transport.close()

    async def _send(self, request: Request, due: float, told: Told) -> None:
        for room, moment in request.items:
            for number in self._of_room.get(room, ()):
                self._unseen[number].append((moment, due))
        status = await self._pool.post(request.path, request.body)
        told.latencies.append(time.perf_counter() - due)
        told.statuses[str(status)] = told.statuses.get(str(status), 0) + 1
        if status == ACCEPTED:
            told.accepted += len(request.items)

    def _note_frame(self, number: int, at: float, frame: bytes) -> None:
        """Take the time of every row that this frame is the first to show."""
        self._heard_at = at
        self.told.frame_bytes = len(frame)
        shown = _moment_of(frame) if self.plan.watching.has_moments else None
        if self.plan.watching.has_moments and shown is None:
            return
        unseen = self._unseen[number]
        while unseen and (shown is None or unseen[0][0] <= shown):
            self.told.frames.append(at - unseen.popleft()[1])

    async def _await_seen(self) -> None:
        deadline = time.perf_counter() + ROUND_SECONDS
        while any(self._unseen.values()) and time.perf_counter() < deadline:
            await asyncio.sleep(0.02)
        for unseen in self._unseen.values():
            self.told.unseen += len(unseen)
            unseen.clear()

    async def _await_quiet(self) -> None:
        self._heard_at = time.perf_counter()
        while (rest := self._heard_at + QUIET_SECONDS - time.perf_counter()) > 0 and self._listeners:
            await asyncio.sleep(rest)


def _moment_of(frame: bytes) -> str | None:
    """Return the timestamp of the row that a frame of the stream shows, written as requests write it.

    >>> _moment_of(b'{"type": "engagement:update", "engagement": {"timestamp": "2026-03-02T09:00:05Z"}}')
    '2026-03-02T09:00:05+00:00'
    >>> _moment_of(b'{"type": "heartbeat", "at": "2026-03-02T09:00:05Z"}')
    """
    message = json.loads(frame)
    if message["type"] != "engagement:update":
        return None
    return str(message["engagement"]["timestamp"]).replace("Z", "+00:00")
