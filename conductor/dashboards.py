"""The page of a session as it is pushed: the parts of it that changed."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from uuid import UUID

from conductor import live
from conductor.hub import Room


class DashboardRoom(Room):
    """The open pages of one session.

    What is announced is the whole page, part by part. What is pushed are the parts that differ from what was told last.
    """

    def __init__(self, session_id: UUID, render: Callable[[], str]) -> None:
        super().__init__(live.dashboard_group(session_id), render)
        self._told: Sequence[str] = ()

    def tell(self, frames: Sequence[str]) -> None:
        whole = "".join(frames)
        changes = "".join(part for part, told in zip_longest(frames, self._told) if part and part != told)
        self._told = frames
        for listener in self.listeners:
            listener.push_changes(changes, whole)
