"""Name what was found and say it in one sentence: type, evidence by signal, description, advice. Pure."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from anomalies.detector.arrays import Floats, Integers, Mask, or_zero
from anomalies.detector.config import DetectorConfig
from anomalies.detector.rows import Rows
from anomalies.detector.sizes import HISTORY_SLOTS, SLOTS_PER_MINUTE
from anomalies.detector.state import (
    ACTIVE_SHARE,
    ACTIVITY,
    CHAT_RATE,
    CHATS,
    LEAVE_RATE,
    LEAVERS,
    MEAN_SCORE,
    PEOPLE,
    REACTION_RATE,
    REACTIONS,
    SCORE,
    States,
)
from anomalies.detector.verdicts import Verdicts
from engagement.wording import write_percent


class AnomalyType(IntEnum):
    """The types of anomaly in the published order of urgency."""

    GRADUAL_DECLINE = 1
    SUDDEN_DROP = 2
    LOW_ENGAGEMENT = 3
    MASS_EXIT = 4


@dataclass(frozen=True, slots=True)
class SignalEvidence:
    """What one signal did: per minute or a share, against what was usual; `change` is relative, z in σ."""

    observed: float
    expected: float
    z: float
    moved: bool

    @property
    def change(self) -> float | None:
        return None if self.expected == 0 else self.observed / self.expected - 1


@dataclass(frozen=True, slots=True)
class Finding:
    """All that is known of an incident at one row: scores 0..1, evidence by signal, the moved ones first."""

    current: float | None
    expected: float | None
    tree_score: float
    z_score: float
    audience: int | None
    signals: dict[str, SignalEvidence]
    description: str
    advice: str


ADVICE = {
    AnomalyType.MASS_EXIT: "Check that sound, picture and link still work, and say what comes next.",
    AnomalyType.LOW_ENGAGEMENT: "Ask the room a question or open a poll; check that people can hear and see.",
    AnomalyType.SUDDEN_DROP: "Check sound, picture and chat; then ask the audience something.",
    AnomalyType.GRADUAL_DECLINE: "Change the pace: a question, a poll, or a short break.",
}
MOVED_Z = 1.5


def classify(
    states: States,
    rows: Rows,
    verdicts: Verdicts,
    mean_score: Floats,
    is_dead: Mask,
    config: DetectorConfig,
) -> Integers:
    """Return the `AnomalyType` that each session's newest row would be, in the published order."""
    is_large = (rows.leave_rate >= config.exits.mass_rate) & (count_leavers(states) >= config.exits.least_leavers)
    is_exit = verdicts.is_exit | is_large
    anomaly_types = np.where(
        mean_score <= config.low_engagement, AnomalyType.LOW_ENGAGEMENT, AnomalyType.GRADUAL_DECLINE
    )
    anomaly_types = np.where(is_dead, AnomalyType.LOW_ENGAGEMENT, anomaly_types)
    return np.where(is_exit, AnomalyType.MASS_EXIT, anomaly_types)


def count_leavers(states: States) -> Floats:
    """Return how many people left each session, or one session, within the last minute."""
    left = states.history[..., LEAVERS, -SLOTS_PER_MINUTE:].astype(np.float64)
    return np.asarray(np.cumsum(or_zero(left), axis=-1)[..., -1])


def is_step(state: States, has_activity: bool, config: DetectorConfig) -> bool:
    """Tell whether the fall of the last two minutes is a SUDDEN_DROP and not a GRADUAL_DECLINE.

    All signals, relative to what is usual, are fitted by least squares as a ramp: 1 up to some moment and falling
    evenly since; the moment that explains most, summed over the signals by their precision, is when it began. Where
    the active share says something, it is sudden if enough of that share's fall came in its steepest 30 s, the more
    the longer ago it began, or if it fell far within the last 15 s; else if it began within `sudden_slots`, or if a
    step explains as much as the ramp.
    """
    history, usual = state.history.astype(np.float64), state.usual.astype(np.float64)
    people, share = history[PEOPLE], usual[ACTIVE_SHARE]
    falls, weights = [], []
    for signal, rate in ((CHATS, CHAT_RATE), (REACTIONS, REACTION_RATE)):
        expected = or_zero(usual[rate] * people)
        seen = or_zero(history[signal])
        falls.append(1 - np.divide(seen, expected, out=np.ones(HISTORY_SLOTS), where=expected > 0))
        weights.append(expected / (config.counts.dispersion + config.counts.rate_spread**2 * expected))
    if has_activity:
        falls.append(or_zero(1 - history[ACTIVITY] / share))
        variance = (1 - share) / (np.maximum(1.0, people) * share) + config.shares.spread**2
        weights.append(np.where(people > 0, 1 / variance, 0.0))
    ramps, steps = (_explained(shapes, np.array(weights), np.array(falls)) for shapes in (_RAMPS, _STEPS))
    began = int(_AGES[ramps.argmax()])
    if has_activity:
        chance = np.sqrt((1 - share) / (share * max(1.0, people[-1])))
        if _latest_fall(history[ACTIVITY]) >= config.sudden_fall + config.sudden_noise * chance:
            return True
        return _steepest_part(history[ACTIVITY]) >= config.sudden_part + config.sudden_age * float(np.log(began))
    return bool(began <= config.sudden_slots or steps.max() >= ramps.max())


def _latest_fall(shares: Floats) -> float:
    """Return by how much the logarithm of the share has fallen within the last 15 s; 0 where that is not known."""
    before, now = shares[-5:-3].mean(), shares[-1]
    return float(np.log(before / now)) if before > 0 and now > 0 else 0.0


