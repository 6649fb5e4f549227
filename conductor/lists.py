"""The list page as it is pushed: rendered for each who looks at it, when something in it may have changed."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID

from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.utils.timezone import now

from conductor import live
from conductor.hub import Room
from conductor.screens.rooms import Listing, list_rooms
from conductor.screens.standing import Choice

PUSH_SECONDS = 1.0  # no list is told more often than this
LOOK_SECONDS = 5.0  # what nobody announces, such as a new session, shows after at most so long
CALM_SECONDS = 15.0  # so often it is told how the score of a room that needs nobody moves
LEAST_REST = 10.0  # after a rendering, in times of what it took: one list costs no more than a tenth of the process

log = logging.getLogger(__name__)


class ListRoom(Room):
    """The open list pages of one user that show the same.

    What is announced is which sessions changed. What is pushed are the cards of rooms that did: at once where that is
    news, and every quarter of a minute where only a number moved. Where rooms came, went or moved it is the list, which
    says of each other card that it is kept.
    """

    def __init__(self, user: User, choice: Choice, *, base_url: str) -> None:
        super().__init__(live.ROOMS_GROUP, lambda: str(self._render().whole))
        self.key = (self.channel, user.pk, choice, base_url)
        self._render: Callable[[], Listing] = lambda: list_rooms(user, choice, now(), base_url)
        self._has_changed = asyncio.Event()
        self._told: Listing | None = None
        self._told_cards: dict[UUID, str] = {}  # as they were told last, with older numbers than its own maybe
        self._calm_at = float("-inf")
        self._work: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._work = asyncio.create_task(self._keep_fresh())

    def stop(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def tell(self, frames: Sequence[str]) -> None:
        if any(live.is_news(frame) or live.changed_session(frame) in self._told_cards for frame in frames):
            self._has_changed.set()

    async def refresh(self) -> None:
        self._has_changed.set()

    async def _keep_fresh(self) -> None:
        """Push what differs from what was told before; look by itself now and then."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._push_changes(began)
            except Exception as error:
                log.warning("A list could not be told: %r", error)
            rest = LEAST_REST * (loop.time() - began)
            await asyncio.sleep(max(PUSH_SECONDS, rest))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS - PUSH_SECONDS):
                    await self._has_changed.wait()

    async def _push_changes(self, at: float) -> None:
        self._has_changed.clear()
        told, found = self._told, await database_sync_to_async(self._render)()
        is_calm_due = at - self._calm_at >= CALM_SECONDS
        if told is None or is_calm_due:
            self._calm_at = at
            self._tell_cards(found, {id_ for id_, card in found.cards.items() if card != self._told_cards.get(id_)})
        elif found.is_news_after(told):
            before = told.marks
            self._tell_cards(found, {id_ for id_, mark in found.marks.items() if mark != before.get(id_)})

    def _tell_cards(self, found: Listing, changed: set[UUID]) -> None:
        """Tell the cards that changed, and where all stand if that did; all as it is told to whoever is behind."""
        cards = {id_: card for id_, card in found.cards.items() if id_ in changed}
        has_moved = self._told is None or self._told.outline != found.outline
        self._told, self._told_cards = found, {id_: cards.get(id_) or self._told_cards[id_] for id_ in found.cards}
        changes = found.write(cards) if has_moved else "".join(cards.values())
        whole = found.write(self._told_cards) if any(listener.is_behind for listener in self.listeners) else ""
        for listener in self.listeners:
            listener.push_changes(changes, whole)
