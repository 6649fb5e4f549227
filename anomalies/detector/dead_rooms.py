"""Rooms whose engagement score is low, and rooms that are dead from the start. Pure."""

import numpy as np

from anomalies.detector.arrays import ALMOST_NONE, NEWEST, OLDEST, Floats, Mask, known_mean, or_zero
from anomalies.detector.config import DetectorConfig, LowEngagement
from anomalies.detector.rows import ACTIVITY_WEIGHT, Rows
from anomalies.detector.sizes import FULL_SHORT, SLOT_SECONDS, SLOTS_PER_MINUTE
from anomalies.detector.state import Series, States
from anomalies.detector.timetables import Timetables
from engagement.readings import BY_NAME


def mean_latest_score(states: States, rows: Rows, low: LowEngagement) -> Floats:
    """Return the mean of each session's latest known scores, 1 where none is known.

    Where as many people are active as present in every row, nobody has measured that: the score without it counts,
    as what it adds would keep a silent room above the threshold for ever.
    """
    mean = known_mean(states.history[:, Series.SCORE, -low.mean_slots :].astype(np.float64))
    others = rows.score_weight - ACTIVITY_WEIGHT
    is_full = (rows.active == rows.present) & ~states.tells_activity & (others > ALMOST_NONE)
    without = np.clip((mean * rows.score_weight - ACTIVITY_WEIGHT) / np.maximum(ALMOST_NONE, others), 0.0, 1.0)
    judged = np.where(is_full, without, mean)
    return np.where(np.isnan(judged), 1.0, judged)


def is_heading_low(states: States, rows: Rows, low: LowEngagement) -> Mask:
    """Tell where the score will be at LOW_ENGAGEMENT when the minute that its rates look back on has passed.

    It is the score of the newest 20 s, of what is known but polls: a little lower, as so few slots vary more.
    """
    activity = known_mean(states.history[:, Series.ACTIVITY, -low.mean_slots :].astype(np.float64))
    total, weight = np.zeros(len(states)), np.zeros(len(states))
    parts = ((BY_NAME["chat_msgs_per_min"], Series.CHATS), (BY_NAME["reactions_per_min"], Series.REACTIONS))
    for signal, series in parts:
        counts = states.history[:, series, -low.heading_slots :].astype(np.float64)
        rate = np.cumsum(or_zero(counts), axis=1)[:, NEWEST] * SLOTS_PER_MINUTE / low.heading_slots
        known = signal.weight * ~np.isnan(rows.chats if series == Series.CHATS else rows.reactions)
        total = total + known * np.minimum(1.0, np.log1p(rate) / np.log1p(signal.full or 1.0))
        weight = weight + known
    of_activity = ACTIVITY_WEIGHT * (~np.isnan(activity) & states.tells_activity)
    total, weight = total + of_activity * or_zero(activity), weight + of_activity
    return np.asarray((weight > 0) & (total <= low.heading_score * weight))


def count_low(states: States, mean_score: Floats, low: LowEngagement) -> None:
    """Count, in place, for how long each room has been low, and how often it was not."""
    is_low = mean_score <= low.score
    states.low = np.where(is_low, np.minimum(FULL_SHORT, states.low + 1), 0)
    states.lively = np.where(is_low, states.lively, np.minimum(FULL_SHORT, states.lively + 1))


def is_dead(states: States, rows: Rows, timetables: Timetables, low: LowEngagement) -> Mask:
    """Tell where a room has been at LOW_ENGAGEMENT since its first minute, long enough and with people in it."""
    events = or_zero(rows.chats) + or_zero(rows.reactions)
    is_silent = events <= np.maximum(low.dead_least_events, low.dead_events * rows.present)
    people = states.last_minute(Series.PEOPLE)
    is_filling = people[:, NEWEST] > low.dead_growth * people[:, OLDEST]
    dead_seconds = low.dead_slots * SLOT_SECONDS
    since_start = rows.t - np.maximum(timetables.starts_at, rows.t - dead_seconds)
    return np.asarray(
        (states.low >= low.dead_slots)
        & (states.lively <= low.dead_slots)
        & (since_start >= dead_seconds)
        & (rows.present >= low.dead_audience)  # of an unknown audience nobody knows whether it is one
        & states.has_spoken
        & is_silent
        & ~is_filling
    )


def dead_score(mean_score: Floats, config: DetectorConfig) -> Floats:
    """Return how sure we are of a dead room: WARNING at the threshold, certain where nothing happens at all."""
    depth = 1 - np.clip(mean_score / config.low_engagement.score, 0, 1)
    return config.opening.warning_from + (1 - config.opening.warning_from) * depth
