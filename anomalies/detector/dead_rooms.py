"""Rooms whose engagement score is low, and rooms that are dead from the start. Pure."""

import math

from anomalies.detector.arrays import ALMOST_NONE
from anomalies.detector.compiled import Row, State, Tuning, compiled
from anomalies.detector.rows import ACTIVITY_WEIGHT
from anomalies.detector.scalars import add_known, clip, known_mean, or_zero
from anomalies.detector.sizes import FULL_SHORT, SLOT_SECONDS, SLOTS_PER_MINUTE
from anomalies.detector.state import Series
from engagement.readings import BY_NAME

_CHAT, _POLL, _REACTIONS = (
    BY_NAME[name].weight for name in ("chat_msgs_per_min", "poll_participation", "reactions_per_min")
)
_FULL_CHAT, _FULL_REACTIONS = (BY_NAME[name].full or 1.0 for name in ("chat_msgs_per_min", "reactions_per_min"))


@compiled
def mean_latest_score(state: State, row: Row, low: Tuning) -> float:
    """Return the mean of the latest known scores, 1 where none is known.

    Where as many people are active as present in every row, nobody has measured that: the score without it counts,
    as what it adds would keep a silent room above the threshold for ever.
    """
    mean = known_mean(state.history[Series.SCORE, -low.mean_slots :])
    if math.isnan(mean):
        return 1.0
    weight = _score_weight(row)
    others = weight - ACTIVITY_WEIGHT
    if row.active == row.present and not state.tells_activity and others > ALMOST_NONE:
        return clip((mean * weight - ACTIVITY_WEIGHT) / max(ALMOST_NONE, others), 0.0, 1.0)
    return mean


@compiled
def _score_weight(row: Row) -> float:
    """Return what the signals that are known weigh in the score together."""
    weight = 0.0
    if not math.isnan(row.chats):
        weight += _CHAT
    if not math.isnan(row.poll):
        weight += _POLL
    if not math.isnan(row.reactions):
        weight += _REACTIONS
    if not math.isnan(row.active + row.present):
        weight += ACTIVITY_WEIGHT
    return weight


@compiled
def is_heading_low(state: State, row: Row, low: Tuning) -> bool:
    """Tell whether the score will be at LOW_ENGAGEMENT when the minute that its rates look back on has passed.

    It is the score of the newest 20 s, of what is known but polls: a little lower, as so few slots vary more.
    """
    total, weight = 0.0, 0.0
    if not math.isnan(row.chats):
        total, weight = _CHAT * _fullness(state.history[Series.CHATS], _FULL_CHAT, low), _CHAT
    if not math.isnan(row.reactions):
        total += _REACTIONS * _fullness(state.history[Series.REACTIONS], _FULL_REACTIONS, low)
        weight += _REACTIONS
    activity = known_mean(state.history[Series.ACTIVITY, -low.mean_slots :])
    if not math.isnan(activity) and state.tells_activity:
        total += ACTIVITY_WEIGHT * activity
        weight += ACTIVITY_WEIGHT
    return weight > 0 and total <= low.heading_score * weight


@compiled
def _fullness(counts: State, full: float, low: Tuning) -> float:
    """Return how much (0..1) of what a signal can be in the score its newest slots are."""
    rate = add_known(counts[-low.heading_slots :]) * SLOTS_PER_MINUTE / low.heading_slots
    return min(1.0, math.log1p(rate) / math.log1p(full))


@compiled
def count_low(state: State, mean_score: float, low: Tuning) -> None:
    """Count, in place, for how long a room has been low, and how often it was not."""
    if mean_score <= low.score:
        state.low = min(FULL_SHORT, state.low + 1)
    else:
        state.low = 0
        state.lively = min(FULL_SHORT, state.lively + 1)


@compiled
def is_dead(state: State, row: Row, starts_at: float, low: Tuning) -> bool:
    """Tell whether a room has been at LOW_ENGAGEMENT since its first minute, long enough and with people in it.

    Only where it is known who listens, as more are active than chats and reactions can account for: a lecture in which
    hardly anybody writes is quiet, and not dead.
    """
    events = or_zero(row.chats) + or_zero(row.reactions)
    people = state.history[Series.PEOPLE, -SLOTS_PER_MINUTE:]
    is_filling = people[-1] > low.dead_growth * people[0]
    dead_seconds = low.dead_slots * SLOT_SECONDS
    return (
        state.low >= low.dead_slots
        and state.lively <= low.dead_slots
        and row.t - max(starts_at, row.t - dead_seconds) >= dead_seconds
        and row.present >= low.dead_audience  # of an unknown audience nobody knows whether it is one
        and state.has_spoken
        and state.tells_activity
        and row.active > events
        and events <= max(low.dead_least_events, low.dead_events * row.present)
        and not is_filling
    )


@compiled
def dead_score(mean_score: float, config: Tuning) -> float:
    """Return how sure we are of a dead room: WARNING at the threshold, certain where nothing happens at all."""
    depth = 1 - clip(mean_score / config.low_engagement.score, 0.0, 1.0)
    return config.opening.warning_from + (1 - config.opening.warning_from) * depth
