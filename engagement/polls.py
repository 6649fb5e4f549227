"""The open polls of a room: who could vote in them, and how many did. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from engagement.people import Person

MAX_POLLS = 16  # open at once; one more closes the oldest, as some platforms never close any


@dataclass(slots=True)
class Poll:
    number: int
    opened_at: int
    could_vote: int  # all who were here at any time since it opened, and who voted
    voters: int


@dataclass(slots=True)
class Polls:
    """Those that are open, in the order in which they opened; a poll without a name is the newest of them."""

    opened: int = 0  # ever: what the next one's number follows
    running: dict[str, Poll] = field(default_factory=dict)

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> "Polls":
        return cls(packed["opened"], {name: Poll(**poll) for name, poll in packed["running"]})

    def pack(self) -> dict[str, Any]:
        """Return what `unpack` takes, as values that JSON has. Objects of JSON have no order, so polls are pairs."""
        return {"opened": self.opened, "running": [(name, asdict(poll)) for name, poll in self.running.items()]}

    def open(self, moment: int, name: str, present: int) -> None:
        """Open a poll while so many are present; one that is open stays as it is."""
        if name in self.running:
            return
        if len(self.running) == MAX_POLLS:
            del self.running[next(iter(self.running))]
        self.opened += 1
        self.running[name] = Poll(self.opened, moment, present, 0)

    def close(self, name: str) -> None:
        self.running.pop(self._name_of(name), None)

    def welcome(self, person: Person) -> None:
        """Let somebody vote who comes, before they are present."""
        for poll in self.running.values():
            if not person.was_here_since(poll.opened_at) and poll.number not in person.votes:
                poll.could_vote += 1

    def vote(self, person: Person | None, name: str) -> None:
        """Count a voter; a vote without a person is one more voter."""
        poll = self.running.get(self._name_of(name))
        if poll is None:
            return
        if person is not None:
            if poll.number in person.votes:
                return
            poll.could_vote += not person.was_here_since(poll.opened_at)
            open_numbers = {poll.number for poll in self.running.values()}
            person.votes = [number for number in person.votes if number in open_numbers] + [poll.number]
        poll.voters += 1

    @property
    def participation(self) -> float | None:
        """The share of those who could vote in the newest open poll that did; None where there is none.

        Those who could are all who were here since it opened, also who left: else an exit would raise the share.
        """
        poll = next(reversed(self.running.values()), None)
        return min(1.0, poll.voters / poll.could_vote) if poll is not None and poll.could_vote else None

    def age(self, moment: int) -> int | None:
        """Return for how long (µs) the newest open poll has been open; None where there is none."""
        poll = next(reversed(self.running.values()), None)
        return None if poll is None else moment - poll.opened_at

    def _name_of(self, name: str) -> str:
        """Return the open poll that is meant: the newest, where none is named."""
        return name if name or name in self.running else next(reversed(self.running), name)