def _steepest_part(shares: Floats) -> float:
    """Return how much of the fall from the highest share of two minutes came in its steepest 30 s."""
    known = shares[~np.isnan(shares)]
    if len(known) < 10:
        return 1.0
    falls = [known[-k - 9 : -k - 6].mean() - known[-k - 2 : len(known) - k].mean() for k in range(len(known) - 8)]
    whole = known.max() - known[-2:].mean()
    return float(max(falls) / whole) if whole > 0 else 1.0


_AGES = np.arange(2 * HISTORY_SLOTS - 1, 0, -1)  # slots ago that a ramp began, maybe before what is remembered
_SLOTS_AGO = np.arange(HISTORY_SLOTS - 1, -1, -1)
_RAMPS = np.clip(1 - _SLOTS_AGO / _AGES[:, None], 0, 1)
_STEPS = (np.arange(HISTORY_SLOTS) >= np.arange(HISTORY_SLOTS)[:, None]).astype(np.float64)


def _explained(shapes: Floats, weights: Floats, falls: Floats) -> Floats:
    """Return how much of the falls (signals, slots) each of the shapes (shapes, slots) explains."""
    along = np.einsum("ms,ks,ks->mk", shapes, weights, falls)
    power = np.einsum("ms,ks->mk", shapes**2, weights)
    explained = np.where(power > 0, np.maximum(0.0, along) ** 2 / np.where(power > 0, power, 1.0), 0.0)
    return np.asarray(explained.sum(axis=1))


def explain(state: States, row: Rows, verdicts: Verdicts, place: int) -> Finding:
    """Return what a host needs to know of one session's incident, from the evidence that opened or changed it."""
    anomaly_type = AnomalyType(int(state.anomaly_type))
    signals = _signals(state, row, verdicts, place)
    expected, current = float(state.usual[MEAN_SCORE]), float(state.history[SCORE, -1])
    audience = None if np.isnan(row.present) else int(row.present)
    return Finding(
        current=None if np.isnan(current) else round(current, 4),
        expected=None if np.isnan(expected) else round(expected, 4),
        tree_score=round(float(verdicts.trees[place]), 4),
        z_score=round(float(max(verdicts.evidence.worst[place], verdicts.exit_z[place])), 3),
        audience=audience,
        signals=signals,
        description=describe(anomaly_type, signals, audience, state),
        advice=ADVICE[anomaly_type],
    )


def _signals(state: States, row: Rows, verdicts: Verdicts, place: int) -> dict[str, SignalEvidence]:
    usual, history = state.usual.astype(np.float64), state.history.astype(np.float64)
    people = history[PEOPLE, -1]
    found: dict[str, SignalEvidence] = {}
    for name, signal, rate, z in (
        ("chat_msgs_per_min", CHATS, CHAT_RATE, verdicts.evidence.chat),
        ("reactions_per_min", REACTIONS, REACTION_RATE, verdicts.evidence.reactions),
    ):
        if not np.isnan(history[signal, -1]) and not np.isnan(usual[rate]):
            half_minute = 2 * float(np.cumsum(or_zero(history[signal, -6:]))[-1])
            found[name] = _evidence(half_minute, usual[rate] * people * SLOTS_PER_MINUTE, z[place])
    if not np.isnan(history[ACTIVITY, -1]) and not np.isnan(usual[ACTIVE_SHARE]):
        found["active_share"] = _evidence(
            float(history[ACTIVITY, -1]), usual[ACTIVE_SHARE], verdicts.evidence.activity[place]
        )
    left = float(count_leavers(state))
    share = left / max(1.0, left + people) if np.isnan(row.leave_rate) else float(row.leave_rate)
    if left > 0 or not np.isnan(row.leave_rate):
        churn = float(np.nan_to_num(usual[LEAVE_RATE])) * SLOTS_PER_MINUTE
        found["user_leave_rate"] = _evidence(share, churn, verdicts.exit_z[place])
    return dict(sorted(found.items(), key=lambda item: -item[1].z))


def _evidence(observed: float, expected: float, z: float) -> SignalEvidence:
    return SignalEvidence(round(observed, 4), round(float(expected), 4), round(float(z), 3), bool(z >= MOVED_Z))


def describe(anomaly_type: AnomalyType, signals: dict[str, SignalEvidence], audience: int | None, state: States) -> str:
    """Say in one sentence what happened, with the figures of the signal that moved most."""
    left_evidence = signals.get("user_leave_rate")
    if anomaly_type == AnomalyType.MASS_EXIT and left_evidence is not None:
        left = round(float(count_leavers(state)))
        of = "" if audience is None else f" {left} of {left + audience} people left,"
        return f"{of} {write_percent(left_evidence.observed)} of the audience within a minute.".strip()
    moved = [(name, e) for name, e in signals.items() if e.moved and name != "user_leave_rate"]
    if not moved:
        return (
            "The room has been nearly silent for a minute."
            if anomaly_type == AnomalyType.LOW_ENGAGEMENT
            else "Several signals together lie below what is usual in this room."
        )
    verb = "fell slowly" if anomaly_type == AnomalyType.GRADUAL_DECLINE else "fell"
    sentences = [_fall(name, e, verb) for name, e in moved[:2]]
    text = " and ".join(sentences)
    stayed = left_evidence is not None and not left_evidence.moved
    return text[0].upper() + text[1:] + (" while the audience stayed." if stayed else ".")


def _fall(name: str, e: SignalEvidence, verb: str) -> str:
    if name == "active_share":
        return f"the active share {verb} from {write_percent(e.expected)} to {write_percent(e.observed)}"
    what = {"chat_msgs_per_min": "chat", "reactions_per_min": "reactions"}[name]
    return f"{what} {verb} from {_number(e.expected)} to {_number(e.observed)} a minute"


def _number(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 3 or rate == int(rate) else f"{rate:.1f}"
