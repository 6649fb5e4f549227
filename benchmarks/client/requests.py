"""The requests of a load, one after the other: which rooms, which items, which bytes. Knows no clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.client.plan import Load

# All of it happened long ago, so that no clock closes a window: the same load leads to the same verdicts at any speed.
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    body: bytes
    items: list[tuple[str, str]]  # room and timestamp of each


def requests_of(load: Load) -> Iterator[Request]:
    """Yield requests for ever: the rooms take turns, and each goes on where it was."""
    begin, number = 0, load.first
    while True:
        rooms = load.rooms[begin : begin + load.rooms_a_request]
        items, texts = [], []
        for place in range(number, number + load.items_a_room):
            for at, room in enumerate(rooms, begin):
                moment, text = item_of(load, at, place)
                named = "" if "{room}" in load.path else f'"session_id":"{room}",'
                items.append((room, moment))
                texts.append(f'{{{named}"timestamp":"{moment}",{text}}}')
        body = texts[0] if load.is_alone else f"[{','.join(texts)}]"
        yield Request(load.path.format(room=rooms[0]), body.encode(), items)
        begin += load.rooms_a_request
        if begin + load.rooms_a_request > len(load.rooms):
            begin, number = 0, number + load.items_a_room


def item_of(load: Load, room: int, place: int) -> tuple[str, str]:
    """Return the timestamp, and the rest as text, of the item at some place of a room's story."""
    story = load.stories[room % len(load.stories)]
    told, place = divmod(place, len(story))
    seconds, text = story[place]
    at = START + timedelta(seconds=told * load.period_seconds + seconds)
    return at.isoformat(), text.replace("#", str(told))
