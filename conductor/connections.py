"""Connections that are slow on purpose are closed by the web process itself; a socket that is slow is waited for."""

import asyncio
import struct
import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.web.http import HTTPChannel, HTTPFactory, Request

TEXT, COMPRESSED = 0x81, 0x40  # the first byte of a frame that is a whole text
TAIL = b"\x00\x00\xff\xff"  # of every flush, and left out
PACKING = 1  # the quickest: a third of a millisecond for a screen, which it makes a third as long
LEAST_PACKED = 1_000
MOST_HEARD = 64 * 1024  # bytes of a message to us, unpacked: pages say hardly anything


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


def accept_compression(offers: Sequence[object]) -> PerMessageDeflateOfferAccept | None:
    """Return on what terms messages are compressed (RFC 7692), None where the peer offers none that we can keep."""
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer) and offer.request_max_window_bits in (0, zlib.MAX_WBITS):
            return PerMessageDeflateOfferAccept(offer, max_message_size=MOST_HEARD)
    return None


class Frame:
    """A text as it goes over sockets: plain, or packed for those that take it. Either is made once for all of them."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def plain(self) -> bytes:
        return _frame(TEXT, self.text.encode())

    @cached_property
    def packed(self) -> bytes:
        """The frame, compressed with nothing remembered of those before it; plain where that is not worth it."""
        payload = self.text.encode()
        if len(payload) < LEAST_PACKED:
            return self.plain
        deflate = zlib.compressobj(PACKING, zlib.DEFLATED, -zlib.MAX_WBITS)
        return _frame(TEXT | COMPRESSED, (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)])


def _frame(first: int, payload: bytes) -> bytes:
    """Return one whole message as RFC 6455 frames it."""
    length = len(payload)
    if length < 126:
        return struct.pack("!BB", first, length) + payload
    if length < 2**16:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


class PatientWebSocket(WebSocketProtocol):
    """A socket as daphne has it, which knows when its peer does not read: the transport then holds 64 KiB or more."""

    perMessageCompressionAccept = staticmethod(accept_compression)

    _written: asyncio.Event | None = None  # there while the transport has too much
    _frame = Frame("")  # the newest, whoever it went to

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
        if self._frame.text is not content:
            PatientWebSocket._frame = Frame(content)
        self._send_at_once(self._frame.plain if self._perMessageCompress is None else self._frame.packed)

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
