"""What the demo plays, second by second of its recording: where it goes on and begins anew, and what is said. Pure.

The recording is a room of which the beginning is there at once, so that the detector knows it. Then it goes on as it
happened until somebody looks: shortly before attention falls. Who comes late sees no less, as it begins anew.
"""

from dataclasses import dataclass

from engagement.slots import ROW_SECONDS

KNOWN_SECONDS = 10 * 60  # what is posted at once
FALLS_SECONDS = 12 * 60  # when attention falls
LOOKED_SECONDS = FALLS_SECONDS - 15  # from here on, as soon as somebody looks; with nobody there it comes by itself
AGAIN_SECONDS = 10 * 60 + 20  # from here on when it is over: the room is as full then as it is here

# From which second on what is said.
CAPTIONS = (
    (0, "The room is as usual: the line lies in the pale band of what is expected here."),
    (LOOKED_SECONDS, "In a moment people look away and write no more. Watch the line leave the pale band."),
    (FALLS_SECONDS, "People look away. The banner turns amber: it says what moved, and what to try."),
    (14 * 60 + 30, "They are back. When the room has been itself for a minute the banner goes without a click."),
    (16 * 60 + 30, "The host has opened a poll. It stands under the line, and does not let the score fall."),
    (17 * 60 + 40, "The poll is closed. Next, many people leave: watch their number, under the line."),
    (18 * 60 + 30, "Six of ten leave within a minute. The banner is amber at first, and turns red as more is lost."),
    (19 * 60 + 50, "No more leave: the banner says how long it lasted, and goes. Each step stands under the signals."),
    (21 * 60, "They come back: the number of people rises, and what is expected is learnt anew."),
    (22 * 60, "All is calm. In a minute or two it begins anew. Under Sessions a second room stays calm all the while."),
)  # fmt: skip


@dataclass(slots=True)
class Playhead:
    """Where the recording stands: the place of the row that comes next."""

    length: int  # rows
    place: int = KNOWN_SECONDS // ROW_SECONDS
    is_seen: bool = False  # whether anybody has looked yet

    def step(self, *, is_watched: bool) -> int:
        """Return the place of the row that is due now, and go on.

        >>> head = Playhead(length=276)
        >>> [head.step(is_watched=looks) * ROW_SECONDS + ROW_SECONDS for looks in (False, False, True, True)]
        [605, 610, 705, 710]
        """
        if is_watched and not self.is_seen:
            self.is_seen = True
            self.place = max(self.place, LOOKED_SECONDS // ROW_SECONDS - 1)
        due = self.place
        self.place = due + 1 if due + 1 < self.length else AGAIN_SECONDS // ROW_SECONDS
        return due


def caption_of(place: int) -> str:
    """Return what is said while a row is the newest.

    >>> caption_of(0)
    'The room is as usual: the line lies in the pale band of what is expected here.'
    """
    second = (place + 1) * ROW_SECONDS
    return next(text for since, text in reversed(CAPTIONS) if since <= second)


def calm_place(step: int, length: int) -> int:
    """Return the place of the row of a calm room at a step: forth and back, so that it never jumps.

    >>> [calm_place(step, 4) for step in range(8)]
    [0, 1, 2, 3, 3, 2, 1, 0]
    """
    turn, place = divmod(step, length)
    return length - 1 - place if turn % 2 else place
