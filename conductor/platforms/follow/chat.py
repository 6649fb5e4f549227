"""What a chat tells, whichever it is. Pure."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Said:
    """That somebody wrote something, or reacted; never what. The ids are the platform's own."""

    type: str  # of the raw event
    at: datetime
    user: str
    id: str


class CannotFollow(Exception):
    """The chat cannot be followed, and trying again is of no use; the message is a sentence for the operator."""


Tell = Callable[[str], None]  # the operator, a line
Take = Callable[[list[Said]], Awaitable[None]]  # what was said; waits where there is too much of it


class Pause:
    """How long to wait before the next attempt: twice as long each time, until one lasts."""

    def __init__(self, first: float, longest: float) -> None:
        self.first, self.longest = first, longest
        self._next = first

    def take(self) -> float:
        """Return the seconds to wait now."""
        seconds, self._next = self._next, min(2 * self._next, self.longest)
        return seconds

    def reset(self) -> None:
        self._next = self.first
