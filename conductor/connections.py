"""Connections that are slow on purpose are closed by the web process itself; a socket that is slow is waited for."""

import asyncio
import gc
import struct
import zlib
from collections.abc import MutableMapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from django.conf import settings
from twisted.web.http import HTTPChannel, HTTPFactory, Request

TEXT, COMPRESSED = 0x81, 0x40  # the first byte of a frame that is a whole text
TAIL = b"\x00\x00\xff\xff"  # of every flush, and left out
PACKING = 3  # a seventh of a millisecond for a push behind another: half as long as what 1 makes of it, for as much
LEAST_PACKED = 1_000
WINDOW = 1 << zlib.MAX_WBITS  # bytes that a peer remembers of what it unpacked
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
    """A text as it goes over sockets: plain, or packed for those that take it. Each is made once for all of them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._packed: MutableMapping[Frame, bytes] = WeakKeyDictionary()  # by the frame that a peer unpacked last

    @cached_property
    def plain(self) -> bytes:
        return _frame(TEXT, self.text.encode())

    @cached_property
    def is_worth_packing(self) -> bool:
        return len(self.text) >= LEAST_PACKED

    def packed_after(self, before: "Frame") -> bytes:
        """Return the frame for peers that unpacked another one last: what stands in that one, too, is pointed to.

        A peer's window goes further back; but whoever read the same frame last can be sent the same bytes.
        """
        packed = self._packed.get(before)
        if packed is None:
            packed = self._packed[before] = self._pack(before._window)
        return packed

    @cached_property
    def _window(self) -> bytes:
        return self.text.encode()[-WINDOW:]

    def _pack(self, window: bytes) -> bytes:
        deflate = zlib.compressobj(PACKING, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=window)
        payload = deflate.compress(self.text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
        return _frame(TEXT | COMPRESSED, payload[: -len(TAIL)])


NOTHING = Frame("")  # what a peer has unpacked at first


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
    _frame = NOTHING  # the newest, whoever it went to
    _unpacked = NOTHING  # the one that this peer unpacked last: it remembers it

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
            self.sendMessage(content, binary, doNotCompress=True)  # else by a compressor that knows nothing of ours
            return
        if self._frame.text is not content:
            PatientWebSocket._frame = Frame(content)
        self._send_at_once(self._as_taken(self._frame))

    def _as_taken(self, frame: Frame) -> bytes:
        """Return the bytes of a frame as this peer takes it; it is the next that is sent."""
        compression = self._perMessageCompress
        if compression is None or not frame.is_worth_packing:
            return frame.plain
        packed = frame.packed_after(self._unpacked)
        if not compression.server_no_context_takeover:  # else it is to forget what it unpacked
            self._unpacked = frame
        return packed

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
    """daphne, where to send over a socket takes until there is room for more, as ASGI has it; see also `run`."""

    def run(self) -> None:
        keep_what_is_loaded()
        super().run()

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        if message["type"] == "websocket.send" and isinstance(protocol, PatientWebSocket):
            await protocol.written()


def keep_what_is_loaded() -> None:
    """Load all that answers, and look through it for garbage never again: each time stops all requests for 100 ms."""
    import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()


def log_nowhere(factory: HTTPFactory, request: Request) -> None:
    """Write no line of a request, as Twisted would for a log that daphne does not keep; daphne's own is another."""
