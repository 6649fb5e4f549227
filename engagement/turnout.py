"""What polls say of an audience: the share who voted, beside what a poll of its age can have. Pure."""

from dataclasses import dataclass, field
from math import exp
from typing import Any

# Before that even a keen audience may still read the question: in five polls of a real class of ten the first vote came
# after 1.2 to 4.0 s.
LAG_SECONDS = 4.0
# How slowly the votes come in: half of those that will come have come after 21 s, nine of ten after a minute, which is
# as long as hosts are told to keep a poll open. That class is far quicker (half of its 33 votes within 4.7 s, the last
# after 13.7 s) and loses nothing by it: a poll only weighs little as long as a slower audience could not have answered.
GROWTH_SECONDS = 25.0
FADE_SECONDS = 60.0  # a poll that has closed is remembered as long as all else that counts in a row
UNSEEN_SECONDS = 120.0  # over a longer gap nobody saw when a poll opened
OTHER_POLL = 0.5  # where so small a part is left of the participation from row to row, it is another poll's


@dataclass(frozen=True, slots=True)
class Turnout:
    """How many of those who could have voted by now did (0..1), and how much of their weight (0..1) polls have."""

    share: float
    weight: float

    def pack(self) -> dict[str, float]:
        return {"share": self.share, "weight": self.weight}


NOTHING = Turnout(0.0, 0.0)


def growth(age_seconds: float | None) -> float:
    """Return which part (0..1) of the votes that will come can have come by an age; all where it is not known.

    >>> [round(growth(age), 2) for age in (0, 5, 20, 60, 300)], growth(None)
    ([0.0, 0.04, 0.47, 0.89, 1.0], 1.0)
    """
    return 1.0 if age_seconds is None else 1.0 - exp(-max(0.0, age_seconds - LAG_SECONDS) / GROWTH_SECONDS)


def compare(participation: float, age_seconds: float | None) -> Turnout:
    """Return what the participation in a poll of this age says.

    The younger a poll, the less it weighs: nothing at first, and all once everybody has had time. So what is not voted
    yet is unknown and never 0. A poll of unknown age is one for which everybody had time.

    >>> compare(0.25, None), compare(0.25, 0)
    (Turnout(share=0.25, weight=1.0), Turnout(share=0.0, weight=0.0))
    >>> turnout = compare(0.25, 20)
    >>> round(turnout.share, 2), round(turnout.weight, 2)
    (0.53, 0.47)
    """
    can_have = growth(age_seconds)
    return Turnout(min(1.0, participation / can_have), can_have) if can_have else NOTHING


@dataclass(slots=True)
class Polling:
    """The polls of a session as its rows tell of them, oldest first; all that the next row must know of those before.

    **Age.** A row may tell how old its newest open poll is, exactly. Else the poll is as old as the unbroken run of
    rows with participation: the least age that the rows prove. A run that began before the first row, or in a gap,
    began nobody knows when; and where the participation falls by more than half from row to row, another poll opened.

    **What closes fades.** Every rate of a row looks back on a minute, and so do polls: one that has closed weighs as
    much as before at first, and nothing a minute later, in which it makes room for one that opens meanwhile. Were it
    forgotten at once, a poll that went well would let the score fall by closing.
    """

    heard_at: float | None = None  # the newest row, in seconds since 1970; None before the first
    is_open: bool = False
    opened_at: float | None = None  # None: nobody saw it
    participation: float = 0.0
    newest: Turnout = field(default=NOTHING)  # what was said of the newest row with an open poll
    kept: Turnout = field(default=NOTHING)  # what was said when the last poll closed ...
    closed_at: float = 0.0  # ... and when that was

    @classmethod
    def unpack(cls, packed: dict[str, Any] | None, heard_at: float | None) -> "Polling":
        """Return what was packed after the row of that moment."""
        if packed is None:
            return cls(heard_at)
        turnouts = {name: Turnout(**packed[name]) for name in ("newest", "kept")}
        return cls(heard_at, **{**packed, **turnouts})

    def pack(self) -> dict[str, Any] | None:
        """Return what `unpack` takes, as values that JSON has; None where the next row need not know of any poll."""
        if not self.is_open and not self._remembered(self.heard_at or 0.0).weight:
            return None
        return {
            "is_open": self.is_open,
            "opened_at": self.opened_at,
            "participation": self.participation,
            "newest": self.newest.pack(),
            "kept": self.kept.pack(),
            "closed_at": self.closed_at,
        }

    def hear(self, at: float, participation: float | None, age_seconds: float | None = None) -> Turnout:
        """Take the next row, and return what polls say in it."""
        if participation is None:
            if self.is_open:
                self._close(at)
            said = self._remembered(at)
        else:
            self._open(at, participation, age_seconds)
            age = None if self.opened_at is None else at - self.opened_at
            said = self.newest = _join(compare(participation, age), self._remembered(at))
            self.participation = participation
        self.heard_at = at
        return said

    def _open(self, at: float, participation: float, age_seconds: float | None) -> None:
        if age_seconds is not None:
            opened_at: float | None = at - age_seconds
            is_other = self.opened_at is not None and opened_at is not None and opened_at > self.opened_at + 1
        else:
            is_seen = self.heard_at is not None and at - self.heard_at <= UNSEEN_SECONDS
            opened_at = at if is_seen else None
            is_other = participation < OTHER_POLL * self.participation
        if self.is_open and is_other:
            self._close(at)
        if not self.is_open:
            self.is_open, self.opened_at = True, opened_at

    def _close(self, at: float) -> None:
        heard_at = at if self.heard_at is None else self.heard_at
        self.is_open, self.kept = False, self.newest
        self.closed_at = at if at - heard_at <= UNSEEN_SECONDS else heard_at

    def _remembered(self, at: float) -> Turnout:
        """Return what a poll that has closed still says."""
        left = max(0.0, 1.0 - (at - self.closed_at) / FADE_SECONDS)
        return Turnout(self.kept.share, self.kept.weight * left) if left else NOTHING


def _join(new: Turnout, old: Turnout) -> Turnout:
    """Return what two polls say together: the old one what the new one leaves room for."""
    weight = (1.0 - new.weight) * old.weight
    if not weight:
        return new
    total = new.weight + weight
    return Turnout((new.share * new.weight + old.share * weight) / total, total)
