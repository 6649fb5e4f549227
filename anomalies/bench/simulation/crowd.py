"""The simulated audience: who is here, who looks, who talks; second by second. Pure."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from anomalies.bench.simulation.script import Script, Stretch

People = NDArray[np.int64]

ARRIVE_SECONDS = 330  # by then nearly all who come are here
FOCUS_SECONDS = 45.0  # how fast a person's focus forgets what it was
STARTLED_FOCUS_SECONDS = 7.0  # the same while something happens


class Crowd:
    """Everybody who may come to one session. Each step moves one second on and notes the events."""

    def __init__(self, rng: np.random.Generator, script: Script):
        self.rng = rng
        self.script = script
        arrivals = _draw_arrivals(rng, script)
        self.arrivals = arrivals
        people = len(arrivals)
        concentration = 6.0
        self.attention = rng.beta(script.active * concentration, (1 - script.active) * concentration, people)
        self.talkativeness = rng.lognormal(0.0, 1.0, people)
        self.present = np.zeros(people, dtype=bool)
        self.focused = np.zeros(people, dtype=bool)
        self.voted = np.zeros(people, dtype=bool)
        self.arrived = 0
        self.returning: dict[int, list[int]] = defaultdict(list)
        self.leaving: dict[int, int] = {}  # how many still leave in an exit, by the exit's start
        self.events: list[tuple[int, str, int]] = []  # millisecond, type, person

    def act(self, second: int, count: int, what: str) -> None:
        """Let people who are here and look do something; the talkative do most of it."""
        able = np.flatnonzero(self.present & self.focused)
        if count and len(able):
            weights = np.cumsum(self.talkativeness[able])
            chosen = able[np.searchsorted(weights, self.rng.random(count) * weights[-1])]
            self._note(second, what, chosen, 0, 500)

    def vote(self, second: int, chance: float) -> None:
        """Let those who look and did not vote yet do so, each with this chance."""
        able = np.flatnonzero(self.present & self.focused & ~self.voted)
        voters = able[self.rng.random(len(able)) < chance]
        self.voted[voters] = True
        self._note(second, "poll_vote", voters, 0, 500)

    def come(self, second: int) -> None:
        """Let in who arrives in this second, and who is back from a reconnect."""
        until = int(np.searchsorted(self.arrivals, second + 1))
        new = np.arange(self.arrived, until)
        self.arrived = until
        back = np.array(self.returning.pop(second, []), dtype=np.int64)
        people = np.concatenate([new, back])
        if len(people):
            self.present[people] = True
            self._note(second, "join", people, 500, 750)
            self._focus(second, people[self.rng.random(len(people)) < self.attention[people]], 750, 1000)

    def go(self, second: int, share: float, reconnecting: float) -> None:
        """Let a share of those who are here leave; some of them only lose their connection."""
        here = np.flatnonzero(self.present)
        count = self.rng.binomial(len(here), min(1.0, share))
        self._leave(second, here, count, reconnecting, 3, 110)

    def exit(self, second: int, stretch: Stretch) -> None:
        """Let this second's part of a mass exit leave, and send some of them back later."""
        here = np.flatnonzero(self.present)
        key = int(stretch.start)
        left = self.leaving.setdefault(key, round(stretch.exits * len(here)))
        remaining = max(1.0, stretch.start + stretch.exit_seconds - second)
        count = min(len(here), left, int(self.rng.poisson(left / remaining)))
        self.leaving[key] = left - count
        self._leave(second, here, count, stretch.returns, 150, 400)

    def look(self, second: int, factor: float, startled: bool) -> None:
        """Move the focus of all towards what holds now: each person's attention times `factor`."""
        rate = 1 / (STARTLED_FOCUS_SECONDS if startled else FOCUS_SECONDS)
        wanted = np.clip(self.attention * factor, 0.01, 0.99)
        draws = self.rng.random(len(wanted))
        turn_off = self.present & self.focused & (draws < rate * (1 - wanted))
        turn_on = self.present & ~self.focused & (draws < rate * wanted)
        self.focused[turn_off] = False
        self._note(second, "blur", np.flatnonzero(turn_off), 500, 1000)
        self._focus(second, np.flatnonzero(turn_on), 500, 1000)

    def _focus(self, second: int, people: People, since: int, until: int) -> None:
        self.focused[people] = True
        self._note(second, "focus", people, since, until)

    def _leave(self, second: int, here: People, count: int, back: float, soonest: int, latest: int) -> None:
        if count <= 0:
            return
        leavers = self.rng.choice(here, size=count, replace=False)
        self.present[leavers] = False
        self.focused[leavers] = False
        self._note(second, "leave", leavers, 500, 1000)
        for person in leavers[self.rng.random(count) < back]:
            away = min(latest, soonest + self.rng.exponential((latest - soonest) / 3))
            self.returning[second + 1 + int(away)].append(int(person))

    def _note(self, second: int, what: str, people: People, since: int, until: int) -> None:
        if len(people):
            moments = 1000 * second + self.rng.integers(since, until, len(people))
            self.events.extend(zip(moments.tolist(), [what] * len(people), people.tolist(), strict=True))


def _draw_arrivals(rng: np.random.Generator, script: Script) -> People:
    """Return the seconds of arrival, in order.

    Some wait at the door, most come in the first minutes, and some come late in place of those who left.
    """
    waiting = int(rng.uniform(0.1, 0.35) * script.audience)
    coming = script.audience - waiting
    latest = rng.uniform(ARRIVE_SECONDS, script.seconds * 0.5, coming)
    early = np.minimum(rng.gamma(3.0, rng.uniform(35, 60), coming), latest)
    leaving_for_good = script.churn * (1 - script.reconnecting) * script.audience / 60
    replaced = rng.poisson(leaving_for_good * script.seconds * rng.uniform(0.6, 1.1))
    late = rng.uniform(120, script.seconds, replaced)
    return np.sort(np.concatenate([np.zeros(waiting), early, late])).astype(np.int64)
