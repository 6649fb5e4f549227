"""A post that comes whole and plain goes to the door at once, without Twisted's and daphne's way to it.

Most of what a bare request costs on this server is that way: a request object, its headers one by one, a task, a queue.
Only the plainest form is taken, which no two readers could take for different things, and only on a connection on which
nothing else is under way. Everything else, and whatever the door does not take, goes the ordinary way from its first
byte. While a post is stored, the connection is in the state in which Twisted itself waits for an answer.
"""

import re
from asyncio import Future
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, NamedTuple

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES
from twisted.web.http_headers import Headers

from conductor.connections import PunctualChannel
from conductor.posting.committer import Outcome
from conductor.posting.door import Accepted, Begun, Door, answer_body, count_answer
from conductor.requests import Scope
from engagement.ingest import Recorded

# One way to write each: a space after the colon and none at the end, no control character, no line that goes on, and no
# underscore in a name, which daphne drops.
HEAD = re.compile(rb"POST (/[!-~]*) HTTP/1\.1\r\n((?:[A-Za-z0-9-]+: [!-~](?:[ -~]*[!-~])?\r\n)+)\r\n")
MAX_HEAD = 8_000
# What says how a request is framed, carried or where it came in: with one of these it is no plain one.
FRAMING = {
    b"daphne-root-path", b"expect", b"http2-settings", b"keep-alive", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade",
}  # fmt: skip

KEPT = b"keep-alive"  # as many clients say, and as it is in any case


class Plain(NamedTuple):
    """A request that came whole, and nothing behind it."""

    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


def read_plain(data: bytes) -> Plain | None:
    """Return the request that some bytes are, None where they are more, less or not of the plainest form.

    >>> read_plain(b"POST /a HTTP/1.1\\r\\nHost: b\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    Plain(path='/a', headers=[(b'host', b'b'), (b'content-length', b'2')], body=b'{}')
    >>> read_plain(b"POST /a HTTP/1.1\\r\\nHost: b\\r\\nContent-Length: 2\\r\\n\\r\\n{}P")
    """
    head = HEAD.match(data, 0, MAX_HEAD)
    if head is None:
        return None
    headers = []
    for line in head[2].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        headers.append((name.lower(), value))
    known = dict(headers)
    if len(known) < len(headers) or not FRAMING.isdisjoint(known) or b"host" not in known:
        return None
    if known.get(b"connection", KEPT).lower() != KEPT:
        return None
    body = data[head.end() :]
    if known.get(b"content-length") != b"%d" % len(body):
        return None
    path = head[1]
    return None if b"%" in path or b"?" in path or b"#" in path else Plain(path.decode("ascii"), headers, body)


@lru_cache(1_000)
def _head(accepted: Accepted, server: str) -> tuple[bytes, bytes]:
    """Return what Django's answer is on the wire before and after its length, as daphne and Twisted write it."""
    headers = Headers()
    for name, value in (*accepted.before, (accepted.length, b"?"), *accepted.after):
        headers.addRawHeader(name, value)
    if server and not headers.hasHeader(b"server"):
        headers.setRawHeaders(b"server", [server.encode()])
    lines = [(name, value) for name, values in headers.getAllRawHeaders() for value in values]
    [place] = [place for place, (name, _) in enumerate(lines) if name.lower() == b"content-length"]
    written = [name + b": " + value + b"\r\n" for name, value in lines]
    before = b"HTTP/1.1 202 " + RESPONSES[202] + b"\r\n" + b"".join(written[:place]) + lines[place][0] + b": "
    return before, b"\r\n" + b"".join(written[place + 1 :]) + b"\r\n"


class ExpressChannel(PunctualChannel):
    """A connection on which plain posts are handed to the door as they come."""

    transport: Any
    _networkProducer: Any
    door: Door
    work: "Future[Outcome] | None" = None
    is_heard_out = is_lost = False

    def dataReceived(self, data: bytes) -> None:
        if not (self._is_idle() and self._begin(data)):
            super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_lost = True
        if self.work is not None and not self.is_heard_out:
            self.work.cancel()
        super().connectionLost(reason)

    def _is_idle(self) -> bool:
        """Tell whether a request may begin here, of which nothing has come yet, and none is before it."""
        is_between = self.line_mode and not self.is_header_begun
        is_busy = self._handlingRequest or self.requests or self._dataBuffer or self._buffer or self._busyReceiving
        return bool(
            is_between and not is_busy and self.persistent and not self._waitingForTransport and not self.paused
            and not self.transport.disconnecting and not self.isSecure()
        )  # fmt: skip

    def _begin(self, data: bytes) -> bool:
        """Tell whether the door has taken a request."""
        server = self.factory.server
        if server.proxy_forwarded_address_header or server.root_path or (plain := read_plain(data)) is None:
            return False
        started = perf_counter()
        peer = self.transport.getPeer()
        begun = self.door.begin(_scope(plain) | {"client": [peer.host, peer.port]}, plain.body)
        if begun is None:
            return False
        # As Twisted does while it waits: what comes meanwhile is kept, up to a bound, and no time runs.
        self._handlingRequest = True
        self._savedTimeOut = self.setTimeout(None)
        self.line_mode = 0
        self.work, self.is_heard_out = begun.outcome, begun.is_heard_out
        begun.outcome.add_done_callback(partial(self._end, begun, plain, data, started))
        return True

    def _end(self, begun: Begun, plain: Plain, data: bytes, started: float, outcome: "Future[Outcome]") -> None:
        self.work = None
        if outcome.cancelled() or self.is_lost:  # the connection has gone, and nobody is to be answered
            return
        found = outcome.result()
        self._handlingRequest = False
        self.setTimeout(self._savedTimeOut)
        if not self._waitingForTransport:
            self._networkProducer.resumeProducing()
        kept, self._dataBuffer = b"".join(self._dataBuffer), []
        if isinstance(found, Recorded):
            self._answer(begun, plain, found, started)
            self.setLineMode(kept)
            return
        self.line_mode = 1
        peer = self.transport.getPeer()
        begun.decline((peer.host, peer.port), found)
        super().dataReceived(data + kept)

    def _answer(self, begun: Begun, plain: Plain, recorded: Recorded, started: float) -> None:
        server = self.factory.server
        before, after = _head(begun.accepted, server.server_name)
        body = answer_body(recorded)
        count_answer(begun.accepted, 202, started)
        self.transport.write(b"%b%d%b%b" % (before, len(body), after, body))
        peer = self.transport.getPeer()
        server.log_action(
            "http",
            "complete",
            {
                "path": plain.path,
                "status": 202,
                "method": "POST",
                "client": f"{peer.host}:{peer.port}",
                "time_taken": perf_counter() - started,
                "size": len(body),
            },
        )


def _scope(plain: Plain) -> Scope:
    """Return what the door looks at, as daphne would tell it."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": plain.path,
        "root_path": "",
        "query_string": b"",
        "headers": plain.headers,
    }


def express_lane(to: Door) -> type[ExpressChannel]:
    """Return the class of connections whose plain posts go to this door."""
    return type("ExpressChannel", (ExpressChannel,), {"door": to})
