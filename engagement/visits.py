"""What a tab with a beacon in it reports, and what follows from it for the room. Pure.

A report says how it is, not what has changed: so one that is lost, doubled or overtaken does no harm, and the next one
puts right whatever the last one did not tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

USER_PREFIX = "beacon:"  # no token writes of people whom the platform itself tells of
KEY_BYTES = 16  # of the id of what somebody did: two that are alike by chance there are none

# From when on who says nothing is taken for gone. The beacon speaks every 20 s while it is seen, give or take a tenth.
# One that is not seen does every 45 s, and browsers wake hidden tabs once a minute at worst: that makes 105. To both
# come 20 s in which a server may be away unnoticed, and 15 between two attempts of a beacon.
UNHEARD_SECONDS, UNHEARD_UNSEEN_SECONDS = 60, 150


class VisitState(StrEnum):
    FOCUS = "focus"  # the page is seen
    BLUR = "blur"  # it is open, and hidden
    HERE = "here"  # it is open, and its visitor wants no more to be known
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Activity:
    """A chat message or a reaction, so long before the report was sent; `number` tells a repeat from another one."""

    number: int
    type: str
    seconds_ago: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What one tab says: the larger its `number`, the newer."""

    person: str
    number: int
    state: VisitState
    activities: Sequence[Activity] = ()

    @property
    def user(self) -> str:
        return USER_PREFIX + self.person

    def key(self, activity: Activity) -> str:
        """Return the id of an activity's raw event, the same however often it is sent.

        It outlives the name of whose it is, so it does not hold it.
        """
        return USER_PREFIX + blake2b(f"{self.person}:{activity.number}".encode(), digest_size=KEY_BYTES).hexdigest()

    @property
    def size(self) -> int:
        """Return for how many items it counts: itself, as most that come are nothing else, and each that was done."""
        return 1 + len(self.activities)

    def made_private(self) -> "Report":
        """Return what is left of it where the browser says that its visitor wants no more to be known."""
        return Report(self.person, self.number, self.state if self.state is VisitState.LEFT else VisitState.HERE)


def find_changes(before: VisitState, after: VisitState) -> Sequence[str]:
    """Return the types of raw events that lead from one state to the other.

    >>> find_changes(VisitState.LEFT, VisitState.FOCUS), find_changes(VisitState.FOCUS, VisitState.BLUR)
    (('join', 'focus'), ('blur',))
    >>> find_changes(VisitState.LEFT, VisitState.HERE), find_changes(VisitState.FOCUS, VisitState.HERE)
    (('join',), ('blur',))
    >>> find_changes(VisitState.BLUR, VisitState.LEFT), find_changes(VisitState.BLUR, VisitState.BLUR)
    (('leave',), ())
    """
    if before == after:
        return ()
    if after is VisitState.LEFT:
        return ("leave",)
    joined = ("join",) if before is VisitState.LEFT else ()
    if after is VisitState.HERE:
        # Who is known to look would look for ever.
        return ("blur",) if before is VisitState.FOCUS else joined
    return (*joined, after.value)


def sign_of_life(state: VisitState) -> str:
    """Return the type of raw event that says once more what a room knows, and so changes no count.

    >>> sign_of_life(VisitState.FOCUS), sign_of_life(VisitState.HERE)
    ('focus', 'join')
    """
    return "join" if state is VisitState.HERE else state.value
