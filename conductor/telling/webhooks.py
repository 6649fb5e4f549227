"""Post a message to a webhook, signed as Standard Webhooks has it, and wait for nobody longer than it says."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected
from typing import Any

from standardwebhooks import Webhook

from conductor.retry_after import read_retry_after
from conductor.telling.addresses import SCHEMES, RefusedAddress, connect, read_url
from conductor.telling.outcome import Outcome

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 10.0
MOST_BYTES = 64 * 1024  # of an answer that are read
MOST_KEPT = 500  # characters of it
GONE = 410
ASKS_TO_WAIT = (429, 503)
LONGEST_WAIT = 3_600.0


def post_message(
    url: str, secret: str, key: str, payload: Mapping[str, Any], now: datetime, *, may_be_private: bool
) -> Outcome:
    """Post a message once; return what came of it, whatever happens."""
    body = write_body(payload)
    try:
        return _post(url, sign(secret, key, body, now), body.encode(), may_be_private=may_be_private)
    except RefusedAddress as refused:
        return Outcome(f"It was not called: {refused}.")
    except RemoteDisconnected:
        return Outcome("It closed the connection without an answer.")
    except ssl.SSLCertVerificationError as error:
        return Outcome(f"Its certificate cannot be trusted: {error.verify_message}.")
    except TimeoutError:
        return Outcome("It did not answer in time.")
    except socket.gaierror:
        return Outcome("Its name leads nowhere.")
    except (OSError, HTTPException, ValueError) as error:
        return Outcome(f"{_words(error)}.")


def write_body(payload: Mapping[str, Any]) -> str:
    """Return the very characters that are signed and sent: the same at each attempt."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def sign(secret: str, key: str, body: str, now: datetime) -> dict[str, str]:
    """Return the headers of a message that is sent now."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "engagement-conductor",
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(key, now.astimezone(UTC), body),
    }


def _post(url: str, headers: Mapping[str, str], body: bytes, *, may_be_private: bool) -> Outcome:
    parts = read_url(url)
    host, port = parts.hostname or "", parts.port or SCHEMES[parts.scheme]
    tls = _tls() if parts.scheme == "https" else None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _Connection(host, port, tls, may_be_private=may_be_private)
    with connection.limited():
        connection.request("POST", path, body, dict(headers) | {"Connection": "close"})
        answer = connection.getresponse()
        if connection.is_late:  # a header that was cut looks like a whole one
            raise TimeoutError
        return _judge(answer, _read(answer))


class _Connection(HTTPConnection):
    """A connection to an address that was looked at, which is cut when its time is up, whatever is under way."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, *, may_be_private: bool):
        super().__init__(host, port, timeout=TOTAL_SECONDS)
        self.default_port = SCHEMES["http" if tls is None else "https"]  # which stands in no Host header
        self._tls, self._may_be_private = tls, may_be_private
        self.is_late = False

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Do something with the connection for as long as it may take. Raises `TimeoutError` where that is over."""
        clock = threading.Timer(TOTAL_SECONDS, self._cut)
        clock.daemon = True
        clock.start()
        try:
            yield
        except (OSError, HTTPException) as error:
            if self.is_late:
                raise TimeoutError from error
            raise
        finally:
            clock.cancel()
            self.close()

    def connect(self) -> None:
        began = time.monotonic()
        self.sock = connect(self.host, self.port, CONNECT_SECONDS, may_be_private=self._may_be_private)
        self.sock.settimeout(max(0.001, TOTAL_SECONDS - (time.monotonic() - began)))
        if self._tls is not None:
            # Where the clock finds it while hands are shaken.
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock.do_handshake()

    def _cut(self) -> None:
        """End it from another thread: a receiver that sends a byte now and then keeps every read from timing out."""
        self.is_late = True
        if (connected := self.sock) is not None:
            _shut(connected)


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # TLS would say goodbye first


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _read(answer: HTTPResponse) -> str:
    """Return how an answer begins: no more of it is read than that, whatever it says of its length."""
    content = b""
    with suppress(OSError, HTTPException):  # its status has said already what became of the message
        while len(content) < MOST_BYTES and (more := answer.read1(MOST_BYTES - len(content))):
            content += more
    return content.decode("utf-8", "replace").replace("\0", "�")[:MOST_KEPT]


def _judge(answer: HTTPResponse, text: str) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return Outcome("", status, text)
    if status == GONE:
        return Outcome("It answered 410: it wants nothing any more.", status, text, is_unwanted=True)
    if 300 <= status < 400:
        return Outcome(f"It answered {status}: redirects are not followed.", status, text)
    wait = read_retry_after(answer.getheader("Retry-After", ""), datetime.now(UTC)) if status in ASKS_TO_WAIT else 0.0
    return Outcome(f"It answered {status}.", status, text, wait_seconds=min(wait, LONGEST_WAIT))


def _words(error: Exception) -> str:
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return words.rstrip(".")[:300]
