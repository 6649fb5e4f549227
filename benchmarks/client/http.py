"""Connections that are kept alive, a request at a time on each, and no more of them than the load needs.

Plain asyncio: aiohttp and httpx take up to a whole millisecond of CPU for a request, so that at 2,000 a second they
would need the core that the server is measured on. This needs a third of one, the making of the bodies included.
"""

import asyncio
import itertools
import re
from collections import deque
from collections.abc import Sequence

MOST_CONNECTIONS = 128
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
END_OF_HEADER, END_OF_CHUNKS = b"\r\n\r\n", b"0\r\n\r\n"
BROKEN = 0  # the status of a request whose connection broke


def read_status(answer: bytes | bytearray) -> int | None:
    """Return the status of an answer once all of it is there.

    >>> read_status(b"HTTP/1.1 202 Accepted\\r\\nContent-Length: 2\\r\\n\\r\\n{"), read_status(b"HTTP/1.1 20")
    (None, None)
    >>> read_status(b"HTTP/1.1 202 Accepted\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    202
    >>> read_status(b"HTTP/1.1 503 Busy\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n2\\r\\n{}\\r\\n0\\r\\n\\r\\n")
    503
    """
    head = answer.find(END_OF_HEADER)
    if head < 0:
        return None
    length = LENGTH.search(answer, 0, head)
    if length is not None:
        is_whole = len(answer) >= head + len(END_OF_HEADER) + int(length[1])
    else:
        is_whole = answer.endswith(END_OF_CHUNKS)
    return int(answer[9:12]) if is_whole else None


class Connection(asyncio.Protocol):
    """One connection; it has one request in flight or none."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._answer = bytearray()
        self._waiting: asyncio.Future[int] | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.is_open = True

    def send(self, request: bytes) -> "asyncio.Future[int]":
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        self._answer += data
        status = read_status(self._answer)
        if status is not None:
            self._answer.clear()
            self._tell(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._tell(BROKEN)

    def _tell(self, status: int) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(status)


class Pool:
    """The connections to one server, or to several in turn; who finds none free waits, in turn."""

    def __init__(self, ports: Sequence[int], key: str):
        self.host = "127.0.0.1"
        self._ports = itertools.cycle(ports)
        self._head = (
            f"Host: {self.host}:{ports[0]}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        ).encode()
        self._idle: deque[Connection] = deque()
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        self._all: set[Connection] = set()

    async def post(self, path: str, body: bytes) -> int:
        """Return the status of the answer to a POST, `BROKEN` where there is none."""
        request = b"POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (path.encode(), self._head, len(body), body)
        try:
            connection = await self._take()
        except OSError:
            return BROKEN
        status = await connection.send(request)
        self._give_back(connection)
        return status

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.popleft()  # who has rested longest, so that every server has its turn
            if connection.is_open:
                return connection
            self._all.discard(connection)
        loop = asyncio.get_running_loop()
        if len(self._all) >= MOST_CONNECTIONS:
            self._waiting.append(loop.create_future())
            return await self._waiting[-1]
        connection = Connection()
        self._all.add(connection)  # before it is open, so that those who come meanwhile count it
        try:
            await loop.create_connection(lambda: connection, self.host, next(self._ports))
        except OSError:
            self._all.discard(connection)
            raise
        return connection

    def _give_back(self, connection: Connection) -> None:
        if connection.is_open and self._waiting:
            self._waiting.popleft().set_result(connection)
        elif connection.is_open:
            self._idle.append(connection)
        else:
            self._all.discard(connection)
            self._replace()

    def _replace(self) -> None:
        """Have who waits for a connection that broke get another."""
        if self._waiting:
            waiting = self._waiting.popleft()
            task = asyncio.ensure_future(self._take())
            task.add_done_callback(lambda done: _hand_on(done, waiting))

    def close(self) -> None:
        for connection in self._all:
            if connection.is_open:
                connection.transport.close()


def _hand_on(done: "asyncio.Future[Connection]", waiting: "asyncio.Future[Connection]") -> None:
    error = done.exception()
    if error is not None:
        waiting.set_exception(error)
    else:
        waiting.set_result(done.result())
