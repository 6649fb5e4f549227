"""Receivers of webhooks that tests are the owners of: good ones, and all kinds of bad ones."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook


@dataclass
class Received:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes
    path: str
    at: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> str:
        return self.headers["webhook-id"]

    def open(self, secret: str) -> dict:
        """Return what it says, as an integrator's platform reads it. Raises where the signature is wrong."""
        return Webhook(secret).verify(self.body, self.headers)


Answer = Callable[[BaseHTTPRequestHandler, int], None]  # with how many requests came before


@dataclass
class Receiver:
    url: str
    received: list[Received]

    @property
    def types(self) -> list[str]:
        return [each.headers.get("webhook-id", "") for each in self.received]


def ok(handler: BaseHTTPRequestHandler, before: int) -> None:
    answer(handler, 200, b"thanks")


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def fail_once(handler: BaseHTTPRequestHandler, before: int) -> None:
    answer(handler, 200 if before else 500, b"better now" if before else b"not now")


def flood(handler: BaseHTTPRequestHandler, before: int) -> None:
    with suppress(OSError):
        answer(handler, 200, b"x" * 10_000_000)


def close_at_once(handler: BaseHTTPRequestHandler, before: int) -> None:
    handler.close_connection = True


def redirect_to(target: str) -> Answer:
    return lambda handler, before: answer(handler, 302, Location=target)


@contextmanager
def receiver(how: Answer = ok) -> Iterator[Receiver]:
    """Yield a receiver on this machine that answers in this way."""
    received: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(Received({name.lower(): value for name, value in self.headers.items()}, body, self.path))
            how(self, len(received) - 1)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            pass  # whoever was told enough has gone

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook", received)
        finally:
            server.shutdown()


@contextmanager
def hanging_receiver() -> Iterator[Receiver]:
    """Yield a receiver that takes what comes and never answers."""
    is_over = threading.Event()

    def hang(handler: BaseHTTPRequestHandler, before: int) -> None:
        is_over.wait(120)

    with receiver(hang) as found:
        try:
            yield found
        finally:
            is_over.set()
