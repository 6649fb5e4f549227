"""The sockets: authorise before the handshake ends, subscribe, snapshot; then the hub writes to them."""

import time
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.utils.timezone import now

from conductor import live
from conductor.access import Claim, find_allowed
from conductor.dashboards import DashboardRoom
from conductor.hub import ACCESS_ENDED, Listener, Room, hub
from conductor.keys import bearer
from conductor.lists import ListRoom
from conductor.metrics import SOCKETS
from conductor.requests import as_request
from conductor.screens.session import render_session, show_session
from conductor.screens.standing import Choice
from engagement.models import ApiKey, Session


class Socket(AsyncWebsocketConsumer):
    """What all sockets share. Whoever may not listen is refused with HTTP 403, an unknown session included.

    When daphne stops it drops its connections (1006) without asking us; htmx reconnects on that as on 1012.
    """

    channel_layer_alias = ""  # none: a channel for each socket would be a subscription each
    kind = ""
    is_latest_enough = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.listener: Listener | None = None
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.listener is not None:
                hub().leave(self.listener)
                SOCKETS.labels(self.kind).dec()

    async def connect(self) -> None:
        claim = self.claim()
        allowed = await database_sync_to_async(find_allowed)([claim])
        if claim not in allowed:
            await self.close()
            return
        self.user = allowed[claim]
        self.listener = Listener(claim, self.send, self.close, is_latest_enough=self.is_latest_enough)
        SOCKETS.labels(self.kind).inc()
        # Subscribed first: what is pushed from here on waits behind the snapshot.
        self.room = await hub().join(self.make_room(), self.listener)
        await self.accept()
        await self.send_snapshot()

    async def send_snapshot(self) -> None:
        """Send the state as it is now, where the protocol of the socket has such a thing, and all pushes after it."""
        if self.listener is not None:
            await self.listener.send_first(self.room.snapshot)

    def claim(self) -> Claim:
        """Return what is asked for, and by whom."""
        return Claim(self.session_id, login=self.scope["cookies"].get(settings.SESSION_COOKIE_NAME, ""))

    def make_room(self) -> Room:
        raise NotImplementedError

    @property
    def session_id(self) -> UUID | None:
        found: UUID | None = self.scope["url_route"]["kwargs"].get("session_id")
        return found


class Dashboard(Socket):
    """HTML fragments for a logged-in organizer. Any message from the page asks for the state as it is now."""

    kind = "dashboard"
    snapshot_seconds = 1.0  # a page is answered no more often than this

    def make_room(self) -> Room:
        session_id = self.session_id
        assert session_id is not None, "the route has one"
        return DashboardRoom(session_id, lambda: render_now(session_id))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if time.monotonic() - self.snapshot_at >= self.snapshot_seconds:
            await self.send_snapshot()

    async def send_snapshot(self) -> None:
        self.snapshot_at = time.monotonic()
        try:
            await super().send_snapshot()
        except Session.DoesNotExist:  # it was erased since
            await self.close(ACCESS_ENDED)


def render_now(session_id: UUID) -> str:
    """Return a session's screen. Raises `Session.DoesNotExist`."""
    session = Session.objects.select_related("event").get(id=session_id)
    return str(render_session(show_session(session, now())))


class SessionList(Socket):
    """The list of an organizer's sessions, as HTML."""

    kind = "list"

    def make_room(self) -> Room:
        assert self.user is not None, "a list is nobody's but a user's"
        try:
            base_url = as_request(self.scope).build_absolute_uri("/")
        except DisallowedHost:  # what is no browser may call us as it likes, and is told no name
            base_url = "/"
        asked = dict(parse_qsl(self.scope["query_string"].decode(errors="replace")))
        return ListRoom(self.user, Choice.read(asked), base_url=base_url)


class Stream(Socket):
    """JSON messages for a logged-in organizer, or for an API key of the session's event."""

    kind = "stream"
    is_latest_enough = False

    def make_room(self) -> Room:
        assert self.session_id is not None, "the route has one"
        return Room(live.stream_group(self.session_id))

    def claim(self) -> Claim:
        secret = bearer(dict(self.scope["headers"]).get(b"authorization", b"").decode("latin-1"))
        return super().claim() if secret is None else Claim(self.session_id, key=ApiKey.digest(secret))
