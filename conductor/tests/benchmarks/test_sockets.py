"""Sockets of the benchmarks' client: each row is seen once by each, at the first frame that shows it."""

import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
from websockets.asyncio.server import serve

from benchmarks.client.drive import Driver
from benchmarks.client.plan import Watching
from conductor.tests.benchmarks.test_client import ANSWER, load, plan, server

WATCHING = Watching("/ws/{room}", {"Authorization": "Bearer ec_x"}, rooms=1, each=3)


@contextlib.asynccontextmanager
async def product(frame_of):
    """Serve a door for POSTs, and sockets that are told `frame_of(body)` of each; yield both ports."""
    connections, asked = set(), []

    async def listen(connection):
        asked.append((connection.request.path, connection.request.headers["Authorization"]))
        connections.add(connection)
        await connection.wait_closed()

    async def answer(number, head, body):
        for connection in connections:
            await connection.send(frame_of(json.loads(body)))
        return ANSWER

    async with server(answer) as post_port, serve(listen, "127.0.0.1", 0) as sockets:
        yield sockets.sockets[0].getsockname()[1], post_port, asked


async def drive(ports, watching, **changes):
    port, post_port, _ = ports
    asked = plan(port, load=load(rooms=("a",)), seconds=0.05, watching=watching, **changes)
    async with contextlib.aclosing(Driver(replace(asked, post_ports=(post_port,)))) as driver:
        await driver.open_sockets()
        return await (driver.play_rounds() if asked.rounds else driver.send_for(asked.seconds))


@pytest.fixture(autouse=True)
def no_need_of_quiet(monkeypatch):
    monkeypatch.setattr("benchmarks.client.drive.QUIET_SECONDS", 0.1)
    monkeypatch.setattr("benchmarks.client.drive.ROUND_SECONDS", 0.5)


async def test_every_socket_sees_every_row_once():
    async with product(lambda body: "<p>any frame</p>") as ports:
        told = await drive(ports, WATCHING)

    assert ports[2] == [("/ws/a", "Bearer ec_x")] * 3
    assert (told.sockets, len(told.frames), told.unseen) == (3, 5 * 3, 0)


async def test_frame_of_a_stream_shows_the_rows_up_to_its_own():
    """Where a frame shows the first row for ever, the others are never seen."""

    def frame(body):
        return json.dumps({"type": "engagement:update", "engagement": {"timestamp": "2026-03-02T09:00:00Z"}})

    async with product(frame) as ports:
        told = await drive(ports, replace(WATCHING, has_moments=True))

    assert (len(told.frames), told.unseen) == (3, 4 * 3)


async def test_round_ends_when_the_last_socket_is_told():
    async with product(lambda body: "x" * 1000) as ports:
        told = await drive(ports, WATCHING, rounds=2)

    assert (told.accepted, len(told.lasts), told.frame_bytes, told.unseen) == (2, 2, 1000, 0)
    assert told.lasts[0] == max(told.frames[:3])


async def test_socket_that_is_refused_is_an_error():
    async with serve(lambda connection: asyncio.sleep(0), "127.0.0.1", 0, process_request=refuse) as sockets:
        port = sockets.sockets[0].getsockname()[1]
        with pytest.raises(Exception, match="403"):
            await drive((port, port, []), WATCHING)


def refuse(connection, request):
    return connection.respond(403, "no")
