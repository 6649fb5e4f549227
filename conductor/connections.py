"""Connections that are slow on purpose are closed by the web process itself; a socket that is slow is waited for."""

import asyncio
from typing import Any

from autobahn.websocket.protocol import PreparedMessage
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.web.http import HTTPChannel, HTTPFactory, Request


class PunctualChannel(HTTPChannel):
    """A connection as Twisted has it, on which a request's header must be there whole within the time for idle ones.

    Twisted grants all of that time, a minute, again with every byte: a header may take for ever.
    """

    is_header_begun = False

    def resetTimeout(self) -> None:
        if not (self.line_mode and self.is_header_begun):
            self.is_header_begun = bool(self.line_mode)
            super().resetTimeout()

    def setRawMode(self) -> Any:  # the header is whole: a body follows, or the answer
        self.is_header_begun = False
        return super().setRawMode()


class PatientWebSocket(WebSocketProtocol):
    """A socket as daphne has it, which knows when its peer does not read: the transport then holds 64 KiB or more."""

    _written: asyncio.Event | None = None  # there while the transport has too much
    _prepared: tuple[str, PreparedMessage] = "", PreparedMessage(b"", False, False, False)

    def connectionMade(self) -> None:
        super().connectionMade()
        # Until here the transport told the HTTP channel, which would stop reading, pongs and closing frames included.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        if self._written is None:
            self._written = asyncio.Event()

    def resumeProducing(self) -> None:
        if self._written is not None:
            self._written.set()
            self._written = None
        if getattr(self.transport, "disconnecting", False):
            self.transport.unregisterProducer()  # else the transport waits for more before it closes

    def stopProducing(self) -> None:
        self.resumeProducing()

    async def written(self) -> None:
        """Return as soon as there is room for more."""
        if self._written is not None:
            await self._written.wait()

    def serverSend(self, content: str | bytes, binary: bool = False) -> None:
        """Send what was sent to another socket just now as the very bytes of that."""
        if binary or isinstance(content, bytes):
            super().serverSend(content, binary)
            return
        text, message = PatientWebSocket._prepared
        if text is not content:
            message = self.factory.prepareMessage(content.encode())
            PatientWebSocket._prepared = content, message
        self._send_at_once(message.payloadHybi)

    def _send_at_once(self, frame: bytes) -> None:
        """Hand a frame to the kernel; what has no room there waits in the transport, behind what waits already.

        Twisted would ask its reactor for a turn for each frame, which costs more than the sending.
        """
        transport = self.transport
        is_idle = transport.connected and not (
            transport.disconnecting or transport.dataBuffer or transport._tempDataBuffer
        )
        if is_idle and self.state == self.STATE_OPEN:
            sent = transport.writeSomeData(frame)
            frame = frame[sent:] if isinstance(sent, int) else frame  # a loss is noticed by whoever writes next
        if frame:
            self.sendData(frame)

    def serverClose(self, code: int | None = None) -> None:
        # `sendClose` refuses 1012 and 1013, which are for servers and newer than itself.
        self.sendCloseFrame(code=1000 if code is None else code)


class PatientServer(Server):
    """daphne, where to send over a socket takes until there is room for more, as ASGI has it."""

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        if message["type"] == "websocket.send" and isinstance(protocol, PatientWebSocket):
            await protocol.written()


def log_nowhere(factory: HTTPFactory, request: Request) -> None:
    """Write no line of a request, as Twisted would for a log that daphne does not keep; daphne's own is another."""
