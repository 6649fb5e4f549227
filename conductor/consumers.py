"""The sockets of a session: authorise before the handshake ends, subscribe, snapshot, forward."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError
from django.utils.timezone import now

from conductor import live
from conductor.keys import bearer
from conductor.screens.session import render_session, show_session
from engagement.models import ApiKey, Session

ACCESS_ENDED = 4403

SessionStore = import_module(settings.SESSION_ENGINE).SessionStore
log = logging.getLogger(__name__)


class SessionSocket(AsyncWebsocketConsumer):
    """What both sockets share. Whoever may not listen is refused with HTTP 403, an unknown session included.

    When daphne stops it drops its connections (1006) without asking us; htmx reconnects on that as on 1012.
    """

    access_seconds = 30.0  # access that ended (logout, removal, revoked key) is noticed after at most so long

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.guard: asyncio.Task[None] | None = None
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.guard is not None:
                self.guard.cancel()

    async def connect(self) -> None:
        self.session_id = self.scope["url_route"]["kwargs"]["session_id"]
        if not await self.may_listen():
            await self.close()
            return
        # Subscribed first: what is pushed from here on waits behind the snapshot.
        await self.channel_layer.group_add(self.group(), self.channel_name)
        await self.accept()
        self.guard = asyncio.create_task(self.watch_access())
        await self.send_snapshot()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group(), self.channel_name)

    async def forward(self, message: Mapping[str, Sequence[str]]) -> None:
        """Pass on what `live.announce` sent to the group."""
        for frame in message["frames"]:
            await self.send(frame)

    async def watch_access(self) -> None:
        """Close the socket when its owner may no longer listen."""
        while True:
            await asyncio.sleep(self.access_seconds)
            try:
                allowed = await self.may_listen()
            except DatabaseError as error:  # nobody's access ended because the database is away
                log.warning("Access to %s could not be checked: %s", self.session_id, error)
                continue
            if not allowed:
                await self.close(ACCESS_ENDED)
                return

    async def may_listen(self) -> bool:
        """Ask the database, as this may change while the socket is open."""
        return await self.is_organizer()

    async def is_organizer(self) -> bool:
        login = SessionStore(self.scope["cookies"].get(settings.SESSION_COOKIE_NAME))
        user = await get_user({"session": login})
        return await Session.objects.for_organizer(user).filter(id=self.session_id).aexists()

    def group(self) -> str:
        raise NotImplementedError

    async def send_snapshot(self) -> None:
        """Send the state as it is now, where the protocol of the socket has such a thing."""


class Dashboard(SessionSocket):
    """HTML fragments for a logged-in organizer. Any message from the page asks for the state as it is now."""

    snapshot_seconds = 1.0  # a page is answered no more often than this

    def group(self) -> str:
        return live.dashboard_group(self.session_id)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if time.monotonic() - self.snapshot_at >= self.snapshot_seconds:
            await self.send_snapshot()

    async def send_snapshot(self) -> None:
        self.snapshot_at = time.monotonic()
        try:
            await self.send(await database_sync_to_async(self._render)())
        except Session.DoesNotExist:  # it was erased since
            await self.close(ACCESS_ENDED)

    def _render(self) -> str:
        session = Session.objects.select_related("event").get(id=self.session_id)
        return str(render_session(show_session(session, now())))


class Stream(SessionSocket):
    """JSON messages for a logged-in organizer, or for an API key of the session's event."""

    def group(self) -> str:
        return live.stream_group(self.session_id)

    async def may_listen(self) -> bool:
        secret = bearer(dict(self.scope["headers"]).get(b"authorization", b"").decode("latin-1"))
        if secret is None:
            return await self.is_organizer()
        keys = ApiKey.objects.valid().of_secret(secret)
        return await Session.objects.filter(id=self.session_id, event__api_keys__in=keys).aexists()
