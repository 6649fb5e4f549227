"""Name what was found and say it in one sentence: type, evidence by signal, description, advice. Pure."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from anomalies.detector.arrays import NEWEST, Floats, Integers, Mask, or_zero
from anomalies.detector.config import DetectorConfig, Findings, SuddenDrops
from anomalies.detector.rows import Rows
from anomalies.detector.sizes import HISTORY_SLOTS, SLOTS_PER_MINUTE
from anomalies.detector.state import Signal, States, Usual
from anomalies.detector.verdicts import Verdicts
from engagement.wording import write_percent

DIGITS, Z_DIGITS = 4, 3  # of what is told
WHOLE_FROM = 3  # a minute; smaller rates are told to a tenth


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


def classify(
    states: States, rows: Rows, verdicts: Verdicts, mean_score: Floats, is_dead: Mask, config: DetectorConfig
) -> Integers:
    """Return the `AnomalyType` that each session's newest row would be, in the published order.

    Whether a decline is a SUDDEN_DROP, `is_sudden` tells.
    """
    exits = config.exits
    is_large = (rows.leave_rate >= exits.mass_rate) & (count_leavers(states) >= exits.least_leavers)
    is_low = is_dead | (mean_score <= config.low_engagement.score)
    types = np.where(is_low, AnomalyType.LOW_ENGAGEMENT, AnomalyType.GRADUAL_DECLINE)
    return np.where(verdicts.is_exit | is_large, AnomalyType.MASS_EXIT, types)


def count_leavers(states: States) -> Floats:
    """Return how many people left each session, or one session, within the last minute."""
    return np.asarray(np.cumsum(or_zero(states.last_minute(Signal.LEAVERS)), axis=-1)[..., NEWEST])


def is_sudden(state: States, has_activity: bool, config: DetectorConfig) -> bool:
    """Tell whether one session's fall of the last two minutes is a SUDDEN_DROP and not a GRADUAL_DECLINE.

    All signals, relative to what is usual, are fitted by least squares as a ramp: 1 up to some moment and falling
    evenly since; the moment that explains most, summed over the signals by their precision, is when it began. Where
    the active share says something, it is sudden if enough of that share's fall came in its steepest 30 s, the more
    the longer ago it began, or if it fell far within the last 15 s; else if it began within `slots`, or if a step
    explains as much as the ramp.
    """
    falls, weights = _weighted_falls(state, has_activity, config)
    ramps, steps = _explained(_RAMPS, weights, falls), _explained(_STEPS, weights, falls)
    began = int(_AGES[ramps.argmax()])
    if has_activity:
        return _turns_away_suddenly(state, began, config.sudden_drops)
    return bool(began <= config.sudden_drops.slots or steps.max() >= ramps.max())


def explain(state: States, row: Rows, verdicts: Verdicts, place: int, findings: Findings) -> Finding:
    """Return what a host needs to know of one session's incident, from the evidence that opened or changed it."""
    anomaly_type = AnomalyType(int(state.anomaly_type))
    signals = _signals(state, row, verdicts, place, findings)
    audience = None if np.isnan(row.present) else int(row.present)
    return Finding(
        current=_rounded(state.newest(Signal.SCORE)),
        expected=_rounded(state.usual_of(Usual.MEAN_SCORE)),
        tree_score=round(float(verdicts.trees[place]), DIGITS),
        z_score=round(float(max(verdicts.evidence.worst[place], verdicts.exit_z[place])), Z_DIGITS),
        audience=audience,
        signals=signals,
        description=describe(anomaly_type, signals, audience, state, findings),
        advice=ADVICE[anomaly_type],
    )


