"""The rooms that are told of: the same ids, stories and timestamps in every run."""

import json
import uuid
from collections.abc import Sequence
from functools import cache
from random import Random

from anomalies.bench.simulation import simulate
from benchmarks.client.plan import Story
from engagement.recordings.jsonl import event_object, signals_object

SEED = 1
STORIES = 8
AUDIENCE = 200
ROW_SECONDS = 5.0
MOST_ROWS, MOST_EVENTS = 720, 2_000


def draw_rooms(count: int, series: str) -> list[str]:
    """Return the ids of so many rooms; each series has its own."""
    random = Random(f"{SEED} {series}")
    return [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(count)]


@cache
def tell_rows() -> tuple[tuple[Story, ...], float]:
    """Return what happens in a few quiet webinars, a row every five seconds, and how long that is."""
    rows = [simulate(SEED, "webinar", AUDIENCE, index=story, quiet=True).rows for story in range(STORIES)]
    known = [[row for row in told if not row.is_empty][:MOST_ROWS] for told in rows]
    length = min(map(len, known))
    stories = tuple(
        [(place * ROW_SECONDS, _rest(signals_object(row))) for place, row in enumerate(told[:length])] for told in known
    )
    return stories, length * ROW_SECONDS


@cache
def tell_events() -> tuple[tuple[Story, ...], float]:
    """Return the same in raw events, with ids that differ when a story is told again, and how long that is."""
    stories, longest = [], 0.0
    for number in range(STORIES):
        events = simulate(SEED, "webinar", AUDIENCE, index=number, quiet=True).events[:MOST_EVENTS]
        seconds = [(event.timestamp - events[0].timestamp).total_seconds() for event in events]
        texts = [_rest(event_object(event) | {"id": f"{place}-#"}) for place, event in enumerate(events)]
        stories.append(list(zip(seconds, texts, strict=True)))
        longest = max(longest, seconds[-1])
    return tuple(stories), longest + ROW_SECONDS


def _rest(item: dict[str, object]) -> str:
    """Return an item's JSON without the braces and the timestamp, which the client puts before it."""
    return json.dumps({name: value for name, value in item.items() if name != "timestamp"})[1:-1]


def in_parts(rooms: Sequence[str], size: int) -> list[Sequence[str]]:
    return [rooms[begin : begin + size] for begin in range(0, len(rooms), size)]
