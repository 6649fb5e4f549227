"""Servers that speak as Twitch's and YouTube's do, on this machine."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve

from conductor.platforms.follow.chat import Said
from engagement.moments import EPOCH, write_moment

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def privmsg(number: int, moment: datetime, who: str = "ada", channel: str = "stage", text: str = "hello") -> str:
    stamp = (moment - EPOCH) // timedelta(milliseconds=1)
    tags = f"@badge-info=;color=#0000FF;display-name={who};id=m-{number};tmi-sent-ts={stamp};user-id=id-{who};mod=0"
    return f"{tags} :{who}!{who}@{who}.tmi.twitch.tv PRIVMSG #{channel} :{text}"


Script = Callable[[ServerConnection, int], "asyncio.Future[None]"]


@dataclass
class Twitch:
    """A server that welcomes guests as Twitch does, and then does what a script says on each connection in turn."""

    script: Callable[..., object]
    url: str = ""
    heard: list[list[str]] = field(default_factory=list)  # of each connection, its lines

    async def answer(self, socket: ServerConnection) -> None:
        lines: list[str] = []
        self.heard.append(lines)
        number = len(self.heard)
        listening = asyncio.create_task(self._listen(socket, lines))
        try:
            while not any(line.startswith("JOIN ") for line in lines):
                await asyncio.sleep(0.01)
            await self.script(self, socket, number)
        finally:
            listening.cancel()

    async def welcome(self, socket: ServerConnection) -> None:
        lines = self.heard[-1]
        nick = next(line.split()[1] for line in lines if line.startswith("NICK "))
        room = next(line.split()[1] for line in lines if line.startswith("JOIN "))
        await socket.send(":tmi.twitch.tv CAP * ACK :twitch.tv/tags twitch.tv/commands\r\n")
        await socket.send(f":tmi.twitch.tv 001 {nick} :Welcome, GLHF!\r\n")
        await socket.send(f":{nick}!{nick}@{nick}.tmi.twitch.tv JOIN {room}\r\n")

    async def _listen(self, socket: ServerConnection, lines: list[str]) -> None:
        async for text in socket:
            lines += str(text).splitlines()


@asynccontextmanager
async def twitch(script: Callable[..., object]) -> AsyncIterator[Twitch]:
    found = Twitch(script)
    async with serve(found.answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found.url = f"ws://127.0.0.1:{port}"
        yield found


def video(chat: str = "chat-1", **details: str) -> dict[str, object]:
    live = ({"activeLiveChatId": chat} if chat else {}) | details
    return {"items": [{"id": "v1", "snippet": {"title": "Spring keynote"}, "liveStreamingDetails": live}]}


def message(number: int, moment: datetime, kind: str = "textMessageEvent", who: str = "ada") -> dict[str, object]:
    snippet = {"type": kind, "liveChatId": "chat-1", "authorChannelId": f"UC-{who}", "displayMessage": "secret words"}
    snippet |= {"publishedAt": write_moment(moment)}
    return {"kind": "youtube#liveChatMessage", "id": f"LCC.{number}", "snippet": snippet}


def messages(items: Sequence[object], page: str = "next", milliseconds: int = 10, **more: object) -> dict[str, object]:
    return {"items": list(items), "nextPageToken": page, "pollingIntervalMillis": milliseconds} | more


def refused(status: int, reason: str) -> tuple[int, dict[str, object]]:
    return status, {"error": {"code": status, "message": "…", "errors": [{"reason": reason, "domain": "youtube"}]}}


Answer = dict[str, object] | tuple[int, object]


@dataclass
class YouTube:
    """A server that gives its answers one after the other, the last one again and again."""

    answers: dict[str, list[Answer]]
    url: str = ""
    asked: list[tuple[str, dict[str, str], str]] = field(default_factory=list)  # path, query, key

    def answer(self, path: str, query: dict[str, str], key: str) -> tuple[int, object]:
        self.asked.append((path, query, key))
        waiting = self.answers[path]
        found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return found if isinstance(found, tuple) else (200, found)


@contextmanager
def youtube(videos: list[Answer], chat: list[Answer]) -> Iterator[YouTube]:
    found = YouTube({"/videos": videos, "/liveChat/messages": chat})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            status, document = found.answer(address.path, query, self.headers.get("X-Goog-Api-Key", ""))
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Listener:
    """Takes what a chat tells, and what is told of it."""

    said: list[Said] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    async def take(self, said: list[Said]) -> None:
        self.said += said

    def tell(self, words: str) -> None:
        self.told.append(words)