def describe(
    anomaly_type: AnomalyType,
    signals: dict[str, SignalEvidence],
    audience: int | None,
    state: States,
    findings: Findings,
) -> str:
    """Say in one sentence what happened, with the figures of the signals that moved most."""
    exits = signals.get("user_leave_rate")
    if anomaly_type == AnomalyType.MASS_EXIT and exits is not None:
        return _describe_exit(exits, audience, round(float(count_leavers(state))))
    moved = [(name, e) for name, e in signals.items() if e.moved and name != "user_leave_rate"]
    if not moved:
        return (
            "The room has been nearly silent for a minute."
            if anomaly_type == AnomalyType.LOW_ENGAGEMENT
            else "Several signals together lie below what is usual in this room."
        )
    verb = "fell slowly" if anomaly_type == AnomalyType.GRADUAL_DECLINE else "fell"
    text = " and ".join(_describe_fall(name, e, verb) for name, e in moved[: findings.told_signals])
    has_stayed = exits is not None and not exits.moved
    return text[0].upper() + text[1:] + (" while the audience stayed." if has_stayed else ".")


def _weighted_falls(state: States, has_activity: bool, config: DetectorConfig) -> tuple[Floats, Floats]:
    """Return what part of each signal is gone, and its precision: (signals, slots)."""
    history, share = state.history.astype(np.float64), state.usual_of(Usual.ACTIVE_SHARE)
    people = history[Signal.PEOPLE]
    falls, weights = [], []
    for signal, rate in ((Signal.CHATS, Usual.CHAT_RATE), (Signal.REACTIONS, Usual.REACTION_RATE)):
        expected, seen = or_zero(state.usual_of(rate) * people), or_zero(history[signal])
        falls.append(1 - np.divide(seen, expected, out=np.ones(HISTORY_SLOTS), where=expected > 0))
        weights.append(expected / (config.counts.dispersion + config.counts.rate_spread**2 * expected))
    if has_activity:
        falls.append(or_zero(1 - history[Signal.ACTIVITY] / share))
        variance = (1 - share) / (np.maximum(1.0, people) * share) + config.shares.spread**2
        weights.append(np.where(people > 0, 1 / variance, 0.0))
    return np.array(falls), np.array(weights)


_AGES = np.arange(2 * HISTORY_SLOTS - 1, 0, -1)  # slots ago that a ramp began, maybe before what is remembered
_SLOTS = np.arange(HISTORY_SLOTS)
_RAMPS = np.clip(1 - _SLOTS[::-1] / _AGES[:, None], 0, 1)
_STEPS = (_SLOTS[:, None] <= _SLOTS).astype(np.float64)


def _explained(shapes: Floats, weights: Floats, falls: Floats) -> Floats:
    """Return how much of the falls (signals, slots) each of the shapes (shapes, slots) explains."""
    along = np.einsum("ms,ks,ks->mk", shapes, weights, falls)
    power = np.einsum("ms,ks->mk", shapes**2, weights)
    explained = np.where(power > 0, np.maximum(0.0, along) ** 2 / np.where(power > 0, power, 1.0), 0.0)
    return np.asarray(explained.sum(axis=1))


def _turns_away_suddenly(state: States, began: int, sudden: SuddenDrops) -> bool:
    activity, share = state.history[Signal.ACTIVITY].astype(np.float64), state.usual_of(Usual.ACTIVE_SHARE)
    chance = np.sqrt((1 - share) / (share * max(1.0, float(state.newest(Signal.PEOPLE)))))
    if _latest_fall(activity, sudden) >= sudden.latest_fall + sudden.latest_noise * chance:
        return True
    return _steepest_part(activity, sudden) >= sudden.part + sudden.part_by_age * float(np.log(began))


def _latest_fall(shares: Floats, sudden: SuddenDrops) -> float:
    """Return by how much the logarithm of the share has fallen within the latest slots; 0 where that is not known."""
    until = len(shares) - sudden.latest_slots
    before, now = shares[until - sudden.latest_before_slots : until].mean(), shares[NEWEST]
    return float(np.log(before / now)) if before > 0 and now > 0 else 0.0


