"""An answer comes in time, and is the only one, whatever becomes of the work."""

import asyncio
import json
import time

import pytest

from conductor import deadline, requests
from conductor.deadline import punctual

SCOPE = {"type": "http", "method": "POST", "path": "/api/v1/signals", "headers": []}
START = {"type": "http.response.start", "status": 202, "headers": []}
BODY = {"type": "http.response.body", "body": b"stored"}


async def answers():
    return True


async def call(application, seconds, scope=SCOPE, look=answers):
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    await punctual(application, slow_after=0, late_after=seconds, look=look)(scope, receive, send)
    return sent


async def test_answer_in_time_goes_out_as_it_is():
    async def quick(scope, receive, send):
        await send(START)
        await send(BODY)

    assert await call(quick, 60) == [START, BODY]


@pytest.mark.parametrize(
    ("path", "content_type"), [("/api/v1/signals", "application/problem+json"), ("/", "text/html; charset=utf-8")]
)
async def test_who_waits_is_told_to_come_back_and_the_work_is_done_all_the_same(path, content_type):
    thawed, done = asyncio.Event(), asyncio.Event()

    async def held(scope, receive, send):
        await thawed.wait()
        await send(START)
        await send(BODY)
        done.set()

    sent = await call(requests.noted(held), 0.01, SCOPE | {"path": path})

    [start, body] = sent
    headers = dict(start["headers"])
    assert (start["status"], headers[b"retry-after"], headers[b"content-type"].decode()) == (503, b"5", content_type)
    assert b"The database does not answer" in body["body"]
    assert requests.is_one_stuck(time.monotonic() + requests.STUCK_SECONDS + 1), "liveness sees what is held"
    thawed.set()
    await asyncio.wait_for(done.wait(), 5)
    assert sent == [start, body], "nobody hears two answers"


async def test_problem_says_that_sending_again_is_harmless():
    [_, body] = await call(held_for_ever, 0.01)
    assert json.loads(body["body"])["detail"].endswith("what is stored already is not stored twice.")


async def held_for_ever(scope, receive, send):
    await asyncio.Event().wait()


async def test_nobody_waits_for_a_database_that_does_not_answer():
    looks = 0

    async def is_frozen():
        nonlocal looks
        looks += 1
        return False

    application = punctual(held_for_ever, slow_after=0, late_after=600, look=is_frozen)
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    await asyncio.gather(*(application(SCOPE, None, send) for _ in range(20)))

    assert [message["status"] for message in sent[::2]] == [503] * 20
    assert looks == 1, "one looks for all"


@pytest.mark.django_db
async def test_looks_at_the_real_database(monkeypatch):
    assert await deadline.database_answers()
    monkeypatch.setattr(deadline, "_params", lambda: {"host": "/nowhere"})
    assert not await deadline.database_answers()


async def test_database_that_accepts_and_says_nothing_does_not_answer(tmp_path, monkeypatch):
    gone = asyncio.Event()

    async def say_nothing(reader, writer):
        await reader.read()
        writer.close()
        gone.set()

    monkeypatch.setattr(deadline, "_params", lambda: {"host": str(tmp_path), "port": 5432, "user": "x"})
    monkeypatch.setattr(deadline, "LOOK_SECONDS", 0.1)
    async with await asyncio.start_unix_server(say_nothing, tmp_path / ".s.PGSQL.5432"):
        assert not await deadline.database_answers()
        await asyncio.wait_for(gone.wait(), 5)


async def test_answer_that_was_begun_may_take_its_time():
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def streaming(scope, receive, send):
        await send(START)
        begun.set()
        await goes_on.wait()
        await send(BODY)

    answer = asyncio.create_task(call(streaming, 0.01))
    await begun.wait()
    await asyncio.wait({answer}, timeout=0.1)
    assert not answer.done()
    goes_on.set()
    assert await answer == [START, BODY]


async def test_error_of_the_work_is_an_error_of_the_request():
    async def broken(scope, receive, send):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await call(broken, 60)


async def test_work_ends_with_who_asked():
    ended = asyncio.Event()

    async def held(scope, receive, send):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    answer = asyncio.create_task(call(held, 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    answer.cancel()
    await asyncio.wait_for(ended.wait(), 5)
