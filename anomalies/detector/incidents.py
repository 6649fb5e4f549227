"""When an incident opens, worsens, changes its type and ends: one step of a row for each of many sessions. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from anomalies.detector import baseline, classifier, counts
from anomalies.detector.arrays import Floats, Integers, Mask, known_mean, or_zero
from anomalies.detector.classifier import AnomalyType, Finding, count_leavers
from anomalies.detector.config import DEFAULT, DetectorConfig
from anomalies.detector.prior import Prior
from anomalies.detector.rows import Rows
from anomalies.detector.sizes import FULL_SHORT, SLOT_SECONDS, SLOTS_PER_MINUTE
from anomalies.detector.state import PEOPLE, SCORE, States
from anomalies.detector.timetables import Timetables
from anomalies.detector.verdicts import Verdicts, judge, learn

LATEST = 3  # scores whose mean is held against LOW_ENGAGEMENT


class Step(StrEnum):
    OPENED = "opened"
    WORSENED = "worsened"
    RETYPED = "retyped"
    RESOLVED = "resolved"


class Reason(StrEnum):
    RECOVERED = "the audience came back"
    STAYING = "those who stayed are staying"
    SETTLED = "the room has settled at this level"
    BREAK = "a planned break began"
    ENDED = "the session was planned to end"


@dataclass(frozen=True, slots=True)
class Change:
    """One step in an incident's life, at the moment of the row that led to it.

    `finding` says what was seen; it is None at the end, where `reason` says why it ended.
    """

    at: datetime
    step: Step
    anomaly_type: str
    severity: str
    anomaly_score: float
    finding: Finding | None = None
    reason: str | None = None


def step(
    states: States, rows: Rows, timetables: Timetables, prior: Prior, config: DetectorConfig = DEFAULT
) -> list[tuple[int, Change]]:
    """Take one row of each session: judge it, move its incident, learn it. Changes `states` in place.

    Returns the changes with the place of their session. A row that is held changes nothing but the counters
    of what is held.
    """
    slots = states.slots.copy()
    taken = np.flatnonzero(counts.take(states, rows, config))
    if not len(taken):
        return []
    is_whole = len(taken) == len(states)  # the usual case, that need not be copied
    part, part_rows, part_timetables = (
        (states, rows, timetables) if is_whole else (states[taken], rows[taken], timetables[taken])
    )
    baseline.learn_meaning(part, part_rows, config.baseline)
    verdicts = judge(part, prior, config)
    changes, may_learn = _move(part, part_rows, part_timetables, verdicts, part.slots - slots[taken], config)
    learn(part, verdicts, may_learn, config)
    if not is_whole:
        states[taken] = part
    return [(int(taken[place]), change) for place, change in changes]


@dataclass(frozen=True, slots=True)
class _Moment:
    """What one row of each session comes to, whether an incident is open or not."""

    t: Floats
    is_over: Mask
    may_open: Mask
    mean_score: Floats
    is_dead: Mask
    score: Floats


def _move(
    states: States,
    rows: Rows,
    timetables: Timetables,
    verdicts: Verdicts,
    slots: NDArray[np.int32],
    config: DetectorConfig,
) -> tuple[list[tuple[int, Change]], Mask]:
    """Open, change and end incidents, in place; return what changed, and which rows may be learnt as usual."""
    now = _take_stock(states, rows, timetables, verdicts, config)
    was_open = states.is_open.copy()
    opens = _opens(states, rows, verdicts, now, slots, config)
    anomaly_types = classifier.classify(states, rows, verdicts, now.mean_score, now.is_dead, config)
    is_critical = now.score >= config.critical_from
    is_more_urgent = (anomaly_types > states.anomaly_type) & (anomaly_types >= AnomalyType.LOW_ENGAGEMENT)
    retypes = was_open & (now.score >= config.warning_from) & is_more_urgent
    leavers = count_leavers(states)
    grows = (states.anomaly_type == AnomalyType.MASS_EXIT) & _is_worth_telling(states, leavers, config)
    worsens = was_open & ((is_critical & ~states.is_critical) | (grows & verdicts.is_exit))
    stays_low = (states.anomaly_type == AnomalyType.LOW_ENGAGEMENT) & (states.low > 0)
    states.calm = np.where(was_open & (now.score < config.close_below) & ~stays_low, states.calm + 1, 0)
    is_settled = (now.t - states.opened_at >= config.thaw_seconds) & ~now.is_dead
    resolves = was_open & ((states.calm >= config.close_rows) | is_settled | ~now.may_open)
    worsens, retypes = worsens & ~resolves, retypes & ~resolves

    for place in np.flatnonzero(opens & (anomaly_types == AnomalyType.GRADUAL_DECLINE)):
        if classifier.is_sudden(states[place], bool(verdicts.has_activity[place]), config):
            anomaly_types[place] = AnomalyType.SUDDEN_DROP
    states.anomaly_type = np.where(opens | retypes, anomaly_types, states.anomaly_type)
    states.is_critical = np.where(opens, is_critical, states.is_critical | (worsens & is_critical))
    states.told_leavers = np.where(opens | worsens | retypes, leavers, states.told_leavers)
    states.is_open = (was_open | opens) & ~resolves
    baseline.forget(states, resolves & is_settled)
    states.opened_at = np.where(opens, now.t, states.opened_at)
    states.closed_at = np.where(resolves, now.t, states.closed_at)
    states.run = np.where(opens | resolves, 0, states.run)
    states.calm = np.where(opens | resolves, 0, states.calm)

    steps = [(opens, Step.OPENED), (retypes, Step.RETYPED), (worsens & ~retypes, Step.WORSENED)]
    changes: list[tuple[int, Change]] = []
    for which, name in steps:
        for place in np.flatnonzero(which):
            finding = classifier.explain(states[place], rows[place], verdicts, int(place), config.findings)
            changes.append((int(place), _change(states[place], now.t[place], name, now.score[place], finding, None)))
    for place in np.flatnonzero(resolves):
        reason = _reason(now, int(place), AnomalyType(int(states.anomaly_type[place])), config)
        changes.append(
            (int(place), _change(states[place], now.t[place], Step.RESOLVED, now.score[place], None, reason))
        )
    return changes, now.may_open & ~states.is_open & (states.run == 0)


def _take_stock(
    states: States, rows: Rows, timetables: Timetables, verdicts: Verdicts, config: DetectorConfig
) -> _Moment:
    """Look at the timetable and at how long each room has been low, in place."""
    t = rows.t
    is_over = t >= timetables.ends_at
    is_break = ((t[:, None] >= timetables.breaks_from) & (t[:, None] < timetables.breaks_until)).any(axis=1)
    states.unsettled_until = np.where(is_break, t + config.settle_seconds, states.unsettled_until)
    may_open = ~is_over & (t >= states.unsettled_until)
    mean_score = mean_latest_score(states)
    is_low = mean_score <= config.low_engagement
    states.low = np.where(is_low, np.minimum(FULL_SHORT, states.low + 1), 0)
    states.lively = np.where(is_low, states.lively, np.minimum(FULL_SHORT, states.lively + 1))
    is_dead = _is_dead(states, rows, timetables, config)
    score = np.where(is_dead, np.maximum(verdicts.score, dead_score(mean_score, config)), verdicts.score)
    return _Moment(t, is_over, may_open, mean_score, is_dead, score)


def _opens(
    states: States, rows: Rows, verdicts: Verdicts, now: _Moment, slots: NDArray[np.int32], config: DetectorConfig
) -> Mask:
    """Tell where an incident opens, and count in place for how long rows have been bad."""
    turned_away = verdicts.evidence.activity
    is_bad = (now.score >= config.warning_from) & (
        verdicts.is_exit
        | ((verdicts.fall >= config.least_fall) & (~verdicts.has_activity | (turned_away >= config.least_turned_away)))
        | (turned_away >= config.clearly_turned_away)
        | (verdicts.fall >= config.large_fall)
    )
    may_open = now.may_open & ~states.is_open
    run = np.where(states.run > 0, states.run + slots, 1)
    states.run = np.where(is_bad & may_open, np.minimum(FULL_SHORT, run), 0)
    is_bad_enough = states.run >= _slots_needed(now.score, rows, verdicts, now.is_dead, config)
    is_news = verdicts.is_exit & (states.anomaly_type != AnomalyType.MASS_EXIT)  # those who turned away now leave
    is_rested = (now.t - states.closed_at >= config.cooldown_seconds) | is_news
    is_first = np.isneginf(states.closed_at)
    return np.asarray(may_open & ((is_bad_enough & is_rested) | (now.is_dead & is_first)))


def _is_worth_telling(states: States, leavers: Floats, config: DetectorConfig) -> Mask:
    """Tell where an exit has grown by much since it was told of, or half of those who had stayed are gone too."""
    more = leavers - states.told_leavers
    stayed = states.history[:, PEOPLE, -1].astype(np.float64)
    is_halved = (more >= stayed) & (more >= config.exits.least_leavers)
    return np.asarray((leavers >= config.exits.growth * states.told_leavers) | is_halved)


def _reason(now: _Moment, place: int, anomaly_type: AnomalyType, config: DetectorConfig) -> Reason:
    if now.is_over[place]:
        return Reason.ENDED
    if not now.may_open[place]:
        return Reason.BREAK
    if now.score[place] >= config.close_below:
        return Reason.SETTLED
    return Reason.STAYING if anomaly_type == AnomalyType.MASS_EXIT else Reason.RECOVERED


def _slots_needed(score: Floats, rows: Rows, verdicts: Verdicts, is_dead: Mask, config: DetectorConfig) -> Integers:
    """Return for how many slots rows must be bad to open an incident: the surer, the fewer.

    Leavers are counted and not guessed, so one row of them is enough, as is one of a fall that is sharp and goes on:
    in a room of some size. A handful leaves together and comes back, and a class is over when it is over.
    """
    needed = np.where(score >= config.sure_from, config.confirm_rows, config.confirm_rows + 1)
    is_sharp = verdicts.evidence.sharp >= config.sharp_falls.sharp_from
    needed = np.where((score >= config.at_once_from) & (verdicts.evidence.is_falling | ~is_sharp), 1, needed)
    needed = needed + np.where(is_sharp | verdicts.is_exit | is_dead, 0, config.patience)
    is_certain = verdicts.is_exit | (
        (verdicts.evidence.sharp >= config.sharp_falls.at_once_from) & verdicts.evidence.is_falling
    )
    return np.where(is_certain & (rows.present >= config.at_once_people), 1, needed)


def mean_latest_score(states: States) -> Floats:
    """Return the mean of each session's latest known scores, 1 where none is known."""
    scores = states.history[:, SCORE, -LATEST:].astype(np.float64)
    mean = known_mean(scores)
    return np.where(np.isnan(mean), 1.0, mean)


