import asyncio
import json
import logging
import re
import socket as sockets
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.test import Client
from django.utils.timezone import now

from conductor import hub, live
from conductor.access import Claim
from conductor.hub import Listener, SharedWork
from conductor.local import addresses, embedded
from conductor.tests import stage
from conductor.tests.test_consumers import cookie_of, open_socket  # noqa: F401  a fixture
from conductor.tests.waiting import wait_until
from engagement.moments import read_moment

MEGABYTE = 1024 * 1024


class Reader:
    """What a listener writes to; it reads only when it is told to."""

    def __init__(self):
        self.frames, self.closed, self.reads = [], [], asyncio.Event()

    async def send(self, frame: str) -> None:
        self.frames.append(frame)
        await self.reads.wait()

    async def close(self, code: int) -> None:
        self.closed.append(code)

    def listener(self, **kind: bool) -> Listener:
        return Listener(Claim(None), self.send, self.close, **kind)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_slow_screen_gets_the_newest_frame_and_none_between():
    client = Reader()
    listener = client.listener(is_latest_enough=True)
    await listener.send_first(None)
    for number in range(1000):
        listener.push(f"{number}")
        await settle()
    assert client.frames == ["0"]

    client.reads.set()
    await settle()

    assert client.frames == ["0", "999"]
    assert client.closed == []


async def test_slow_stream_gets_everything_in_order_or_is_sent_away():
    client = Reader()
    listener = client.listener(is_latest_enough=False)
    await listener.send_first(None)
    listener.push("first")
    await settle()
    for number in range(hub.MOST_WAITING):
        listener.push(f"{number}")
    client.reads.set()
    await settle()
    assert client.frames == ["first", *map(str, range(hub.MOST_WAITING))]

    client.reads.clear()
    for number in range(hub.MOST_WAITING + 1):
        listener.push(f"{number}")
    await settle()
    assert client.closed == [1013]
    listener.push("after the end")
    client.reads.set()
    await settle()
    assert "after the end" not in client.frames


async def test_what_is_pushed_during_a_snapshot_comes_behind_it():
    client = Reader()
    client.reads.set()
    listener = client.listener(is_latest_enough=True)
    rendered = asyncio.get_running_loop().create_future()

    first = asyncio.create_task(listener.send_first(lambda: rendered))
    await settle()
    listener.push("push")
    await settle()
    assert client.frames == []
    rendered.set_result("snapshot")
    await first
    await settle()

    assert client.frames == ["snapshot", "push"]


async def test_heartbeat_is_left_out_where_something_waits():
    client = Reader()
    listener = client.listener(is_latest_enough=True)
    await listener.send_first(None)
    listener.push("being written")
    await settle()
    listener.push("newest")
    listener.beat("heartbeat")
    client.reads.set()
    await settle()
    assert client.frames == ["being written", "newest"]


async def test_work_is_shared_by_those_who_wait_and_never_begun_before_they_asked():
    begun, go = [], asyncio.Event()

    async def work() -> str:
        begun.append(None)
        number = len(begun)
        await go.wait()
        return f"{number}"

    shared = SharedWork(work)
    first = asyncio.create_task(shared())
    await settle()
    others = [asyncio.create_task(shared()) for _ in range(10)]
    await settle()
    go.set()

    assert await first == "1"
    assert set(await asyncio.gather(*others)) == {"2"}
    assert await shared() == "3"


@pytest.fixture
def organizer(session):
    return stage.organizer("mara", session.event)


def subscribers(group: str) -> int:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        ((_, count),) = client.pubsub_numsub(live.redis_channel(group))
    return count


async def until(holds, *arguments) -> None:
    async with asyncio.timeout(10):
        while not await sync_to_async(holds)(*arguments):
            await asyncio.sleep(0.02)


