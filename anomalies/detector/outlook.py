"""What a session's detector expects just now, in the units of the signals, and whether it can tell. Pure."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from anomalies.detector.arrays import Mask
from anomalies.detector.config import DEFAULT, DetectorConfig, Holding
from anomalies.detector.sizes import BLOCK_SLOTS, SLOT_SECONDS, SLOTS_PER_MINUTE
from anomalies.detector.state import BAND_UNITS, Series, States, Usual


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a screen shows of a detector state.

    `band` holds (moment, low, high) every 30 s, scores 0..1, oldest first, each good until the next; `usual`
    maps a signal (`chat_msgs_per_min`, `reactions_per_min`, `active_share`, `user_leave_rate`) to what is
    usual in this room now, in the signal's own unit. Nothing is expected before the detector knows the room.
    """

    learning_seconds_left: int = 0
    expected: float | None = None
    band: tuple[tuple[datetime, float, float], ...] = ()
    usual: dict[str, float] = field(default_factory=dict)


def outlook_of(state: States, config: DetectorConfig = DEFAULT) -> Outlook:
    """Return what one session's detector expects now.

    >>> from anomalies.detector.state import new_states
    >>> outlook_of(new_states()[0])
    Outlook(learning_seconds_left=60, expected=None, band=(), usual={})
    """
    expected = float(state.usual_of(Usual.MEAN_SCORE))
    return Outlook(
        learning_seconds_left=learning_seconds_left(state, config),
        expected=None if np.isnan(expected) else expected,
        band=_band(state),
        usual=_usual(state),
    )


def learning_seconds_left(state: States, config: DetectorConfig = DEFAULT) -> int:
    """Return for how long it is too early to say anything."""
    return max(0, config.opening.warm_slots - int(state.slots)) * SLOT_SECONDS


def is_learning(states: States, config: DetectorConfig = DEFAULT) -> Mask:
    """Tell of each session whether it is too early to say anything."""
    return np.asarray(states.slots < config.opening.warm_slots)


def is_trusted(states: States, holding: Holding = DEFAULT.holding) -> Mask:
    """Tell of each session whether its rows can be believed: not many are held, and they do not stand still."""
    return np.asarray((states.held < holding.untrusted_rows) & (states.same < holding.untrusted_same_rows))


def _band(state: States) -> tuple[tuple[datetime, float, float], ...]:
    """Return the stored band; a block that was not learnt (an incident) leaves the time between open to the next."""
    n = int(state.n_band)
    if n == 0:
        return ()
    newest, step = datetime.fromtimestamp(float(state.band_at), UTC), timedelta(seconds=BLOCK_SLOTS * SLOT_SECONDS)
    blocks = zip(range(n - 1, -1, -1), state.band[-n:].tolist(), strict=True)
    return tuple((newest - ago * step, low / BAND_UNITS, high / BAND_UNITS) for ago, (low, high) in blocks if high > 0)


def _usual(state: States) -> dict[str, float]:
    people = float(state.newest(Series.PEOPLE))
    values = {
        "chat_msgs_per_min": float(state.usual_of(Usual.CHAT_RATE)) * people * SLOTS_PER_MINUTE,
        "reactions_per_min": float(state.usual_of(Usual.REACTION_RATE)) * people * SLOTS_PER_MINUTE,
        "active_share": float(state.usual_of(Usual.ACTIVE_SHARE)),
        "user_leave_rate": float(state.usual_of(Usual.LEAVE_RATE)) * SLOTS_PER_MINUTE,
    }
    return {name: value for name, value in values.items() if not np.isnan(value)}
