"""An answer comes in time, and is the only one, whatever becomes of the work."""

import asyncio
import json
import time

import pytest

from conductor import requests
from conductor.deadline import punctual

SCOPE = {"type": "http", "method": "POST", "path": "/api/v1/signals", "headers": []}
START = {"type": "http.response.start", "status": 202, "headers": []}
BODY = {"type": "http.response.body", "body": b"stored"}


async def call(application, seconds, scope=SCOPE):
    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    await punctual(application, seconds)(scope, receive, send)
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
    async def held(scope, receive, send):
        await asyncio.Event().wait()

    [_, body] = await call(held, 0.01)
    assert json.loads(body["body"])["detail"].endswith("what is stored already is not stored twice.")


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
