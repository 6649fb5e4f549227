"""Requests as the platforms send them, with rooms and people of our own invention."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from urllib.parse import urlencode

from django.http import HttpResponse
from django.test import Client
from django.utils.timezone import now

from conductor.models import Platform
from engagement.models import Event
from engagement.moments import EPOCH, write_moment

TOKEN, SHARED = "a zoom token", "a shared secret"
DOMAIN = "class.example.org"
PUBLIC = {"chat-id": "MAIN-PUBLIC-GROUP-CHAT"}


def make_platform(event: Event, kind: str = "zoom", **fields: object) -> Platform:
    secret = TOKEN if kind == "zoom" else SHARED
    fields = {"name": "Stage", "secret": secret, "pepper": Platform.draw_pepper(), "created_at": now()} | fields
    return Platform.objects.create(event=event, kind=kind, **fields)


def milliseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


@dataclass
class Webinar:
    """A webinar that Zoom tells of."""

    kind: str = "webinar"
    number: str = "96641234567"
    uuid: str = "b0p1qF/mTzyzQy1wZ3c1Ag=="
    topic: str = "Spring keynote"
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(16_778_240, 10**9, 1_024)))

    def tell(self, what: str, at: datetime, **more: object) -> bytes:
        meeting = {
            "id": self.number, "uuid": self.uuid, "host_id": "h-1", "topic": self.topic, "type": 5, "duration": 60,
            "start_time": write_moment(at.replace(microsecond=0)), "timezone": "UTC",
        }  # fmt: skip
        document = {
            "event": f"{self.kind}.{what}",
            "event_ts": milliseconds(at),
            "payload": {"account_id": "a-1", "object": meeting | more},
        }
        return json.dumps(document).encode()

    def start(self, at: datetime) -> bytes:
        return self.tell("started", at)

    def end(self, at: datetime) -> bytes:
        return self.tell("ended", at, end_time=write_moment(at.replace(microsecond=0)))

    def join(self, name: str, at: datetime, connection: int | None = None, **more: object) -> tuple[int, bytes]:
        """Return the number of a new stay of somebody who is logged in, and what is told of it."""
        connection = next(self.numbers) if connection is None else connection
        participant = self._participant(name, connection) | {"join_time": write_moment(at.replace(microsecond=0))}
        return connection, self.tell("participant_joined", at, participant=participant | more)

    def leave(self, name: str, connection: int, at: datetime, **more: object) -> bytes:
        participant = self._participant(name, connection) | {
            "leave_time": write_moment(at.replace(microsecond=0)),
            "leave_reason": f"{name} left the {self.kind}.<br>Reason: left the {self.kind}.",
        }
        return self.tell("participant_left", at, participant=participant | more)

    def chat(self, name: str, connection: int, at: datetime, number: int, **more: object) -> bytes:
        message = {
            "message_id": f"m-{number}", "date_time": write_moment(at), "message_content": "Hello from me",
            "sender_name": name, "sender_session_id": str(connection), "sender_type": "guest",
            "recipient_type": "everyone",
        }  # fmt: skip
        return self.tell("chat_message_sent", at, chat_message=message | more)

    @staticmethod
    def _participant(name: str, connection: int) -> dict[str, object]:
        return {
            "user_id": str(connection), "user_name": name, "id": f"id-of-{name}", "participant_uuid": f"P-{connection}",
            "email": f"{name}@example.org", "registrant_id": "",
        }  # fmt: skip


Requests = list[tuple[datetime, bytes]]  # bodies, each with its moment


def whole_webinar(start: datetime, people: int = 50, minutes: int = 15, exit_at: int = 10) -> Requests:
    """Return what Zoom tells of a webinar: people come, the connections of some break, and most leave at once."""
    webinar, random = Webinar(), Random(7)

    def at(seconds: float) -> datetime:
        return start + timedelta(seconds=seconds)

    told = [(start, webinar.start(start))]
    stays: dict[str, int] = {}
    for number in range(people):
        came_at, name = at(5 + 3 * number), f"p{number}"
        stays[name], body = webinar.join(name, came_at)
        told.append((came_at, body))
    for number in range(8):  # whose connection breaks, and is back
        name, left_at = f"p{number}", at(300 + 30 * number)
        told.append((left_at, webinar.leave(name, stays[name], left_at)))
        stays[name], body = webinar.join(name, left_at + timedelta(seconds=20))
        told.append((left_at + timedelta(seconds=20), body))
    for number in range(150):
        name, wrote_at = f"p{random.randrange(people)}", at(200 + 3.5 * number + random.random())
        if wrote_at < at(60 * exit_at):
            told.append((wrote_at, webinar.chat(name, stays[name], wrote_at, number)))
    for number in range(people // 5, people):
        name, left_at = f"p{number}", at(60 * exit_at + number / 3)
        told.append((left_at, webinar.leave(name, stays[name], left_at)))
    told.append((at(60 * minutes), webinar.end(at(60 * minutes))))
    return sorted(told, key=lambda each: each[0])


@dataclass
class Classroom:
    """A class of which BigBlueButton tells."""

    internal: str = "5f2d9c1b7aa0c4e1d9b85a3c6f7e0d1c2b3a4958-1772442000000"
    external: str = "algebra"
    name: str = "Algebra"

    def mapped(self, id_: str, at: datetime, user: Mapping[str, object] | None = None, **more: object) -> dict:
        meeting = {"internal-meeting-id": self.internal, "external-meeting-id": self.external}
        attributes: dict[str, object] = {"meeting": meeting}
        if user is not None:
            attributes["user"] = dict(user)
        if id_ == "meeting-created":
            meeting["name"] = self.name
        return {
            "data": {"type": "event", "id": id_, "attributes": attributes | more, "event": {"ts": milliseconds(at)}}
        }

    def raw(self, name: str, at: datetime, user: str = "", **body: object) -> dict:
        header = {"name": name, "meetingId": self.internal, "userId": user or "not-used"}
        routing = {"msgType": "BROADCAST_TO_MEETING", "meetingId": self.internal, "userId": user or "not-used"}
        return {
            "envelope": {"name": name, "routing": routing, "timestamp": milliseconds(at)},
            "core": {"header": header, "body": body},
        }


def user(internal: str, external: str = "", **more: object) -> dict[str, object]:
    return {"internal-user-id": internal, "external-user-id": external or internal, "name": "Ada"} | more


def whole_class(events: list[dict[str, object]]) -> Requests:
    """Return what BigBlueButton tells of a class whose raw events are known."""
    room, told, connections = Classroom(), [], {}
    first = datetime.fromisoformat(str(events[0]["timestamp"]))
    told.append((first, room.mapped("meeting-created", first)))
    for number, event in enumerate(events):
        at, who = datetime.fromisoformat(str(event["timestamp"])), str(event.get("user", ""))
        if event["type"] == "join":
            connections[who] = f"w_{number}"
            told.append((at, room.mapped("user-joined", at, user(connections[who], who))))
            continue
        told.append((at, _as_told(room, event, number, at, who, connections.get(who, f"w_{who}"))))
    last = told[-1][0] + timedelta(seconds=30)
    told.append((last, room.mapped("meeting-ended", last)))
    return [(at, form([event], at)) for at, event in told]


def _as_told(room: Classroom, event: dict, number: int, at: datetime, who: str, connection: str) -> dict:
    match event["type"]:
        case "leave":
            return room.mapped("user-left", at, user(connection, who))
        case "chat":
            sender = user(connection, who) | {"time": milliseconds(at)}
            message = {"id": f"m-{number}", "message": "…", "sender": sender}
            return room.mapped(
                "chat-group-message-sent", at, None, **{"chat-message": message, "chat-id": "MAIN-PUBLIC-GROUP-CHAT"}
            )
        case "reaction":
            return room.mapped("user-emoji-changed", at, user(connection, who, emoji="applause"))
        case "poll_opened":
            return room.raw("PollStartedEvtMsg", at, connection, pollId=event["poll"])
        case "poll_vote":
            return room.raw("UserRespondedToPollRespMsg", at, "w_teacher", pollId=event["poll"], userId=connection)
        case "poll_closed":
            return room.raw("PollStoppedEvtMsg", at, connection, pollId=event["poll"])
    raise AssertionError(event)


def form(events: list[object], at: datetime) -> bytes:
    """Return the body of a request, as bbb-webhooks writes it."""
    return urlencode({"domain": DOMAIN, "event": json.dumps(events), "timestamp": milliseconds(at)}).encode()


def sign_zoom(secret: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the headers that Zoom signs a request with."""
    stamp = str(int(at.timestamp()))
    signature = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-zm-request-timestamp": stamp, "x-zm-signature": f"v0={signature}"}


def send_zoom(client: Client, platform: Platform, body: bytes, **headers: str) -> HttpResponse:
    headers = sign_zoom(platform.secret, body, now()) | headers
    return client.post(f"/api/v1/platforms/{platform.id}", body, "application/json", headers=headers)


def send_class(client: Client, platform: Platform, body: bytes, **headers: str) -> HttpResponse:
    path = f"/api/v1/platforms/{platform.id}"
    signed = f"http://testserver{path}".encode() + body + platform.secret.encode()
    checksum = hashlib.sha1(signed).hexdigest()
    return client.post(f"{path}?checksum={checksum}", body, "application/x-www-form-urlencoded", headers=headers)
