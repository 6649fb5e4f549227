"""A client of the REST endpoint, the way an integrator's platform is one."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.http import HttpResponse
from django.test import Client

from engagement.models import ApiKey, Event, Session

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class Rest:
    """One event, its key, and the calls that it makes."""

    event: Event
    secret: str
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    @classmethod
    def of_new_event(cls, name: str = "Spring conference") -> "Rest":
        event = Event.objects.create(name=name)
        return cls(event, ApiKey.objects.issue(event, "platform")[1])

    def call(self, method: str, path: str, body: object = None, **headers: str) -> HttpResponse:
        """Send `body` as it is where it is bytes, else as JSON."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.secret}"} | headers
        return self.client.generic(
            method, path if path.startswith("http") else f"/api/v1{path}", data, "application/json", headers=headers
        )

    def get(self, path: str) -> HttpResponse:
        return self.call("GET", path)

    def post(self, path: str, body: object = None) -> HttpResponse:
        return self.call("POST", path, body)

    def patch(self, path: str, body: object) -> HttpResponse:
        return self.call("PATCH", path, body)

    def new_session(self, **fields: object) -> Session:
        return Session.objects.create(event=self.event, **{"title": "Keynote", **fields})


def signals(second: int = 0, **values: object) -> dict[str, object]:
    """Return a signals object, `second` seconds after the start."""
    at = (START + timedelta(seconds=second)).isoformat()
    return {"timestamp": at, "chat_msgs_per_min": 12, "active_users": 40, "total_users": 50} | values


@pytest.fixture
def rest(db) -> Rest:
    return Rest.of_new_event()
