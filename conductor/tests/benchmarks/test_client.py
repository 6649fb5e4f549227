"""The client of the benchmarks: what it sends, when, and what it takes the time of."""

import asyncio
import contextlib
import json

import pytest

from benchmarks.client.drive import Driver
from benchmarks.client.http import BROKEN, Pool
from benchmarks.client.plan import Load, Plan, Watching, read_plan, write_plan
from benchmarks.client.requests import requests_of

STORY = [(0.0, '"chat_msgs_per_min": 1'), (5.0, '"chat_msgs_per_min": 2')]
ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"


def load(**changes) -> Load:
    fields = {"path": "/s/{room}", "rooms": ("a", "b"), "stories": (STORY,), "period_seconds": 10.0, "is_alone": True}
    return Load(**{**fields, **changes})


def plan(port: int, **changes) -> Plan:
    fields = {"key": "ec_x", "load": load(), "requests_a_second": 100, "warm_seconds": 0, "seconds": 0.2}
    return Plan(**{"port": port, "post_ports": (port,), **fields, **changes})


@contextlib.asynccontextmanager
async def server(answer):
    """Serve HTTP with `answer(number, head, body)`, which returns the bytes to answer, or None to hang up."""
    count = 0
    at_work = set()

    async def take(reader, writer):
        nonlocal count
        at_work.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]))
                count += 1
                text = await answer(count, head, body)
                if text is None:
                    break
                writer.write(text)
        writer.close()

    serving = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield serving.sockets[0].getsockname()[1]
    finally:
        serving.close()
        await asyncio.gather(*at_work)


async def drive(asked: Plan):
    """Return what became of a plan's phase that counts."""
    async with contextlib.aclosing(Driver(asked)) as driver:
        return await driver.send_for(asked.seconds)


def test_rooms_take_turns_and_each_goes_on_where_it_was():
    requests = requests_of(load())
    found = [next(requests) for _ in range(6)]

    assert [request.path for request in found] == ["/s/a", "/s/b"] * 3
    assert json.loads(found[2].body) == {"timestamp": "2026-03-02T09:00:05+00:00", "chat_msgs_per_min": 2}
    assert json.loads(found[4].body) == {"timestamp": "2026-03-02T09:00:10+00:00", "chat_msgs_per_min": 1}
    assert found[4].items == [("a", "2026-03-02T09:00:10+00:00")]


def test_request_of_many_names_their_rooms_and_repeats_no_id():
    story = [(0.0, '"id": "0-#"')]
    requests = requests_of(load(path="/s", stories=(story,), rooms_a_request=2, items_a_room=2, is_alone=False))
    items = json.loads(next(requests).body) + json.loads(next(requests).body)

    assert [item["session_id"] for item in items] == ["a", "b"] * 4
    assert len({(item["session_id"], item["id"]) for item in items}) == len(items)


def test_plan_survives_its_journey(tmp_path):
    asked = plan(1, watching=Watching("/ws/{room}", {"Cookie": "x"}, rooms=1))
    write_plan(tmp_path / "plan.json", asked)
    assert read_plan(tmp_path / "plan.json") == asked


def test_load_refuses_rooms_that_do_not_fill_its_requests():
    with pytest.raises(ValueError, match="multiple"):
        load(path="/s", rooms=("a", "b", "c"), rooms_a_request=2)


async def test_requests_do_not_wait_for_answers():
    """The server answers nobody before all have asked: a client that waits its turn would never be answered."""
    everybody = asyncio.Event()

    async def answer(number, head, body):
        if number == 20:
            everybody.set()
        await everybody.wait()
        return ANSWER

    async with server(answer) as port:
        told = await drive(plan(port))

    assert (told.statuses, told.accepted, told.unanswered) == ({"202": 20}, 20, 0)


async def test_latency_counts_from_when_a_request_was_due():
    """One connection is answered at a time, so that who is due during an answer waits for it too."""
    turn = asyncio.Lock()

    async def answer(number, head, body):
        async with turn:
            await asyncio.sleep(0.02)
            return ANSWER

    async with server(answer) as port:
        told = await drive(plan(port))

    # 20 requests at 10 ms intervals, each of which takes 20: the last one is due at .19 s and answered at .4 at best.
    assert told.latencies[-1] >= 20 * 0.02 - 19 * 0.01 - 0.005


async def test_pool_keeps_its_connection_and_replaces_one_that_broke():
    ports = []

    async def answer(number, head, body):
        ports.append(number)
        return None if number == 2 else ANSWER

    async with server(answer) as port:
        pool = Pool([port], "ec_x")
        statuses = [await pool.post("/s/a", b"{}") for _ in range(3)]
        pool.close()

    assert statuses == [202, BROKEN, 202]


async def test_pool_says_where_nobody_listens():
    async with server(None) as port:
        pass
    assert await Pool([port], "ec_x").post("/s/a", b"{}") == BROKEN
