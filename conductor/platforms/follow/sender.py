"""Post what was said to a session over the REST endpoint, a batch after the other."""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import cast
from urllib.parse import quote

from conductor.local.rest_client import CannotReach, Refused, RestClient
from conductor.platforms.follow.chat import Said, Tell
from conductor.platforms.pseudonyms import pseudonym
from engagement.limits import MAX_BATCH, MAX_TEXT
from engagement.moments import write_moment

BATCH_SECONDS = 1.0
MOST_WAITING = 20_000  # that were said and not posted; whoever reads the chat waits from there on
ENDED = 409


class Session:
    """The session of one chat: the one that goes on, or a new one when the first thing is said."""

    def __init__(self, rest: RestClient, name: str, title: str, lateness_seconds: int, *, is_only: bool) -> None:
        """`name` is the chat's own; `is_only` says that it has one session, and not one after the other."""
        self._rest, self._name, self._title, self._is_only = rest, name, title[:MAX_TEXT] or name, is_only
        self._lateness_seconds = lateness_seconds
        self._key = rest.api_key.encode()
        self._id = ""
        self._refusing: set[str] = set()  # they have ended, or are told of by signals
        self._alone = threading.Lock()  # a post that nobody waits for any more may still be under way

    def post(self, said: Sequence[Said]) -> bool:
        """Post some of what was said; return whether the session takes more. Raises `Refused` or `CannotReach`."""
        with self._alone:
            return self._post(said)

    def _post(self, said: Sequence[Said]) -> bool:
        body = [self._as_object(each) for each in said]
        self._id = self._id or self._find(said[0].at)
        if not self._id:
            return False
        try:
            self._rest.post(f"/sessions/{quote(self._id)}/events", body)
        except Refused as refused:
            if refused.status != ENDED:
                raise
            self._refusing.add(self._id)
            self._id = ""
            return not self._is_only and self._post(said)
        return True

    def end(self) -> None:
        """End the session, as its chat is over. Raises `Refused` or `CannotReach`."""
        with self._alone:
            if self._id:
                self._rest.post(f"/sessions/{quote(self._id)}/end", {})

    def close(self) -> None:
        """Let go of the connection, once no post is under way."""
        with self._alone:
            self._rest.close()

    def _find(self, at: datetime) -> str:
        """Return the session that goes on, or a new one; an empty text where the only one has ended."""
        if not self._is_only and (found := self._find_open()):
            return found
        external_id = self._name if self._is_only else f"{self._name}/{write_moment(at, 'milliseconds')}"
        made = self._rest.post(
            "/sessions",
            {"title": self._title, "external_id": external_id, "lateness_seconds": self._lateness_seconds},
        )
        return "" if made["status"] == "ended" else str(made["id"])

    def _find_open(self) -> str:
        """Return the newest session of this chat that has not ended, among the newest of the event."""
        for session in cast(list[dict[str, object]], self._rest.get("/sessions")["items"]):
            is_ours = str(session["external_id"]).startswith(f"{self._name}/") and session["id"] not in self._refusing
            if is_ours and session["status"] != "ended":
                return str(session["id"])
        return ""

    def _as_object(self, said: Said) -> dict[str, str]:
        event = {"type": said.type, "timestamp": write_moment(said.at), "id": pseudonym(self._key, "event", said.id)}
        return event | ({"user": pseudonym(self._key, "person", said.user)} if said.user else {})


class Sender:
    """What was said and is not posted yet. Nothing leaves it before it is stored: what breaks off is posted again."""

    def __init__(self, session: Session, tell: Tell) -> None:
        self._session, self._tell = session, tell
        self._said: deque[Said] = deque()
        self._changed = asyncio.Condition()

    async def take(self, said: list[Said]) -> None:
        """Take what was said; wait where too much is not posted."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._said) < MOST_WAITING)
            self._said += said
            self._changed.notify_all()

    async def run(self) -> None:
        """Post until the session takes no more. Raises `Refused`."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._said))
            await asyncio.sleep(BATCH_SECONDS)
            if not await self._post_patiently():
                self._tell("its session has ended, so nothing more is posted")
                return

    async def finish(self, *, is_over: bool) -> None:
        """Post what is left, and end the session where its chat is over. Raises `Refused` or `CannotReach`."""
        while self._said:
            if not await self._post():
                return
        if is_over:
            await asyncio.to_thread(self._session.end)

    async def close(self) -> None:
        await asyncio.to_thread(self._session.close)

    async def _post_patiently(self) -> bool:
        """Post a batch, however long the server is away."""
        while True:
            try:
                return await self._post()
            except CannotReach as error:
                self._tell(f"{error}; {len(self._said):,} messages wait")

    async def _post(self) -> bool:
        """Post a batch; return whether the session takes more."""
        batch = list(islice(self._said, MAX_BATCH))
        takes_more = await asyncio.to_thread(self._session.post, batch)
        async with self._changed:
            for _ in batch:
                self._said.popleft()
            self._changed.notify_all()
        return takes_more
