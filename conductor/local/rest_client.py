"""Speak to a conductor over its REST endpoint, patiently: a request is repeated until it is answered."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import cast
from urllib.parse import urlsplit

from conductor.retry_after import read_retry_after

TIMEOUT_SECONDS = 30
PATIENCE_SECONDS = 120.0  # how long one request is repeated before we give up
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
TRY_AGAIN = (429, 502, 503, 504)


class CannotReach(Exception):
    """Nobody answered, or only to say that it is not now possible, for as long as we were patient."""


class Refused(Exception):
    """The server understood and said no; `status` and the message say why."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


@dataclass
class RestClient:
    """One kept-alive connection. Repeating is harmless: what is stored already counts as a duplicate."""

    url: str
    api_key: str
    patience_seconds: float = PATIENCE_SECONDS
    pause: Callable[[float], object] = time.sleep
    on_retry: Callable[[str], object] = lambda reason: None
    _connection: HTTPConnection | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.url!r} is no address such as http://127.0.0.1:8000")
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ValueError("The API key holds a character that no key has.")
        self._make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/") + "/api/v1"

    def post(self, path: str, body: object) -> dict[str, object]:
        """Return the answer to a POST. Raises `Refused` or `CannotReach`."""
        return self._ask("POST", path, json.dumps(body).encode())

    def get(self, path: str) -> dict[str, object]:
        """Return the answer to a GET. Raises `Refused` or `CannotReach`."""
        return self._ask("GET", path, b"")

    def _ask(self, method: str, path: str, payload: bytes) -> dict[str, object]:
        deadline = time.monotonic() + self.patience_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            wait = pause
            try:
                status, retry_after, answer = self._send(method, path, payload)
            except (OSError, HTTPException) as error:
                self.close()
                reason = f"{self.url} does not answer ({error})"
            else:
                if 200 <= status < 300:
                    return cast(dict[str, object], json.loads(answer))
                reason = f"{self.url} answers {status}: {_explain(answer)}"
                if status not in TRY_AGAIN:
                    raise Refused(status, reason)
                wait = max(pause, retry_after)
            if time.monotonic() + wait > deadline:
                raise CannotReach(reason)
            self.on_retry(reason)
            self.pause(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, method: str, path: str, payload: bytes) -> tuple[int, float, bytes]:
        if self._connection is None:
            self._connection = self._make(self._host, self._port, timeout=TIMEOUT_SECONDS)
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        self._connection.request(method, self._prefix + path, payload, headers)
        response = self._connection.getresponse()
        wait = read_retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
        return response.status, wait, response.read()


def _explain(answer: bytes) -> str:
    """Return what a problem document says, with the first things that it points at."""
    try:
        problem = json.loads(answer)
        errors = [f"{error.get('pointer', '')} {error['detail']}".strip() for error in problem.get("errors", [])[:3]]
        return " ".join([str(problem["detail"]), *errors])
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer[:200].decode(errors="replace")