@pytest.mark.django_db(transaction=True)
async def test_process_subscribes_to_a_room_once_and_only_while_somebody_listens(
    session,
    organizer,
    open_socket,  # noqa: F811
):
    path, group = f"/ws/sessions/{session.id}/", live.dashboard_group(session.id)
    cookie = await cookie_of(organizer)
    opened = [(await open_socket(path, cookie=cookie))[0] for _ in range(3)]
    assert await sync_to_async(subscribers)(group) == 1
    for socket in opened[:2]:
        await socket.disconnect()
    assert await sync_to_async(subscribers)(group) == 1
    await opened[2].disconnect()
    await until(lambda: subscribers(group) == 0)
    assert not [task for task in asyncio.all_tasks() if "Hub" in repr(task)]


@pytest.mark.django_db(transaction=True)
async def test_both_sockets_hear_a_heartbeat(session, organizer, open_socket, monkeypatch):  # noqa: F811
    monkeypatch.setattr(hub, "HEARTBEAT_SECONDS", 0.1)
    cookie = await cookie_of(organizer)
    screen, _ = await open_socket(f"/ws/sessions/{session.id}/", cookie=cookie)
    stream, _ = await open_socket(f"/ws/sessions/{session.id}/stream/", cookie=cookie)
    assert 'id="engagement-score"' in await screen.receive_from(timeout=5)
    for socket in (screen, stream, screen, stream):
        said = json.loads(await socket.receive_from(timeout=5))
        assert said["type"] == "heartbeat"
        assert abs((now() - read_moment(said["at"])).total_seconds()) < 5


async def test_heartbeat_comes_every_ten_seconds():
    assert hub.HEARTBEAT_SECONDS == 10


@pytest.mark.django_db(transaction=True)
async def test_nonsense_on_a_channel_is_logged_and_harms_nobody(session, organizer, open_socket, caplog):  # noqa: F811
    socket, _ = await open_socket(f"/ws/sessions/{session.id}/", cookie=await cookie_of(organizer))
    await socket.receive_from(timeout=5)
    with redis.Redis.from_url(settings.REDIS_URL) as client, caplog.at_level(logging.ERROR):
        client.publish(live.redis_channel(live.dashboard_group(session.id)), b"nonsense")
        await sync_to_async(live.announce)([live.SessionChange(session.id, None)], stage.NOW)
        assert 'id="engagement-score"' in await socket.receive_from(timeout=5)
    assert "is no message of ours" in caplog.text


@pytest.fixture
def own_redis(tmp_path_factory, settings):
    """A Redis that a test may stop and start."""
    data_dir = tmp_path_factory.mktemp("redis")
    servers = [embedded.Servers(data_dir, postgres=False)]
    servers[0].start()
    settings.REDIS_URL = addresses.redis_url(data_dir)

    def restart() -> None:
        servers.append(embedded.Servers(data_dir, postgres=False))
        servers[-1].start()

    yield lambda: servers[-1].stop(), restart
    servers[-1].stop()


@pytest.mark.django_db(transaction=True)
async def test_screen_is_right_again_by_itself_when_redis_is_back(
    session,
    organizer,
    open_socket,  # noqa: F811
    own_redis,
    monkeypatch,
    caplog,
):
    monkeypatch.setattr(hub, "HEARTBEAT_SECONDS", 0.05)
    stop, start = own_redis

    async def next_screen() -> str:
        while (frame := await socket.receive_from(timeout=20)).startswith("{"):
            pass
        return frame

    socket, _ = await open_socket(f"/ws/sessions/{session.id}/", cookie=await cookie_of(organizer))
    assert "data-anomaly-id" not in await next_screen()
    await sync_to_async(stop)()
    await until(lambda: "Redis does not tell us" in caplog.text)
    anomaly = await sync_to_async(stage.incident)(session)
    while not socket.output_queue.empty():
        await socket.receive_from()
    assert await socket.receive_nothing(timeout=0.3), "a heartbeat would say that all is well"

    await sync_to_async(start)()
    assert f'data-anomaly-id="{anomaly.id}"' in await next_screen()

    await sync_to_async(anomaly.delete)()
    await until(subscribers, live.dashboard_group(session.id))
    await sync_to_async(live.announce)([live.SessionChange(session.id, None)], stage.NOW)
    assert "data-anomaly-id" not in await next_screen()


