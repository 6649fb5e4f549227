"""A chat of Twitch, read from a server that speaks as it does."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.platforms.follow import twitch
from conductor.platforms.follow.chat import CannotFollow, Said
from conductor.tests.platforms.follow import servers
from conductor.tests.platforms.follow.servers import Listener, at, privmsg


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture(autouse=True)
def quick_pauses(monkeypatch):
    monkeypatch.setattr(twitch, "FIRST_PAUSE_SECONDS", 0.01)


async def follow_until(is_enough, listener, server, channel="Stage") -> None:
    """Follow until enough was heard, and stop."""
    following = asyncio.create_task(twitch.follow(channel, listener.take, listener.tell, server.url))
    async with asyncio.timeout(20):
        while not is_enough() and not following.done():
            await asyncio.sleep(0.01)
    following.cancel()
    try:
        await following
    except asyncio.CancelledError:
        return


async def stay(socket) -> None:
    await socket.wait_closed()


async def test_what_is_written_is_told_without_its_words(listener):
    async def script(server, socket, number):
        await server.welcome(socket)
        await socket.send(privmsg(1, at(0)) + "\r\n" + privmsg(2, at(0.5), "bob", text="a : b") + "\r\n")
        await stay(socket)

    async with servers.twitch(script) as server:
        await follow_until(lambda: len(listener.said) == 2, listener, server)
    assert listener.said == [Said("chat", at(0), "id-ada", "m-1"), Said("chat", at(0.5), "id-bob", "m-2")]
    assert listener.told == ["reading #stage"]
    [lines] = server.heard
    assert lines[0] == "CAP REQ :twitch.tv/tags twitch.tv/commands"
    assert lines[1].startswith("NICK justinfan")
    assert lines[2] == "JOIN #stage"


async def test_ping_is_answered_with_what_it_says(listener):
    async def script(server, socket, number):
        await server.welcome(socket)
        await socket.send("PING :tmi.twitch.tv\r\n")
        await stay(socket)

    async with servers.twitch(script) as server:
        await follow_until(
            lambda: "PONG :tmi.twitch.tv" in server.heard[-1:][0] if server.heard else False, listener, server
        )
        assert server.heard[0][-1] == "PONG :tmi.twitch.tv"


async def test_reconnect_is_done_as_asked_and_nothing_of_the_frame_is_lost(listener):
    async def script(server, socket, number):
        await server.welcome(socket)
        await socket.send(privmsg(number, at(number)) + "\r\n:tmi.twitch.tv RECONNECT\r\n")
        await stay(socket)

    async with servers.twitch(script) as server:
        await follow_until(lambda: len(listener.said) == 3, listener, server)
    assert [each.id for each in listener.said] == ["m-1", "m-2", "m-3"]
    assert listener.told[1] == "Twitch asks to connect again; connecting again in 0.01 s"


async def test_connection_that_breaks_off_is_made_again_after_longer_and_longer_pauses(listener):
    async def script(server, socket, number):
        if number == 4:
            await server.welcome(socket)
            await socket.send(privmsg(1, at(0)) + "\r\n")
            await stay(socket)
        await socket.close()

    async with servers.twitch(script) as server:
        await follow_until(lambda: bool(listener.said), listener, server)
    pauses = [words.rpartition(" in ")[2] for words in listener.told[:3]]
    assert pauses == ["0.01 s", "0.02 s", "0.04 s"]


async def test_server_that_is_away_is_waited_for(listener):
    async def script(server, socket, number):
        raise AssertionError("nobody comes")

    async with servers.twitch(script) as server:
        pass
    await follow_until(lambda: len(listener.told) == 2, listener, server)
    assert all(words.startswith("the connection broke off") for words in listener.told)


async def test_channel_that_is_not_known_is_told(listener, monkeypatch):
    monkeypatch.setattr(twitch, "JOIN_SECONDS", 0.05)

    async def script(server, socket, number):
        await stay(socket)

    async with servers.twitch(script) as server:
        await follow_until(lambda: bool(listener.told), listener, server)
    assert listener.told[0].startswith("Twitch does not say that it knows #stage")


async def test_guests_that_are_not_taken_end_it(listener):
    async def script(server, socket, number):
        await socket.send(":tmi.twitch.tv NOTICE * :Login authentication failed\r\n")
        await stay(socket)

    async with servers.twitch(script) as server:
        with pytest.raises(CannotFollow, match="takes no guests"):
            await twitch.follow("stage", listener.take, listener.tell, server.url)


@pytest.mark.parametrize("channel", ["", "two words", "schön", "x" * 26, "a,b"])
async def test_channel_that_is_none_is_refused(listener, channel):
    with pytest.raises(CannotFollow, match="no channel"):
        await twitch.follow(channel, listener.take, listener.tell)


async def test_address_that_is_none_is_refused(listener):
    with pytest.raises(CannotFollow, match="no address"):
        await twitch.follow("stage", listener.take, listener.tell, "http://127.0.0.1/")


@pytest.mark.parametrize(
    "line",
    [
        ":tmi.twitch.tv 353 me = #stage :me",
        "@id=1 :a!a@a PRIVMSG #stage :no time",
        "@tmi-sent-ts=x;id=1 :a!a@a PRIVMSG #stage :x",
        privmsg(1, at(0), channel="elsewhere"),
        privmsg(1, at(0)).replace("id=m-1", "id="),
        "@msg-id=resub;id=1;tmi-sent-ts=1772442000000 :tmi.twitch.tv USERNOTICE #stage :words",
        "",
        "@",
        ":",
        "@a :b",
    ],
)
async def test_what_nobody_wrote_in_the_room_is_passed_over(listener, line):
    async def script(server, socket, number):
        await server.welcome(socket)
        await socket.send(line + "\r\n")
        await socket.send(privmsg(9, at(9)) + "\r\n")
        await stay(socket)

    async with servers.twitch(script) as server:
        await follow_until(lambda: bool(listener.said), listener, server)
    assert [each.id for each in listener.said] == ["m-9"]


@given(st.text())
def test_any_line_is_read(text):
    line = twitch.read_line(text)
    assert isinstance(line.command, str)