def _steepest_part(shares: Floats, sudden: SuddenDrops) -> float:
    """Return how much of the fall from the highest share of two minutes came in its steepest stretch."""
    known = shares[~np.isnan(shares)]
    if len(known) < sudden.least_rows:
        return 1.0

    def upper(until: int) -> float:
        return float(known[until - sudden.upper_slots : until].mean())

    def lower(until: int) -> float:
        return float(known[until - sudden.lower_slots : until].mean())

    first = sudden.upper_slots + sudden.stretch_slots
    steepest = max(upper(until - sudden.stretch_slots) - lower(until) for until in range(first, len(known) + 1))
    whole = float(known.max()) - lower(len(known))
    return steepest / whole if whole > 0 else 1.0


def _signals(state: States, row: Rows, verdicts: Verdicts, place: int, findings: Findings) -> dict[str, SignalEvidence]:
    """Return what each signal did that is known, the worst first."""
    evidence = verdicts.evidence
    observed = [
        ("chat_msgs_per_min", _observe_events(state, Signal.CHATS, Usual.CHAT_RATE, findings), evidence.chat),
        (
            "reactions_per_min",
            _observe_events(state, Signal.REACTIONS, Usual.REACTION_RATE, findings),
            evidence.reactions,
        ),
        ("active_share", _observe_activity(state), evidence.activity),
        ("user_leave_rate", _observe_leavers(state, row), verdicts.exit_z),
    ]
    told = {name: _tell(*seen, float(z[place]), findings) for name, seen, z in observed if seen is not None}
    return dict(sorted(told.items(), key=lambda item: -item[1].z))


def _observe_events(state: States, signal: Signal, rate: Usual, findings: Findings) -> tuple[float, float] | None:
    """Return the rates a minute that were observed and expected; None where one of them is unknown."""
    usual = state.usual_of(rate)
    if np.isnan(state.newest(signal)) or np.isnan(usual):
        return None
    latest = state.history[signal, -findings.observed_slots :].astype(np.float64)
    rate_seen = SLOTS_PER_MINUTE / findings.observed_slots * float(np.cumsum(or_zero(latest))[NEWEST])
    return rate_seen, float(usual * state.newest(Signal.PEOPLE) * SLOTS_PER_MINUTE)


def _observe_activity(state: States) -> tuple[float, float] | None:
    """Return the active shares that were observed and expected; None where one of them is unknown."""
    share, usual = float(state.newest(Signal.ACTIVITY)), float(state.usual_of(Usual.ACTIVE_SHARE))
    return None if np.isnan(share) or np.isnan(usual) else (share, usual)


def _observe_leavers(state: States, row: Rows) -> tuple[float, float] | None:
    """Return the leave rates that were observed and expected; None where nobody left and nobody counts."""
    left, is_counted = float(count_leavers(state)), not np.isnan(row.leave_rate)
    if left == 0 and not is_counted:
        return None
    stayed = float(state.newest(Signal.PEOPLE))
    share = row.leave_rate if is_counted else np.round(left / max(1.0, left + stayed), DIGITS)
    return float(share), float(np.nan_to_num(state.usual_of(Usual.LEAVE_RATE))) * SLOTS_PER_MINUTE


def _tell(observed: float, expected: float, z: float, findings: Findings) -> SignalEvidence:
    return SignalEvidence(
        round(observed, DIGITS), round(expected, DIGITS), round(z, Z_DIGITS), z >= findings.moved_from
    )


def _rounded(score: Floats) -> float | None:
    return None if np.isnan(score) else round(float(score), DIGITS)


def _describe_exit(exits: SignalEvidence, audience: int | None, left: int) -> str:
    of = "" if audience is None else f"{left} of {left + audience} people left, "
    return f"{of}{write_percent(exits.observed)} of the audience within a minute."


def _describe_fall(name: str, e: SignalEvidence, verb: str) -> str:
    if name == "active_share":
        return f"the active share {verb} from {write_percent(e.expected)} to {write_percent(e.observed)}"
    what = {"chat_msgs_per_min": "chat", "reactions_per_min": "reactions"}[name]
    return f"{what} {verb} from {_number(e.expected)} to {_number(e.observed)} a minute"


def _number(rate: float) -> str:
    return f"{rate:.0f}" if rate >= WHOLE_FROM or rate == int(rate) else f"{rate:.1f}"