@pytest.mark.django_db(transaction=True)
async def test_page_opens_without_redis_and_is_mended_when_it_is_there(
    session,
    organizer,
    open_socket,  # noqa: F811
    own_redis,
    monkeypatch,
):
    monkeypatch.setattr(hub, "JOIN_SECONDS", 0.1)
    stop, start = own_redis
    await sync_to_async(stop)()
    socket, connected = await open_socket(f"/ws/sessions/{session.id}/", cookie=await cookie_of(organizer))
    assert connected
    assert "data-anomaly-id" not in await socket.receive_from(timeout=5)
    anomaly = await sync_to_async(stage.incident)(session)
    await sync_to_async(start)()
    assert f'data-anomaly-id="{anomaly.id}"' in await socket.receive_from(timeout=20)


class RawSocket:
    """A browser's socket that is read by hand, so that it can be left unread."""

    def __init__(self, url: str, path: str, cookie: str):
        host, port = url.removeprefix("http://").split(":")
        self.socket = sockets.socket()
        self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        self.socket.settimeout(10)
        self.socket.connect((host, int(port)))
        lines = [
            f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Cookie: {cookie}",
        ]  # fmt: skip
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.seen, self.bytes_read = b"", 0
        self.read_until(b"\r\n\r\n")
        assert b" 101 " in self.seen

    def read_until(self, wanted: bytes) -> None:
        while wanted not in self.seen:
            data = self.socket.recv(65_536)
            assert data, "the server hung up"
            self.seen = self.seen[-100:] + data
            self.bytes_read += len(data)

    def read_to_the_end(self) -> None:
        with suppress(ConnectionResetError):
            while self.socket.recv(65_536):
                pass


@pytest.fixture
def open_raw(stack):
    """Open a socket on the running product; it is closed at the end."""
    opened = []

    def open_raw(path: str, cookie: str) -> RawSocket:
        opened.append(RawSocket(stack.url, path, cookie))
        return opened[-1]

    yield open_raw
    for each in opened:
        each.socket.close()


def memory_of(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def open_sockets(stack) -> dict[str, int]:
    with urllib.request.urlopen(f"{stack.url}/metrics", timeout=5) as answer:
        found = re.findall(r'conductor_sockets\{kind="(\w+)"\} (\d+)', answer.read().decode())
    return {kind: int(count) for kind, count in found}


@pytest.mark.django_db(transaction=True)
def test_client_that_does_not_read_costs_no_memory_and_delays_nobody(stack, session, organizer, open_raw):
    client = Client()
    client.force_login(organizer)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.session.session_key}"
    page, feed = f"/ws/sessions/{session.id}/", f"/ws/sessions/{session.id}/stream/"
    slow_page, slow_feed, other = open_raw(page, cookie), open_raw(feed, cookie), open_raw(page, cookie)
    other.read_until(b'id="event-sensitivity"')
    assert {"dashboard": 2, "stream": 1}.items() <= open_sockets(stack).items()
    before = memory_of(stack.processes["web"].pid)
    screens, messages = (live.redis_channel(group(session.id)) for group in (live.dashboard_group, live.stream_group))

    def publish(channel: str, frame: str) -> int:
        return carrier.publish(channel, get_channel_layer().serialize({"type": "forward", "frames": [frame]}))

    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as carrier:
        for number in range(1500):
            assert publish(screens, f"<p>{number:06}</p>" + 60_000 * "x") == 1
            other.read_until(f"<p>{number:06}</p>".encode())
            if number < 500:
                publish(messages, json.dumps({"number": number, "x": 60_000 * "x"}))

    assert memory_of(stack.processes["web"].pid) - before < 45 * MEGABYTE  # of 90 to the page and 30 to the stream
    wait_until(lambda: open_sockets(stack)["stream"] == 0)
    slow_feed.read_to_the_end()
    slow_page.read_until(b"<p>001499</p>")
    assert slow_page.bytes_read < 8 * MEGABYTE
