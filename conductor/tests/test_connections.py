"""A connection has a minute for a header, however it fills it; in Twisted's own time, so none of ours passes."""

import gc
import subprocess
import sys
import weakref
from collections import deque
from random import Random
from types import SimpleNamespace

import pytest
from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.compress import PerMessageDeflateOffer
from autobahn.websocket.protocol import TrafficStats
from daphne import http_protocol
from daphne.server import Server
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame
from websockets.streams import StreamReader

from conductor import connections
from conductor.asgi import application
from conductor.connections import PatientServer, PatientWebSocket, PunctualChannel, accept_compression, log_nowhere

MINUTE = 60


class Client:
    """One who is connected, and the clock of the server."""

    def __init__(self) -> None:
        self.clock, self.transport = Clock(), StringTransport()
        self.channel = PunctualChannel()
        self.channel.callLater, self.channel.timeOut = self.clock.callLater, MINUTE
        self.channel.makeConnection(self.transport)

    def send(self, text: bytes, seconds_for_each: float = 0) -> None:
        """Send all at once, or a byte every so many seconds, until it is sent or the connection closed."""
        if not seconds_for_each:
            self.channel.dataReceived(text)
            return
        for byte in text:
            if self.is_closed:
                return
            self.channel.dataReceived(bytes([byte]))
            self.clock.advance(seconds_for_each)

    def answer(self) -> None:
        self.channel.requests[0].finish()

    @property
    def is_closed(self) -> bool:
        return self.transport.disconnecting


@pytest.fixture
def client() -> Client:
    return Client()


def test_daphne_uses_it():
    assert application
    assert issubclass(http_protocol.HTTPFactory.protocol, PunctualChannel)
    assert http_protocol.HTTPFactory.log is log_nowhere


@pytest.mark.parametrize("slowly", [b"G" * 100, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"z" * 100])
def test_header_that_trickles_is_cut_off_after_a_minute(client, slowly):
    client.clock.advance(50)

    client.send(slowly, seconds_for_each=1)

    assert client.is_closed
    assert client.clock.seconds() == 50 + MINUTE


def test_who_says_nothing_is_cut_off_after_a_minute(client):
    client.clock.advance(MINUTE - 1)
    assert not client.is_closed
    client.clock.advance(1)
    assert client.is_closed


def test_header_that_takes_less_is_taken_and_its_answer_may_take_long(client):
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", seconds_for_each=1.5)
    client.clock.advance(10 * MINUTE)
    assert not client.is_closed
    assert len(client.channel.requests) == 1


def test_body_may_take_as_long_as_it_moves(client):
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
    client.send(b"12345678", seconds_for_each=MINUTE - 1)
    assert not client.is_closed
    client.clock.advance(1)
    assert client.is_closed


def test_next_request_of_a_connection_has_its_own_minute(client):
    for _ in range(3):
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", seconds_for_each=1)
        client.answer()
        client.clock.advance(MINUTE - 1)
        assert not client.is_closed
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"z" * 100, seconds_for_each=1)
    assert client.is_closed


class Wire:
    """A transport whose kernel takes so many bytes, and then no more; `lost` is what it says when nobody is there."""

    connected, disconnecting, dataBuffer = True, False, b""

    def __init__(self, room: int, lost: Exception | None = None) -> None:
        self.room, self.lost, self.sent, self._tempDataBuffer = room, lost, b"", []

    def writeSomeData(self, data: bytes) -> int | Exception:
        assert not self._tempDataBuffer, "it overtakes what waits"
        if self.lost:
            return self.lost
        taken, self.room = data[: self.room], max(0, self.room - len(data))
        self.sent += taken
        return len(taken)

    def write(self, data: bytes) -> None:
        self._tempDataBuffer.append(data)


DEFLATE, FORGETFUL = (SimpleNamespace(server_no_context_takeover=forgets) for forgets in (False, True))


def socket_on(wire: Wire, compression: object = None) -> PatientWebSocket:
    socket = PatientWebSocket()
    socket._perMessageCompress = compression
    socket.factory, socket.transport, socket.state = WebSocketServerFactory(), wire, PatientWebSocket.STATE_OPEN
    socket.send_queue, socket.trafficStats, socket.logOctets = deque(), TrafficStats(), False
    return socket


@pytest.mark.parametrize("room", [1_000, 14, 5, 0])
def test_frames_go_to_the_kernel_as_far_as_it_takes_them_and_in_order(room):
    wire = Wire(room)
    socket = socket_on(wire)
    socket.serverSend("first frame")
    socket.serverSend("second frame")
    whole = b"\x81\x0bfirst frame\x81\x0csecond frame"
    assert wire.sent == whole[: min(room, len(whole))]
    assert wire.sent + b"".join(wire._tempDataBuffer) == whole


