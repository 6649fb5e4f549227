"""Simulated sessions of one maker, as arrays: what is judged hundreds of times, with other numbers each time. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anomalies.bench.corpus import LabelledSession
from anomalies.bench.evaluation import score_session
from anomalies.bench.simulation import simulate
from anomalies.bench.tally import Tally, sum_up
from anomalies.detector.arrays import Integers
from anomalies.detector.config import DetectorConfig
from anomalies.detector.prior import shipped
from anomalies.detector.replay import as_arrays, gather, judge_as_arrays
from anomalies.detector.rows import Rows
from anomalies.detector.state import new_states
from anomalies.detector.timetables import Timetables
from engagement.scoring import score_in_order


@dataclass(frozen=True, slots=True)
class Group:
    """Sessions of which the same is known, one after the other."""

    sessions: Sequence[LabelledSession]
    rows: Rows
    whose: Integers  # of each row the place of its session
    plans: Timetables

    def judge(self, config: DetectorConfig) -> Tally:
        """Return what comes out of all of them."""
        states = new_states(len(self.sessions), config.noise)
        judged = judge_as_arrays(states, self.rows, self.whose, self.plans, shipped(), config)
        pairs = zip(self.sessions, judged, strict=True)
        return sum_up(score_session(session, gather(changes)) for session, changes in pairs)


@dataclass(frozen=True, slots=True)
class Fold:
    """What one maker made, by what is known of the audience."""

    name: str
    groups: Mapping[str, Group]


def play_fold(maker: str, wide: bool, seed: int, sessions: Mapping[str, int]) -> Fold:
    """Simulate so many sessions of each sort; the same arguments give the same."""
    groups = {}
    for place, (emits, count) in enumerate(sessions.items()):
        own = seed + place
        played = [simulate(own, index=index, emits=emits, maker=maker, wide=wide) for index in range(count)]
        groups[emits] = as_group(played)
    return Fold(f"{maker}, {'wide' if wide else 'plain'}", groups)


def as_group(sessions: Sequence[LabelledSession]) -> Group:
    """Return sessions as arrays."""
    readings = [score_in_order(session.rows) for session in sessions]
    return Group(sessions, *as_arrays(readings, [session.timetable for session in sessions]))
