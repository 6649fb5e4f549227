"""Chats that are followed to their sessions: on the real server, through ends, restarts and outages."""

import asyncio
from datetime import timedelta
from unittest.mock import Mock

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils.timezone import now

from conductor.platforms.follow import program, sender, twitch, youtube
from conductor.platforms.follow.chat import CannotFollow
from conductor.platforms.follow.program import Target, Wanted, follow_all
from conductor.tests.platforms.follow import servers
from conductor.tests.platforms.follow.servers import Listener, message, messages, privmsg, video
from engagement.models import ApiKey, RawEventRow, Session

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sender, "BATCH_SECONDS", 0.05)
    monkeypatch.setattr(twitch, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(youtube, "LEAST_SECONDS", 0.05)


@pytest.fixture(autouse=True)
async def no_connection_stays():
    yield
    await sync_to_async(connections.close_all)()  # those of the thread in which the database is asked


@pytest.fixture
def key(event) -> str:
    return ApiKey.objects.issue(event, "follow")[1]


@pytest.fixture
def started():
    return now().replace(microsecond=0) - timedelta(minutes=2)


def seconds_after(started, number: int):
    return started + timedelta(seconds=number)


async def follow(words: list[str], target: Target, listener: Listener, is_enough=None) -> bool:
    """Follow until all is over, or until enough has come of it."""
    stop = asyncio.Event()
    following = asyncio.create_task(follow_all([Wanted.read(word) for word in words], target, listener.tell, stop))
    async with asyncio.timeout(60):
        while is_enough is not None and not following.done() and not await sync_to_async(is_enough)():
            await asyncio.sleep(0.05)
        if is_enough is not None:
            stop.set()
        return await following


def count_rows() -> int:
    return RawEventRow.objects.count()


@sync_to_async
def stored() -> tuple[list[str], list[str]]:
    """Return the kinds of the raw events in their order, and the pseudonyms of people."""
    rows = RawEventRow.objects.order_by("timestamp", "id")
    return [row.type for row in rows], [row.user for row in rows]


@sync_to_async
def sessions() -> list[Session]:
    return list(Session.objects.order_by("created_at"))


async def test_chat_of_youtube_becomes_a_session_that_ends_with_it(stack, key, started):
    pages = [
        messages([message(1, started), message(2, seconds_after(started, 3), who="bob")], "p2"),
        messages([message(3, seconds_after(started, 9))], "p3"),
        messages([], offlineAt="2026-03-02T10:00:00Z"),
    ]
    listener = Listener()
    with servers.youtube([video()], pages) as server:
        target = Target(stack.url, key, "a key", youtube_server=server.url)
        assert await follow(["youtube:v1"], target, listener)
    [session] = await sessions()
    assert (session.title, session.external_id, session.status) == ("Spring keynote", "youtube:v1", "ended")
    assert session.lateness_seconds == 30
    kinds, people = await stored()
    assert kinds == ["chat"] * 3
    assert listener.told == ["youtube:v1: reading the chat of “Spring keynote”."]
    assert not {"UC-ada", "UC-bob"} & set(people)


async def test_restart_doubles_nothing(stack, key, started):
    page = messages([message(number, seconds_after(started, number)) for number in range(20)], "p2")
    for _ in range(2):
        with servers.youtube([video()], [page, messages([], "p3")]) as server:
            target = Target(stack.url, key, "a key", youtube_server=server.url)
            assert await follow(["youtube:v1"], target, Listener(), lambda: count_rows() == 20)
    assert await sync_to_async(count_rows)() == 20
    assert len(await sessions()) == 1


async def test_chat_whose_session_was_ended_is_followed_no_more(stack, key, started, event):
    await sync_to_async(Session.objects.create)(event=event, title="x", external_id="youtube:v1", status="ended")
    listener = Listener()
    with servers.youtube([video()], [messages([message(1, started)])]) as server:
        target = Target(stack.url, key, "a key", youtube_server=server.url)
        assert await follow(["youtube:v1"], target, listener)
    assert listener.told[-1] == "youtube:v1: its session has ended, so nothing more is posted."
    assert await sync_to_async(count_rows)() == 0


async def test_chat_of_twitch_goes_on_in_its_session_and_begins_another_after_its_end(stack, key, started):
    async def play(first: int, enough: int) -> list[Session]:
        """Follow a chat in which ten messages are written, over two connections."""

        async def script(server, socket, number):
            await server.welcome(socket)
            for each in range(first + 5 * (number - 1), first + 5 * number):
                await socket.send(privmsg(each, seconds_after(started, each), "ada" if each % 2 else "bob") + "\r\n")
            await socket.send(":tmi.twitch.tv RECONNECT\r\n" if number == 1 else "PING :x\r\n")
            await socket.wait_closed()

        async with servers.twitch(script) as server:
            target = Target(stack.url, key, twitch_server=server.url)
            assert await follow(["twitch:Stage"], target, Listener(), lambda: count_rows() == enough)
        return await sessions()

    [session] = await play(0, 10)
    assert session.title == "Twitch: Stage"
    assert session.external_id.startswith("twitch:stage/20")
    _, people = await stored()
    assert len(set(people)) == 2
    assert [each.id for each in await play(20, 20)] == [session.id]
    await sync_to_async(Session.objects.filter(id=session.id).update)(status="ended", ended_at=now())
    first, second = await play(40, 30)
    assert (first.id, second.title) == (session.id, "Twitch: Stage")
    assert await sync_to_async(RawEventRow.objects.filter(session=second).count)() == 10


async def test_more_than_a_request_holds_goes_in_several(stack, key, started):
    many = [message(number, started + timedelta(milliseconds=number)) for number in range(1_500)]
    pages = [messages(many, "p2"), messages([], offlineAt="2026-03-02T10:00:00Z")]
    with servers.youtube([video()], pages) as server:
        target = Target(stack.url, key, "a key", youtube_server=server.url)
        assert await follow(["youtube:v1"], target, Listener())
    assert await sync_to_async(count_rows)() == 1_500


async def test_server_that_is_away_is_waited_for_and_nothing_is_lost(stack, key, started, monkeypatch):
    monkeypatch.setattr(program, "REST_PATIENCE_SECONDS", 0.2)
    page = messages([message(number, seconds_after(started, number)) for number in range(7)], "p2")
    listener = Listener()
    stack.stop("web")
    try:
        with servers.youtube([video()], [page, messages([], "p3")]) as server:
            target = Target(stack.url, key, "a key", youtube_server=server.url)
            following = asyncio.create_task(follow(["youtube:v1"], target, listener, lambda: count_rows() == 7))
            async with asyncio.timeout(30):
                while not any("7 messages wait" in words for words in listener.told):
                    await asyncio.sleep(0.05)
            await sync_to_async(stack.start_web)()
            assert await following
    finally:
        if "web" not in stack.processes:
            await sync_to_async(stack.start_web)()
    assert await sync_to_async(count_rows)() == 7


async def test_chat_that_cannot_be_followed_ends_no_other(stack, key, started):
    pages = [messages([message(1, started)], "p2"), messages([], offlineAt="2026-03-02T10:00:00Z")]
    listener = Listener()
    with servers.youtube([video()], pages) as server:
        target = Target(stack.url, key, "a key", youtube_server=server.url)
        assert not await follow(["twitch:no channel", "youtube:v1"], target, listener)
    assert "twitch:no channel: 'no channel' is no channel of Twitch." in listener.told
    assert await sync_to_async(count_rows)() == 1


async def test_chat_that_nobody_thought_of_ends_no_other(stack, key, started, monkeypatch):
    monkeypatch.setattr(twitch, "connect", Mock(side_effect=RuntimeError("no such thing")))
    pages = [messages([message(1, started)], "p2"), messages([], offlineAt="2026-03-02T10:00:00Z")]
    listener = Listener()
    with servers.youtube([video()], pages) as server:
        target = Target(stack.url, key, "a key", youtube_server=server.url)
        assert not await follow(["twitch:stage", "youtube:v1"], target, listener)
    assert "twitch:stage: it broke (RuntimeError: no such thing)." in listener.told
    assert await sync_to_async(count_rows)() == 1


async def test_session_that_is_told_of_by_signals_is_left_alone(stack, key, started, event):
    """The chat has another one."""
    await sync_to_async(Session.objects.create)(
        event=event, title="x", external_id="twitch:stage/2026", status="live", source="signals"
    )

    async def script(server, socket, number):
        await server.welcome(socket)
        await socket.send(privmsg(1, started) + "\r\n")
        await socket.wait_closed()

    async with servers.twitch(script) as server:
        target = Target(stack.url, key, twitch_server=server.url)
        assert await follow(["twitch:stage"], target, Listener(), lambda: count_rows() == 1)
    assert [each.source for each in await sessions()] == ["signals", "events"]


async def test_key_that_opens_nothing_ends_it(stack, started):
    listener = Listener()
    with servers.youtube([video()], [messages([message(1, started)])]) as server:
        target = Target(stack.url, "ec_unknown", "a key", youtube_server=server.url)
        assert not await follow(["youtube:v1"], target, listener)
    assert "answers 401" in listener.told[-1]


async def test_youtube_needs_a_key(stack, key):
    listener = Listener()
    assert not await follow(["youtube:v1"], Target(stack.url, key), listener)
    assert listener.told == ["youtube:v1: a key of Google's is needed: CONDUCTOR_YOUTUBE_KEY."]


@pytest.mark.parametrize("word", ["", "stage", "twitch:", "vimeo:1"])
def test_what_is_no_chat_is_refused(word):
    with pytest.raises(CannotFollow, match="is no chat"):
        Wanted.read(word)