def test_frame_to_nobody_is_left_to_the_transport_to_notice():
    wire = Wire(1_000, lost=ConnectionError())
    socket_on(wire).serverSend("frame")
    assert b"".join(wire._tempDataBuffer) == b"\x81\x05frame"


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("takes_deflate", [False, True])
def test_any_client_reads_what_was_sent_however_long(length, takes_deflate):
    text = "".join(chr(97 + place % 7 + place // 50 % 3) for place in range(length - 1)) + "é" * (length > 0)
    wire = Wire(10**6)
    socket = socket_on(wire, DEFLATE if takes_deflate else None)
    socket.serverSend(text)
    socket.serverSend(text)

    assert read_all(wire.sent, 2, DEFLATE if takes_deflate else None) == [text, text]
    assert not takes_deflate or length < 1_000 or len(wire.sent) < 2 * length / 3


SCREENS = st.lists(st.sampled_from([f"{name}{1_200 * 'ab'}{name * 400}" for name in "pqr"] + [40_000 * "é", "{}"]))


@given(told=st.lists(st.tuples(SCREENS, st.sets(st.integers(0, 2)))))
def test_whoever_missed_what_reads_the_very_texts(told):
    """Three sockets each are sent some of what all are; one forgets what it unpacked, one takes nothing packed."""
    kinds = [DEFLATE, FORGETFUL, None]
    wires = [Wire(10**9) for _ in kinds]
    sockets = [socket_on(wire, kind) for wire, kind in zip(wires, kinds, strict=True)]
    sent = [[] for _ in kinds]
    for texts, listeners in told:
        for text in texts:
            for listener in listeners:
                sockets[listener].serverSend(text)
                sent[listener].append(text)
    for wire, kind, texts in zip(wires, kinds, sent, strict=True):
        assert read_all(wire.sent, len(texts), kind) == texts


def test_what_stood_in_the_frame_before_is_pointed_to_and_packed_once_for_all(monkeypatch):
    random = Random(1)
    words = ["".join(random.choices("abcdefghijklmnop", k=40)) for _ in range(200)]
    first, second = "".join(words), "".join([*words[5:], "new"])
    wires = [Wire(10**6) for _ in range(3)]
    sockets = [socket_on(wire, DEFLATE) for wire in wires]
    for socket in sockets:
        socket.serverSend(first)
    alone = len(wires[0].sent)
    packings = []
    pack = connections.Frame._pack
    monkeypatch.setattr(connections.Frame, "_pack", lambda *args: packings.append(args) or pack(*args))
    for socket in sockets:
        socket.serverSend(second)
    assert alone > 4_000
    assert len(wires[0].sent) - alone < 250
    assert wires[0].sent == wires[1].sent == wires[2].sent
    assert len(packings) == 1


def test_frames_that_nobody_remembers_are_let_go():
    socket = socket_on(Wire(10**7), DEFLATE)
    socket.serverSend("first" + 2_000 * "x")
    forgotten = weakref.ref(socket._unpacked)
    for number in range(3):
        socket.serverSend(f"{number}" + 2_000 * "x")
    gc.collect()
    assert forgotten() is None


def test_bytes_are_sent_by_no_compressor_that_knows_nothing_of_what_went_before(monkeypatch):
    socket = socket_on(Wire(10**6), DEFLATE)
    sent = []
    monkeypatch.setattr(socket, "sendMessage", lambda *args, **options: sent.append((args, options)), raising=False)
    socket.serverSend(b"bytes", binary=True)
    assert sent == [((b"bytes", True), {"doNotCompress": True})]


def test_server_keeps_what_is_loaded_before_it_answers(monkeypatch):
    done = []
    monkeypatch.setattr(connections, "keep_what_is_loaded", lambda: done.append("kept"))
    monkeypatch.setattr(Server, "run", lambda self: done.append("run"))
    PatientServer(application, endpoints=["tcp:port=0"]).run()
    assert done == ["kept", "run"]


def test_what_is_kept_is_all_that_answers():
    code = (
        "import gc, sys, conductor.asgi; from conductor.connections import keep_what_is_loaded; "
        "keep_what_is_loaded(); print('conductor.api.routes' in sys.modules, gc.get_freeze_count() > 100_000)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "True"], "a look through it for garbage would take 100 ms"


def read_all(sent: bytes, count: int, kind: SimpleNamespace | None) -> list[str]:
    """Return the texts that a client reads, which takes them packed as its kind does."""
    extensions = [] if kind is None else [PerMessageDeflate(kind.server_no_context_takeover, False, 15, 15)]
    reader = StreamReader()
    reader.feed_data(sent)
    return [run(Frame.parse(reader.read_exact, mask=False, extensions=extensions)).data.decode() for _ in range(count)]


def run(parsing):
    """Return what a generator that only waits for bytes comes to, as all of them are there."""
    try:
        next(parsing)
    except StopIteration as end:
        return end.value
    raise AssertionError("bytes are missing")


def test_compression_is_taken_on_terms_that_can_be_kept():
    offer = PerMessageDeflateOffer()
    small = PerMessageDeflateOffer(request_max_window_bits=10)
    assert accept_compression([]) is None
    assert accept_compression([small]) is None
    assert accept_compression([small, offer]).offer is offer
    assert accept_compression([offer]).max_message_size == 64 * 1024
