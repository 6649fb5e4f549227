"""Who comes while too many are worked on is told so at once; pages, health and metrics are not refused."""

import asyncio
import json

import pytest

from conductor.asgi import application
from conductor.posting import committer as committing
from conductor.posting.committer import Committer
from conductor.posting.crowd import without_crowds
from conductor.posting.door import Door
from conductor.tests.posting.test_door import body_of, live, site  # noqa: F401  a fixture
from conductor.tests.rest import signals


class Held:
    """An application that works until it is told to go on."""

    def __init__(self) -> None:
        self.goes_on, self.number = asyncio.Event(), 0

    async def __call__(self, scope, receive, send) -> None:
        self.number += 1
        await self.goes_on.wait()
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body"})


async def call(application, method: str = "POST", path: str = "/api/v1/signals") -> list[dict]:
    sent: list[dict] = []

    async def send(message) -> None:
        sent.append(message)

    await application({"type": "http", "method": method, "path": path}, None, send)
    return sent


async def test_who_comes_while_it_is_full_is_told_so_at_once():
    held = Held()
    crowded = without_crowds(held, most=2)
    taken = [asyncio.create_task(call(crowded)) for _ in range(2)]
    await asyncio.sleep(0)

    [start, body] = await call(crowded)

    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"5"
    assert dict(start["headers"])[b"content-type"] == b"application/problem+json"
    assert json.loads(body["body"])["detail"].endswith("Nothing was stored; send it again.")
    assert held.number == 2
    held.goes_on.set()
    assert [answer[0]["status"] for answer in await asyncio.gather(*taken)] == [202, 202]
    assert (await call(crowded))[0]["status"] == 202, "there is room again"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/healthz"), ("GET", "/metrics"), ("POST", "/accounts/login/")]
)
async def test_others_are_taken_however_many_post(method, path):
    held = Held()
    held.goes_on.set()
    assert (await call(without_crowds(held, most=0), method, path))[0]["status"] == 202


async def test_who_fails_makes_room():
    async def broken(scope, receive, send) -> None:
        raise ValueError("a bug")

    crowded = without_crowds(broken, most=1)
    for _ in range(2):
        with pytest.raises(ValueError, match="a bug"):
            await call(crowded)


@pytest.mark.django_db(transaction=True)
def test_post_is_refused_at_the_door_before_it_is_read(site, rest, monkeypatch):  # noqa: F811
    session = live(rest, "signals")
    site.learn(rest)
    monkeypatch.setattr(committing, "MAX_WAITING", 0)

    status, headers, body = site.post(rest, f"/sessions/{session.id}/signals", body_of(signals()))

    assert (status, site.asked) == (503, 0)
    assert dict(headers)[b"retry-after"] == b"5"
    assert json.loads(body)["status"] == 503


def test_application_has_both():
    door = application.application_mapping["http"]
    assert isinstance(door, Door)
    assert isinstance(door.committer, Committer)
