"""Follow a chat of Twitch: IRC over a WebSocket, as a guest who reads.

Twitch tells what is written and by whom. Who watches, and when a stream begins or ends, it does not tell there, so that
stays unknown.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import randrange
from time import monotonic

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from conductor.platforms.follow.chat import CannotFollow, Pause, Said, Take, Tell
from conductor.platforms.told import from_milliseconds

SERVER = "wss://irc-ws.chat.twitch.tv:443"
CHANNEL = re.compile(r"[a-z0-9_]{1,25}", re.ASCII)
MAX_LINES = 1024 * 1024  # bytes of one frame
JOIN_SECONDS = 15.0  # a channel that is not there is answered with nothing
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
LASTING_SECONDS = 30.0  # a connection that held for so long was no failure
ESCAPED = re.compile(r"\\(.?)")
ESCAPES = {":": ";", "s": " ", "\\": "\\", "r": "\r", "n": "\n"}


@dataclass(frozen=True, slots=True)
class Line:
    """A message of IRC with its tags."""

    command: str
    parameters: list[str]
    tags: Mapping[str, str]
    nick: str


def read_line(text: str) -> Line:
    r"""Return what a line says, an empty command where it says nothing.

    >>> line = read_line("@id=a1;user-id=7;system-msg=a\\sb :ada!ada@ada.tmi.twitch.tv PRIVMSG #room :hello : world")
    >>> line.command, line.parameters, line.tags["user-id"], line.tags["system-msg"], line.nick
    ('PRIVMSG', ['#room', 'hello : world'], '7', 'a b', 'ada')
    >>> read_line("PING :tmi.twitch.tv"), read_line("").command
    (Line(command='PING', parameters=['tmi.twitch.tv'], tags={}, nick=''), '')
    """
    tags, nick = {}, ""
    if text.startswith("@"):
        told, _, text = text[1:].partition(" ")
        tags = dict(_tag(each) for each in told.split(";"))
    if text.startswith(":"):
        source, _, text = text[1:].partition(" ")
        nick = source.partition("!")[0]
    head, colon, last = text.partition(" :")
    command, *parameters = head.split() or [""]
    return Line(command, parameters + ([last] if colon else []), tags, nick)


def _tag(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, ESCAPED.sub(lambda found: ESCAPES.get(found[1], found[1]), value)


async def follow(channel: str, take: Take, tell: Tell, server: str = SERVER) -> None:
    """Take what is written in a channel for as long as we are let, over one connection after the other.

    Raises `CannotFollow`.
    """
    channel = channel.lower().removeprefix("#")
    if not CHANNEL.fullmatch(channel):
        raise CannotFollow(f"{channel!r} is no channel of Twitch")
    pause = Pause(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    while True:
        started = monotonic()
        try:
            async with connect(server, max_size=MAX_LINES) as socket:
                reason = await _Guest(socket, channel, take, tell).stay()
        except InvalidURI:
            raise CannotFollow(f"{server!r} is no address of a WebSocket") from None
        except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake) as error:
            reason = f"the connection broke off ({type(error).__name__})"
        if monotonic() - started >= LASTING_SECONDS:
            pause.reset()
        seconds = pause.take()
        tell(f"{reason}; connecting again in {seconds:g} s")
        await asyncio.sleep(seconds)


class _Guest:
    """One connection, under a name that Twitch gives to whoever only reads."""

    def __init__(self, socket: ClientConnection, channel: str, take: Take, tell: Tell) -> None:
        self._socket, self._take, self._tell = socket, take, tell
        self._room = f"#{channel}"
        self._nick = f"justinfan{randrange(10_000, 100_000)}"
        self._has_joined = False

    async def stay(self) -> str:
        """Read until we are to connect again; return why. Raises `CannotFollow` where Twitch wants no guests."""
        await self._send("CAP REQ :twitch.tv/tags twitch.tv/commands", f"NICK {self._nick}", f"JOIN {self._room}")
        joined_by = asyncio.get_running_loop().time() + JOIN_SECONDS
        while True:
            try:
                async with asyncio.timeout_at(None if self._has_joined else joined_by):
                    frame = await self._socket.recv()
            except TimeoutError:
                return f"Twitch does not say that it knows {self._room}"
            text = frame if isinstance(frame, str) else frame.decode(errors="replace")
            if reason := await self._read([read_line(line) for line in text.splitlines()]):
                return reason

    async def _read(self, lines: list[Line]) -> str:
        """Take what a frame holds; return why to connect again, or nothing."""
        said = [each for each in map(self._said, lines) if each is not None]
        if said:
            await self._take(said)
        for line in lines:
            match line.command:
                case "PING":
                    await self._send(f"PONG :{line.parameters[-1] if line.parameters else ''}")
                case "JOIN" if line.nick == self._nick:
                    self._has_joined = True
                    self._tell(f"reading {self._room}")
                case "RECONNECT":
                    return "Twitch asks to connect again"
                case "NOTICE" if not self._has_joined and "authentication failed" in line.parameters[-1].lower():
                    raise CannotFollow("Twitch takes no guests")
        return ""

    def _said(self, line: Line) -> Said | None:
        """Return what somebody wrote in the room; None where a line is none of that, or nobody's."""
        if line.command != "PRIVMSG" or line.parameters[:1] != [self._room]:
            return None
        stamp, id_ = line.tags.get("tmi-sent-ts", ""), line.tags.get("id", "")
        at = from_milliseconds(int(stamp)) if stamp.isascii() and stamp.isdigit() else None
        return None if at is None or not id_ else Said("chat", at, line.tags.get("user-id") or line.nick, id_)

    async def _send(self, *lines: str) -> None:
        for line in lines:
            await self._socket.send(line)
