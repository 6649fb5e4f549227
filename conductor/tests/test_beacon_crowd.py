"""Three thousand tabs with a beacon in one session, each on a connection of its own, against the server as it runs."""

import asyncio
import json
import resource
import time
from dataclasses import dataclass, field

import pytest
from django.db import connection

from benchmarks.processes import cpu_alone
from conductor.tests.waiting import wait_until
from engagement.models import BeaconToken, EngagementRow, Event, RawEventRow, Session, Visitor

pytestmark = [pytest.mark.long, pytest.mark.django_db(transaction=True)]

TABS = 3_000
BEAT_SECONDS = 20.0
BEATS = 3
ORIGIN = "https://player.example.org"
HEAD = (
    "POST /api/v1/beacon/{token} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n"
    "Content-Type: text/plain;charset=UTF-8\r\nOrigin: {origin}\r\nContent-Length: {length}\r\n\r\n"
)


@dataclass
class Crowd:
    """The tabs, and how they were answered."""

    host: str
    token: str
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    streams: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=dict)

    async def say(self, tab: int, number: int, state: str) -> None:
        """Report until it is taken, as a beacon does: a server that starts may say that it is too much just now."""
        while (status := await self.try_to_say(tab, number, state)) != 202:
            assert status in (0, 503)
            await asyncio.sleep(1 + tab % 10 / 10)

    async def try_to_say(self, tab: int, number: int, state: str) -> int:
        """Return how a report was answered; 0 where the connection broke, as a server that is busy cuts idle ones."""
        try:
            return await self._say(tab, number, state)
        except (OSError, asyncio.IncompleteReadError):
            self._leave(tab)
            self.statuses[0] = self.statuses.get(0, 0) + 1
            return 0

    def _leave(self, tab: int) -> None:
        if tab in self.streams:
            self.streams.pop(tab)[1].close()

    async def _say(self, tab: int, number: int, state: str) -> int:
        if tab not in self.streams:
            name, port = self.host.split(":")
            self.streams[tab] = await asyncio.open_connection(name, int(port))
        reader, writer = self.streams[tab]
        body = json.dumps({"person": f"{tab:032}", "number": number, "state": state, "events": []}).encode()
        head = HEAD.format(token=self.token, host=self.host, origin=ORIGIN, length=len(body))
        began = time.perf_counter()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 202:
            await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            self.seconds.append(time.perf_counter() - began)
        else:
            self._leave(tab)
        return status

    async def say_all(self, number: int, state: str, seconds: float) -> None:
        """Have every tab speak once, spread over a time."""

        async def later(tab: int) -> None:
            await asyncio.sleep(seconds * tab / TABS)
            await self.say(tab, number, state)

        await asyncio.gather(*map(later, range(TABS)))

    async def watch(self, web: int) -> tuple[float, int | None, list[float]]:
        """Come, stay for some beats, and go.

        Return the CPU of the server a second, how many it then counted, and how long heartbeats took, sorted.
        """
        await self.say_all(1, "focus", 20.0)
        self.seconds.clear()
        cpu, began = cpu_alone(web), time.monotonic()
        for beat in range(BEATS):
            await self.say_all(2 + beat, "focus", BEAT_SECONDS)
        share = (cpu_alone(web) - cpu) / (time.monotonic() - began)
        beats = sorted(self.seconds)
        await asyncio.sleep(6)
        here = await asyncio.to_thread(newest_total)
        await self.say_all(2 + BEATS, "left", 20.0)
        for tab in list(self.streams):
            self._leave(tab)
        return share, here, beats


def newest_total() -> int | None:
    try:
        return EngagementRow.objects.order_by("-timestamp").values_list("total_users", flat=True).first()
    finally:
        connection.close()


def test_three_thousand_tabs_are_cheap_and_all_of_them_count(stack, capsys):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * TABS:
        pytest.skip(f"NO ROOM: a process may have {hard} files open here, and this needs {4 * TABS}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4 * TABS), hard))
    web = stack.processes["web"].pid
    resource.prlimit(web, resource.RLIMIT_NOFILE, (max(soft, 4 * TABS), hard))
    session = Session.objects.create(event=Event.objects.create(name="Spring summit"), title="Keynote")
    _, token = BeaconToken.objects.issue(session, "Player", [ORIGIN])
    crowd = Crowd(stack.url.removeprefix("http://"), token)

    share, here, beats = asyncio.run(crowd.watch(web))

    slowest = beats[len(beats) * 99 // 100]
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{TABS} tabs, {len(beats)} heartbeats in {BEATS * BEAT_SECONDS:.0f} s: {share:.0%} of a core, "
            f"{1e6 * share * BEAT_SECONDS / TABS:.0f} µs each; p50 {1e3 * beats[len(beats) // 2]:.0f} ms, "
            f"p99 {1e3 * slowest:.0f} ms; {crowd.statuses}"
        )
    assert crowd.statuses.pop(202) == TABS * (BEATS + 2)
    assert sum(crowd.statuses.values()) < TABS / 5, "once more, and mostly while nobody knows how such are answered"
    assert here == TABS
    assert Visitor.objects.filter(session=session, state="left").count() == TABS
    kinds = RawEventRow.objects.filter(session=session)
    assert (kinds.filter(type="join").count(), kinds.filter(type="leave").count()) == (TABS, TABS)
    assert not kinds.filter(late=True).exists()
    assert kinds.filter(type="focus").count() < TABS + 60, "a heartbeat is an event only where nothing else is"
    wait_until(lambda: newest_total() == 0, seconds=40)
    assert share < 0.3, "of one core"
