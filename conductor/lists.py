"""The list page as it is pushed: rendered for each who looks at it, when something in it may have changed."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from django.contrib.auth.models import User
from django.utils.timezone import now

from conductor import live
from conductor.hub import Room
from conductor.screens.rooms import render_rooms

PUSH_SECONDS = 1.0  # no list is told more often than this
LOOK_SECONDS = 5.0  # what nobody announces, such as a new session, shows after at most so long
LEAST_REST = 10.0  # after a rendering, in times of what it took: one list costs no more than a tenth of the process

log = logging.getLogger(__name__)


class ListRoom(Room):
    """The open list pages of one user. What is announced is which sessions changed; what is pushed is the list."""

    def __init__(self, user: User, *, base_url: str, every_ended: bool) -> None:
        super().__init__(live.ROOMS_GROUP, lambda: render_rooms(user, now(), base_url, every_ended=every_ended))
        self.key = (self.channel, user.pk, base_url, every_ended)
        self._has_changed = asyncio.Event()
        self._shown = ""
        self._work: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._work = asyncio.create_task(self._keep_fresh())

    def stop(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def tell(self, frames: Sequence[str]) -> None:
        if any(f"room-{session_id}" in self._shown for session_id in frames):
            self._has_changed.set()

    async def refresh(self) -> None:
        self._has_changed.set()

    async def _keep_fresh(self) -> None:
        """Push the list where it differs from the one before; look by itself now and then."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._push_changes()
            except Exception as error:
                log.warning("A list could not be told: %r", error)
            rest = LEAST_REST * (loop.time() - began)
            await asyncio.sleep(max(PUSH_SECONDS, rest))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS - PUSH_SECONDS):
                    await self._has_changed.wait()

    async def _push_changes(self) -> None:
        assert self.snapshot is not None, "a list can be rendered"
        self._has_changed.clear()
        found = await self.snapshot()
        if found != self._shown:
            self._shown = found
            super().tell([found])
