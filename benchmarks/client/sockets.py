"""WebSockets that listen: `websockets` reads the frames, and nothing but a clock is asked when one is there."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

HOST = "127.0.0.1"
OPENING_AT_ONCE = 16
OPENING_SECONDS = 120.0

OnFrame = Callable[[int, float, bytes], None]  # which socket, when, and what


class Listener(asyncio.Protocol):
    """One socket. Its frames are read without a task or a queue for each, which a thousand would have to wait for."""

    transport: asyncio.Transport

    def __init__(self, number: int, uri: str, headers: Mapping[str, str], on_frame: OnFrame):
        self._number, self._headers, self._on_frame = number, headers, on_frame
        self._protocol = ClientProtocol(parse_uri(uri), max_size=None)
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        request = self._protocol.connect()
        request.headers.update(self._headers)
        self._protocol.send_request(request)
        self._write()

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._write()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._tell(event)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._on_frame(self._number, time.perf_counter(), bytes(event.data))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionResetError("the socket was closed before it was open"))

    def _tell(self, answer: Response) -> None:
        if self._protocol.handshake_exc is not None:
            self.opened.set_exception(self._protocol.handshake_exc)
        elif not self.opened.done():
            self.opened.set_result(None)

    def _write(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.transport.write(data)


async def open_all(port: int, paths: Sequence[str], headers: Mapping[str, str], on_frame: OnFrame) -> list[Listener]:
    """Open a socket for each path, a few at once. Raises what the first one that fails met."""
    free = asyncio.Semaphore(OPENING_AT_ONCE)

    async def open_one(number: int, path: str) -> Listener:
        async with free:
            uri = f"ws://{HOST}:{port}{path}"
            loop = asyncio.get_running_loop()
            _, listener = await loop.create_connection(lambda: Listener(number, uri, headers, on_frame), HOST, port)
            await asyncio.wait_for(listener.opened, OPENING_SECONDS)
            return listener

    return await asyncio.gather(*(open_one(number, path) for number, path in enumerate(paths)))
