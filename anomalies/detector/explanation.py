"""Say what was found: evidence by signal, one sentence with its figures, and what to try. Pure."""

from dataclasses import dataclass

import numpy as np

from anomalies.detector.arrays import Floats
from anomalies.detector.config import Findings
from anomalies.detector.records import Field, Records
from anomalies.detector.rows import Rows
from anomalies.detector.sizes import SLOTS_PER_MINUTE
from anomalies.detector.state import AnomalyType, Series, States, Usual
from engagement.wording import write_percent

DIGITS, Z_DIGITS = 4, 3  # of what is told
WHOLE_FROM = 3  # a minute; smaller rates are told to a tenth


class News(Records):
    """What a row has changed in an incident, and what it was judged by."""

    __slots__ = ()

    opens = Field(np.bool_)
    retypes = Field(np.bool_)
    corrects = Field(np.bool_)
    worsens = Field(np.bool_)
    resolves = Field(np.bool_)
    is_over = Field(np.bool_)  # the session, as it was planned
    may_open = Field(np.bool_)  # where no break is
    score = Field(np.float64)  # how sure it is that something is wrong
    told = Field(np.float64)  # the same, and above the first threshold how much is lost
    leavers = Field(np.float64)  # how many left within the last minute
    trees = Field(np.float64)  # 0..1: how rare, among quiet rows, its tree score is
    worst = Field(np.float64)  # evidence in standard deviations: of all signals, and of each
    exit_z = Field(np.float64)
    chat = Field(np.float64)
    reactions = Field(np.float64)
    activity = Field(np.float64)


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


def explain(state: States, row: Rows, news: News, findings: Findings) -> Finding:
    """Return what a host needs to know of one session's incident, from the evidence that opened or changed it."""
    anomaly_type = AnomalyType(int(state.anomaly_type))
    signals = _signals(state, row, news, findings)
    audience = None if np.isnan(row.present) else int(row.present)
    return Finding(
        current=_rounded(state.newest(Series.SCORE)),
        expected=_rounded(state.usual_of(Usual.MEAN_SCORE)),
        tree_score=round(float(news.trees), DIGITS),
        z_score=round(float(max(news.worst, news.exit_z)), Z_DIGITS),
        audience=audience,
        signals=signals,
        description=describe(anomaly_type, signals, audience, float(news.leavers), findings),
        advice=ADVICE[anomaly_type],
    )


def describe(
    anomaly_type: AnomalyType,
    signals: dict[str, SignalEvidence],
    audience: int | None,
    leavers: float,
    findings: Findings,
) -> str:
    """Say in one sentence what happened, with the figures of the signals that moved most."""
    exits = signals.get("user_leave_rate")
    if anomaly_type == AnomalyType.MASS_EXIT and exits is not None:
        return _describe_exit(exits, audience, round(leavers))
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


def _signals(state: States, row: Rows, news: News, findings: Findings) -> dict[str, SignalEvidence]:
    """Return what each signal did that is known, the worst first."""
    observed = [
        ("chat_msgs_per_min", _observe_events(state, Series.CHATS, Usual.CHAT_RATE, findings), news.chat),
        (
            "reactions_per_min",
            _observe_events(state, Series.REACTIONS, Usual.REACTION_RATE, findings),
            news.reactions,
        ),
        ("active_share", _observe_activity(state), news.activity),
        ("user_leave_rate", _observe_leavers(state, row, news), news.exit_z),
    ]
    told = {name: _tell(*seen, float(z), findings) for name, seen, z in observed if seen is not None}
    return dict(sorted(told.items(), key=lambda item: -item[1].z))


def _observe_events(state: States, signal: Series, rate: Usual, findings: Findings) -> tuple[float, float] | None:
    """Return the rates a minute that were observed and expected; None where one of them is unknown."""
    usual = state.usual_of(rate)
    if np.isnan(state.newest(signal)) or np.isnan(usual):
        return None
    latest = state.history[signal, -findings.observed_slots :].astype(np.float64)
    rate_seen = SLOTS_PER_MINUTE / findings.observed_slots * float(np.nansum(latest))
    return rate_seen, float(usual * state.newest(Series.PEOPLE) * SLOTS_PER_MINUTE)


def _observe_activity(state: States) -> tuple[float, float] | None:
    """Return the active shares that were observed and expected; None where one of them is unknown."""
    share, usual = float(state.newest(Series.ACTIVITY)), float(state.usual_of(Usual.ACTIVE_SHARE))
    return None if np.isnan(share) or np.isnan(usual) else (share, usual)


def _observe_leavers(state: States, row: Rows, news: News) -> tuple[float, float] | None:
    """Return the leave rates that were observed and expected; None where nobody left and nobody counts."""
    left, is_counted = float(news.leavers), not np.isnan(row.leave_rate)
    if left == 0 and not is_counted:
        return None
    stayed = float(state.newest(Series.PEOPLE))
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
