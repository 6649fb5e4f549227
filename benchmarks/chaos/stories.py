"""What an integrator has to tell: simulated sessions, by rows or by raw events, that happened some time ago."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from anomalies.bench.simulation import simulate
from engagement.readings import Reading
from engagement.recordings.jsonl import event_object, reading, signals_object
from engagement.windows import RawEvent

AUDIENCE = 60
MOST_ITEMS = 4_000  # of one story: there are always more of them

Items = Sequence[Reading] | Sequence[RawEvent]


@dataclass(frozen=True, slots=True)
class Story:
    """One session, in time order: what its platform sends, by rows or by raw events with ids."""

    name: str
    items: Items

    @property
    def has_events(self) -> bool:
        return isinstance(self.items[0], RawEvent)

    def objects(self, begin: int, end: int) -> list[dict[str, object]]:
        """Return some of it as the JSON of the interface."""
        return [_as_object(item) for item in self.items[begin:end]]


def tell_rows(seed: int) -> Story:
    """Return a session by rows, as they are after a journey as JSON: without the counts that only we know."""
    rows = {row.timestamp: reading(signals_object(row)) for row in simulate(seed, "webinar", AUDIENCE).rows}
    known = [row for row in rows.values() if not row.is_empty]
    return Story(f"rows-{seed}", known[:MOST_ITEMS])


def tell_events(seed: int) -> Story:
    """Return a session by raw events."""
    events = simulate(seed, "meeting").events[:MOST_ITEMS]
    return Story(f"events-{seed}", [replace(event, id=str(number)) for number, event in enumerate(events)])


def _as_object(item: Reading | RawEvent) -> dict[str, object]:
    return event_object(item) if isinstance(item, RawEvent) else signals_object(item)