def dead_score(mean_score: Floats, config: DetectorConfig) -> Floats:
    """Return how sure we are of a dead room: WARNING at the threshold, certain where nothing happens at all."""
    depth = 1 - np.clip(mean_score / config.low_engagement, 0, 1)
    return config.warning_from + (1 - config.warning_from) * depth


def _is_dead(states: States, rows: Rows, timetables: Timetables, config: DetectorConfig) -> Mask:
    """Tell where a room has been at LOW_ENGAGEMENT since its first minute, long enough and with people in it."""
    events = or_zero(rows.chats) + or_zero(rows.reactions)
    is_silent = events <= np.maximum(1.0, config.dead_events * rows.present)
    people = states.history[:, PEOPLE, [-SLOTS_PER_MINUTE, -1]].astype(np.float64)
    is_filling = people[:, 1] > config.dead_growth * people[:, 0]
    since_start = rows.t - np.maximum(timetables.starts_at, rows.t - config.dead_slots * SLOT_SECONDS)
    return np.asarray(
        (states.low >= config.dead_slots)
        & (states.lively <= config.dead_slots)
        & (since_start >= config.dead_slots * SLOT_SECONDS)
        & ~(rows.present < config.dead_audience)
        & states.has_spoken
        & (np.isnan(rows.present) | is_silent)
        & ~is_filling
    )


def _change(
    state: States, t: float, name: Step, score: float, finding: Finding | None, reason: Reason | None
) -> Change:
    return Change(
        at=datetime.fromtimestamp(t, UTC),
        step=name,
        anomaly_type=AnomalyType(int(state.anomaly_type)).name,
        severity="CRITICAL" if state.is_critical else "WARNING",
        anomaly_score=round(float(score), 6),
        finding=finding,
        reason=None if reason is None else str(reason),
    )
