"""Plain posts go past Twisted; what is odd in any way does not, and nobody hears the difference."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from unittest.mock import Mock

import pytest
from daphne import http_protocol
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.http import Request

from conductor.asgi import door
from conductor.posting.committer import NotStored, Outcome
from conductor.posting.door import Accepted, Begun
from conductor.posting.express import ExpressChannel, express_lane, read_plain
from conductor.tests.rest import Rest, signals
from engagement.ingest import Recorded
from engagement.models import EngagementRow

ADDRESS = "/api/v1/sessions/0c2f7d1e-0000-4000-8000-000000000000/signals"
HEADERS = {"Host": "localhost", "Authorization": "Bearer ec_x", "Content-Type": "application/json"}
MINUTE = 60


def request(body: bytes = b"{}", path: str = ADDRESS, **changes: str | None) -> bytes:
    headers = HEADERS | {"Content-Length": str(len(body))}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
    return f"POST {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + body


def test_connection_that_is_kept_is_a_plain_one():
    assert read_plain(request(Connection="keep-alive"))


def test_plain_request_is_read():
    plain = read_plain(request())
    assert (plain.path, plain.body) == (ADDRESS, b"{}")
    assert plain.headers == [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()] + [
        (b"content-length", b"2")
    ]


PLAIN = request()
ODD = {
    "another method": PLAIN.replace(b"POST", b"PUT"),
    "another version": PLAIN.replace(b"1.1", b"1.0"),
    "a query": request(path=f"{ADDRESS}?x"),
    "an encoded path": request(path=ADDRESS.replace("a", "%61")),
    "a whole address": request(path="http://localhost" + ADDRESS),
    "a fragment": request(path=f"{ADDRESS}#x"),
    "no length": request(Content_Length=None),
    "a longer body": PLAIN + b"}",
    "a shorter body": PLAIN[:-1],
    "a second request": PLAIN + PLAIN,
    "a second length": PLAIN.replace(b"Host", b"Content-Length: 2\r\nHost"),
    "another second length": PLAIN.replace(b"Host", b"Content-Length: 0\r\nHost"),
    "a list of lengths": request(Content_Length="2, 2"),
    "a signed length": request(Content_Length="+2"),
    "a padded length": request(Content_Length="02"),
    "a length in hexadecimal": request(Content_Length="0x2"),
    "chunks": request(Transfer_Encoding="chunked"),
    "chunks of no length": request(Content_Length=None, Transfer_Encoding="chunked"),
    "chunks by an odd name": PLAIN.replace(b"Host", b"Transfer-Encoding : chunked\r\nHost"),
    "chunks on a line that goes on": PLAIN.replace(b"Host", b"X: y\r\n Transfer-Encoding: chunked\r\nHost"),
    "an expectation": request(Expect="100-continue"),
    "an upgrade": request(Upgrade="websocket", Connection="Upgrade"),
    "a connection that closes": request(Connection="close"),
    "a connection that is more than kept": request(Connection="keep-alive, close"),
    "a path of daphne's": request(Daphne_Root_Path="/x"),
    "no host": request(Host=None),
    "two hosts": PLAIN.replace(b"Host", b"Host: elsewhere\r\nHost"),
    "an underscore": PLAIN.replace(b"Host", b"X_Forwarded_Proto: https\r\nHost"),
    "bare line feeds": PLAIN.replace(b"\r\n", b"\n"),
    "one bare line feed": PLAIN.replace(b"Host", b"X: y\nHost"),
    "a bare carriage return": PLAIN.replace(b"Host", b"X: y\rHost"),
    "a NUL": PLAIN.replace(b"localhost", b"local\0host"),
    "a tab": PLAIN.replace(b"Host: ", b"Host:\t"),
    "no space": PLAIN.replace(b"Host: ", b"Host:"),
    "two spaces": PLAIN.replace(b"Host: ", b"Host:  "),
    "a space at the end": PLAIN.replace(b"localhost", b"localhost "),
    "a space before": PLAIN.replace(b"Host", b" Host"),
    "an empty value": PLAIN.replace(b"Host", b"X: \r\nHost"),
    "an empty name": PLAIN.replace(b"Host", b": x\r\nHost"),
    "bytes beyond ASCII": PLAIN.replace(b"localhost", b"localh\xf6st"),
    "a line break before": b"\r\n" + PLAIN,
    "a header that is long": request(X="y" * 8_000),
    "half a header": PLAIN[:40],
    "nothing": b"",
}  # fmt: skip
odd = pytest.mark.parametrize("data", ODD.values(), ids=ODD)


@odd
def test_request_that_is_odd_in_any_way_is_not_read(data):
    assert read_plain(data) is None


class Lane:
    """A connection, and a door that takes everything and tells what we say."""

    def __init__(self) -> None:
        self.taken: list[asyncio.Future] = []
        self.declined: dict[tuple, NotStored] = {}
        self.clock, self.transport = Clock(), StringTransport()
        self.channel: ExpressChannel = express_lane(self)()
        self.channel.callLater, self.channel.timeOut = self.clock.callLater, MINUTE
        self.server = Mock(proxy_forwarded_address_header=None, root_path="", server_name="daphne")
        self.channel.factory = Mock(server=self.server)
        self.made: list[Request] = []
        self.is_heard_out = False
        self.channel.requestFactory = self.make
        self.channel.makeConnection(self.transport)

    def begin(self, scope, body) -> Begun:
        self.taken.append(asyncio.get_running_loop().create_future())
        accepted = Accepted(((b"Content-Type", b"application/json"),), b"Content-Length", ((b"Vary", b"X"),), "route")
        return Begun(accepted, self.taken[-1], self.declined.__setitem__, self.is_heard_out)

    async def tell(self, outcome: Outcome) -> None:
        self.taken[-1].set_result(outcome)
        await asyncio.sleep(0)

    def make(self, *args: object, **options: object) -> Request:
        self.made.append(Request(*args, **options))
        return self.made[-1]

    @property
    def ordinary(self) -> list:
        """The requests that Twisted sees to."""
        return self.channel.requests


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    lane = Lane()
    yield lane
    for each in lane.made:
        if each.content:
            each.content.close()


ANSWER = (
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 43\r\nVary: X\r\n"
    b"Server: daphne\r\n\r\n"
    b'{"accepted": 1, "duplicates": 0, "late": 0}'
)


async def test_plain_requests_are_answered_one_after_the_other(lane):
    for number in range(1, 4):
        lane.channel.dataReceived(PLAIN)
        assert (len(lane.taken), lane.ordinary) == (number, [])
        await lane.tell(Recorded(1, 0, 0))
        assert lane.transport.value() == ANSWER * number
        assert lane.server.log_action.call_count == number


@odd
async def test_odd_request_is_for_twisted(lane, data):
    lane.channel.dataReceived(data)
    assert not lane.taken


async def test_request_that_comes_in_pieces_is_for_twisted(lane):
    for byte in range(len(PLAIN)):
        lane.channel.dataReceived(PLAIN[byte : byte + 1])
    assert not lane.taken
    assert [each.content.read() for each in lane.ordinary] == [b"{}"]


async def test_plain_request_behind_half_a_one_is_part_of_it(lane):
    lane.channel.dataReceived(request(body=b"", Content_Length=str(len(PLAIN))))
    lane.channel.dataReceived(PLAIN)
    assert not lane.taken
    assert [each.content.read() for each in lane.ordinary] == [PLAIN]


async def test_plain_request_behind_another_header_is_part_of_it(lane):
    lane.channel.dataReceived(b"POST / HTTP/1.1\r\nX: ")
    lane.channel.dataReceived(PLAIN)
    assert not lane.taken


async def test_tab_that_is_closed_is_heard_all_the_same(lane):
    """A browser that is left says so and waits for no answer, and it says so once."""
    lane.is_heard_out = True
    lane.channel.dataReceived(PLAIN)
    lane.channel.connectionLost(Failure(ConnectionDone()))
    assert not lane.taken[0].cancelled()
    await lane.tell(Recorded(1, 0, 0))
    assert lane.transport.value() == b""
    assert lane.server.log_action.call_count == 0


async def test_what_comes_while_one_is_stored_waits_its_turn(lane):
    lane.channel.dataReceived(PLAIN)
    lane.channel.dataReceived(PLAIN + PLAIN[:30])
    assert (len(lane.taken), lane.ordinary) == (1, [])

    await lane.tell(Recorded(1, 0, 0))

    assert lane.transport.value() == ANSWER
    assert len(lane.ordinary) == 1, "the next one, by Twisted"
    assert lane.channel._dataBuffer == [PLAIN[:30]]


async def test_who_sends_on_and_on_meanwhile_is_not_read_any_more(lane):
    lane.channel.dataReceived(PLAIN)
    lane.channel.dataReceived(b"x" * 100_000)
    assert lane.transport.producerState == "paused"
    await lane.tell(Recorded(1, 0, 0))
    assert lane.transport.value().startswith(ANSWER)


async def test_request_that_is_not_taken_after_all_goes_the_ordinary_way(lane):
    lane.channel.dataReceived(PLAIN)
    lane.channel.dataReceived(PLAIN)

    await lane.tell(NotStored.DJANGO)

    assert lane.transport.value() == b""
    assert [each.content.read() for each in lane.ordinary] == [b"{}"]
    assert b"".join(lane.channel._dataBuffer) == PLAIN
    assert lane.declined == {(lane.transport.getPeer().host, lane.transport.getPeer().port): NotStored.DJANGO}


async def test_connection_that_goes_takes_its_post_with_it(lane):
    lane.channel.dataReceived(PLAIN)
    lane.channel.connectionLost(Failure(ConnectionDone()))
    assert lane.taken[0].cancelled()
    await asyncio.sleep(0)
    assert lane.transport.value() == b""


async def test_answer_may_take_its_time_and_the_next_request_has_a_minute(lane):
    lane.channel.dataReceived(PLAIN)
    lane.clock.advance(10 * MINUTE)
    assert not lane.transport.disconnecting
    await lane.tell(Recorded(1, 0, 0))
    lane.clock.advance(MINUTE - 1)
    assert not lane.transport.disconnecting
    lane.clock.advance(1)
    assert lane.transport.disconnecting


@pytest.mark.parametrize("setting", [{"root_path": "/x"}, {"proxy_forwarded_address_header": "X-Forwarded-For"}])
async def test_server_that_looks_at_more_is_twisteds(lane, setting):
    lane.server.configure_mock(**setting)
    lane.channel.dataReceived(PLAIN)
    assert not lane.taken


def test_daphne_uses_it():
    assert issubclass(http_protocol.HTTPFactory.protocol, ExpressChannel)
    assert http_protocol.HTTPFactory.protocol.door is door


class Wire:
    """A connection to the running product, byte by byte."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.kept = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> bytes:
        """Return the next answer, all bytes of it."""
        while b"\r\n\r\n" not in self.kept:
            self._receive()
        head, _, _ = self.kept.partition(b"\r\n\r\n")
        [length] = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-len")]
        while len(self.kept) < len(head) + 4 + length:
            self._receive()
        end = len(head) + 4 + length
        found, self.kept = self.kept[:end], self.kept[end:]
        return found

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        assert data, "the connection was closed"
        self.kept += data


