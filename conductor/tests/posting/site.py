"""The application with its door, as the tests of what goes past Django ask it."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application

from conductor.posting.committer import Committer
from conductor.posting.door import Door

django = get_asgi_application()


@dataclass
class Site:
    """The application with its door, on an event loop of its own, and how often Django behind it was asked."""

    loop: asyncio.Runner
    committer: Committer = field(default_factory=Committer)
    asked: int = 0

    def __post_init__(self) -> None:
        async def count(scope, receive, send) -> None:
            self.asked += 1
            await django(scope, receive, send)

        self.door = Door(count, self.committer)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        with asyncio.Runner() as loop:
            site = cls(loop)
            try:
                yield site
            finally:
                site.committer.close()

    def ask(self, path: str, body: bytes, headers: Mapping[str, str], application: Any = None) -> tuple:
        """Return status, headers and body of what a POST is answered, by the door or by another application."""
        return self.loop.run(self._ask(path, body, headers, application or self.door))

    async def _ask(self, path: str, body: bytes, headers: Mapping[str, str], application: Any) -> tuple:
        path, _, query = path.partition("?")
        pairs = {"host": "localhost", "content-length": str(len(body)), **headers}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": f"/api/v1{path}",
            "query_string": query.encode(),
            "client": ["192.0.2.1", 9],
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs.items()],
        }
        request = ApplicationCommunicator(application, scope)
        half = len(body) // 2
        await request.send_input({"type": "http.request", "body": body[:half], "more_body": True})
        await request.send_input({"type": "http.request", "body": body[half:]})
        start = await request.receive_output(timeout=20)
        answer = await request.receive_output(timeout=20)
        await request.wait(timeout=20)
        return start["status"], start["headers"], answer["body"]
