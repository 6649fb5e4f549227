"""The last minute by slots of 5 s, newest last: what moves on with every row. Pure."""

ROW_SECONDS = 5
WINDOW_SECONDS = 60

SECOND = 1_000_000
ROW = ROW_SECONDS * SECOND
WINDOW = WINDOW_SECONDS * SECOND
SLOTS = WINDOW // ROW

Slots = list[int]


def new_slots() -> Slots:
    return [0] * SLOTS


def row_end(moment: int) -> int:
    """Return the end of the slot that holds a moment."""
    return moment // ROW * ROW + ROW


def take_out(slots: Slots, moment: int, end: int) -> None:
    """Take one out of the slot that holds a moment, if that is still among them; the newest ends at `end`.

    >>> slots = [3, 3, 3]
    >>> take_out(slots, moment=ROW, end=3 * ROW)
    >>> slots
    [3, 2, 3]
    """
    age = (end - row_end(moment)) // ROW
    if age < SLOTS:
        slots[-1 - age] -= 1


def move_on(slots: Slots, count: int) -> None:
    """Begin so many slots anew, and forget as many.

    >>> slots = [1, 2, 3]
    >>> move_on(slots, 2)
    >>> slots
    [3, 0, 0]
    """
    del slots[:count]
    slots.extend([0] * count)