@pytest.fixture
def wire(stack) -> Iterator[Wire]:
    wire = Wire(stack.url)
    yield wire
    wire.socket.close()


@pytest.mark.django_db(transaction=True)
def test_the_running_product_answers_alike_whichever_way_a_request_takes(wire):
    rest = Rest.of_new_event()
    session, ended = rest.new_session(), rest.new_session(status="ended", source="signals")

    def ask(second: int, id=session.id) -> bytes:
        body = json.dumps(signals(second)).encode()
        return request(body, f"/api/v1/sessions/{id}/signals", Authorization=f"Bearer {rest.secret}")

    wire.send(ask(0))
    by_django = wire.answer()
    assert by_django.startswith(b"HTTP/1.1 202 Accepted\r\n")
    for second in (5, 10):
        wire.send(ask(second))
        assert wire.answer() == by_django, "past Twisted"
    for second in (15, 20):
        wire.send(ask(second).replace(b"Host: ", b"Host:  "))
        assert wire.answer() == by_django, "past Django"
    wire.send(ask(25) + ask(30) + ask(35)[:100])
    wire.send(ask(35)[100:])
    assert [wire.answer() for _ in range(3)] == [by_django] * 3
    wire.send(ask(40, ended.id))
    assert wire.answer().startswith(b"HTTP/1.1 409 Conflict\r\n")
    wire.send(ask(40))
    wire.send(ask(45))
    assert [wire.answer() for _ in range(2)] == [by_django] * 2
    assert EngagementRow.objects.for_session(session).count() == 10
