"""Healthy rooms of a few people, where one who turns away is a large share: false alarms, and collapses found. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from anomalies.bench.corpus import LabelledSession
from anomalies.bench.evaluation import evaluate
from anomalies.bench.simulation import simulate
from anomalies.bench.simulation.script import WARM_UP_SECONDS, Stretch, draw_script, find_place
from anomalies.bench.simulation.session import FIRST_DAY, enact
from anomalies.bench.tally import Tally

SIZES = (5, 8, 12, 20)
KINDS = ("meeting", "workshop")  # in turn
COLLAPSES = {
    "80 % leave": Stretch(0, 120, "MASS_EXIT", exits=0.8, exit_seconds=20, rise=15),
    "80 % turn away": Stretch(0, 180, "SUDDEN_DROP", chat=0.2, reactions=0.2, active=0.2, rise=8),
}
MARGIN_SECONDS = 120.0  # between a collapse and what only looks like one


@dataclass(slots=True)
class SmallRoom:
    """What happened in the rooms of one size: without any incident, and with one collapse each."""

    people: int
    healthy: Tally = field(default_factory=Tally)
    collapses: dict[str, Tally] = field(default_factory=dict)

    def figures(self) -> dict[str, object]:
        return {
            "people": self.people,
            "healthy": self.healthy.figures(),
            "collapses": {name: tally.figures() for name, tally in self.collapses.items()},
        }


def study(
    people: int, hours: float, collapses: int, seed: int, progress: Callable[[int], object] = lambda count: None
) -> SmallRoom:
    """Simulate so many healthy hours and collapses of each kind in rooms for so many people, and judge them.

    `progress` hears of each session.
    """
    room = SmallRoom(people)
    room.healthy = _judge(list(healthy_rooms(people, hours, seed)), progress)
    for number, (name, collapse) in enumerate(COLLAPSES.items(), 1):
        sessions = list(collapsing_rooms(people, collapses, collapse, seed + number))
        room.collapses[name] = _judge(sessions, progress)
    return room


def _judge(sessions: Sequence[LabelledSession], progress: Callable[[int], object]) -> Tally:
    return evaluate(sessions, progress=progress).total


def healthy_rooms(people: int, hours: float, seed: int) -> Iterator[LabelledSession]:
    """Yield rooms without an incident until their planned lengths are so many hours together."""
    left, index = timedelta(hours=hours), 0
    while left > timedelta(0):
        session = simulate(seed, KINDS[index % 2], people, index=index, emits="activity", quiet=True)
        assert session.starts_at is not None
        assert session.ends_at is not None
        left -= session.ends_at - session.starts_at
        index += 1
        yield session


def collapsing_rooms(people: int, count: int, collapse: Stretch, seed: int) -> Iterator[LabelledSession]:
    """Yield so many rooms in each of which it happens once, away from what only looks like it."""
    index = 0
    while count:
        rng = np.random.default_rng([seed, index])
        script = draw_script(rng, KINDS[index % 2], people, "activity", quiet=True)
        start = find_place(rng, script, collapse.end, WARM_UP_SECONDS, MARGIN_SECONDS)
        index += 1
        if start is None:
            continue  # a busy session without room for it
        script.stretches.append(replace(collapse, start=start, end=start + collapse.end))
        count -= 1
        yield enact(rng, script, f"collapse-{people}-{index:05}", FIRST_DAY + timedelta(hours=2 * index))
