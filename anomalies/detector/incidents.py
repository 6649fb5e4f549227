"""When an incident opens, worsens, changes its type and ends: rows, one after the other, of any sessions. Pure."""

import math
from typing import NamedTuple

import numpy as np

from anomalies.detector import baseline, classifier, counts, dead_rooms
from anomalies.detector.arrays import Integers
from anomalies.detector.classifier import count_leavers
from anomalies.detector.compiled import News, Row, State, Tuning, compiled
from anomalies.detector.prior import Quiet
from anomalies.detector.sizes import FULL_SHORT, SLOT_SECONDS
from anomalies.detector.state import AnomalyType, Series
from anomalies.detector.timetables import Timetables
from anomalies.detector.verdicts import Verdict, judge, learn

AT_ONCE = 1  # slots: the row itself


class _Moment(NamedTuple):
    """What a row comes to, whether an incident is open or not."""

    is_over: bool
    may_open: bool
    mean_score: float
    is_dead: bool
    score: float  # how sure it is that something is wrong
    told: float  # the same, and above the first threshold how much is lost
    leavers: float


class _Moves(NamedTuple):
    """Whether an incident opens, changes or corrects its type, worsens or ends, and what it would be from here on."""

    opens: bool
    retypes: bool
    corrects: bool
    worsens: bool
    resolves: bool
    settles: bool  # it ends as the room has changed for good
    anomaly_type: int
    is_critical: bool


@compiled
def judge_until_news(
    states: State,
    rows: Row,
    sessions: Integers,
    plans: Timetables,
    quiet: Quiet,
    config: Tuning,
    first: int,
    news: News,
) -> int:
    """Judge rows in their order from the `first` on, in place; return the place of one that is news, else their number.

    `sessions` says whose each row is, `config` is one record, and `news` one that is filled with what is to be told.
    """
    for place in range(first, len(rows)):
        session = sessions[place]
        if step(states[session], rows[place], plans, session, quiet, config[0], news[0]):
            return place
    return len(rows)


@compiled
def step(state: State, row: Row, plans: Timetables, session: int, quiet: Quiet, config: Tuning, news: News) -> bool:
    """Take one row of a session: judge it, move its incident, learn it. Changes its state in place.

    Tells whether there is news of an incident. A row that is held changes nothing but the counters of what is held.
    """
    slots = state.slots
    if not counts.take(state, row, config):
        return False
    passed = state.slots - slots
    baseline.learn_meaning(state, row, config.baseline)
    verdict = judge(state, quiet, config)
    now = _take_stock(state, row, plans, session, verdict, config)
    moves = _decide(state, row, verdict, now, passed, config)
    _apply(state, row.t, now, moves)
    is_doubtful = baseline.gather_doubt(state, passed, verdict.evidence.worst, config.baseline)
    # neither an incident nor what may become one
    if now.may_open and not state.is_open and state.run == 0 and not is_doubtful:
        learn(state, verdict, config)
    return _note(news, verdict, now, moves)


@compiled
def _take_stock(state: State, row: Row, plans: Timetables, session: int, verdict: Verdict, config: Tuning) -> _Moment:
    """Look at the timetable and at how long the room has been low, in place."""
    _mind_breaks(state, row.t, plans, session, config.opening)
    mean_score = dead_rooms.mean_latest_score(state, row, config.low_engagement)
    dead_rooms.count_low(state, mean_score, config.low_engagement)
    is_dead = dead_rooms.is_dead(state, row, plans.starts_at[session], config.low_engagement)
    least = dead_rooms.dead_score(mean_score, config) if is_dead else 0.0
    is_over = row.t >= plans.ends_at[session]
    return _Moment(
        is_over,
        not is_over and row.t >= state.unsettled_until,
        mean_score,
        is_dead,
        max(verdict.score, least),
        max(_spread_by_loss(verdict, config.opening), least),
        count_leavers(state),
    )


@compiled
def _spread_by_loss(verdict: Verdict, opening: Tuning) -> float:
    """Return the anomaly score as it is told: what is bad is told by how much of the engaged audience is gone."""
    if verdict.score < opening.bad_from:
        return verdict.score
    least = min(verdict.score, max(opening.warning_from, opening.bad_from))
    return max(least, opening.bad_from + (1 - opening.bad_from) * verdict.loss)


@compiled
def _mind_breaks(state: State, t: float, plans: Timetables, session: int, opening: Tuning) -> None:
    for place in range(plans.breaks_from.shape[1]):
        if plans.breaks_from[session, place] <= t < plans.breaks_until[session, place]:
            state.unsettled_until = t + opening.settle_seconds


@compiled
def _decide(state: State, row: Row, verdict: Verdict, now: _Moment, slots: int, config: Tuning) -> _Moves:
    """Return what happens to the incident, and count in place for how long rows have been bad or calm."""
    opening, low, exits = config.opening, config.low_engagement, config.exits
    opens = _opens(state, row, verdict, now, slots, config)
    _count_calm(state, now, config.closing)
    settles = state.is_open and _has_settled(state, row.t, now, config.closing)
    resolves = settles or (state.is_open and (state.calm >= config.closing.calm_rows or not now.may_open))
    goes_on = state.is_open and not resolves
    is_low = now.is_dead or dead_rooms.is_heading_low(state, row, low)
    anomaly_type = classifier.classify(state, row, verdict, now.mean_score, is_low, config)
    if (
        opens
        and anomaly_type == AnomalyType.GRADUAL_DECLINE
        and classifier.is_sudden(state, verdict.has_activity, config)
    ):
        anomaly_type = AnomalyType.SUDDEN_DROP.value
    is_critical = now.told >= opening.critical_from
    is_larger_exit = verdict.is_exit and _is_worth_telling(state, now, exits)
    is_young = row.t - state.opened_at <= opening.correction_seconds
    is_decline = anomaly_type == AnomalyType.GRADUAL_DECLINE
    is_renamed = False
    if goes_on and is_decline and verdict.has_activity and _is_looked_at_again(state, row.t, slots, config):
        if classifier.was_sudden(state, config):
            anomaly_type = AnomalyType.SUDDEN_DROP.value
        is_renamed = anomaly_type != state.anomaly_type
    is_named_low = anomaly_type == AnomalyType.LOW_ENGAGEMENT
    is_more_urgent = anomaly_type > state.anomaly_type and anomaly_type >= AnomalyType.LOW_ENGAGEMENT
    changes = goes_on and is_more_urgent and now.score >= opening.warning_from
    return _Moves(
        opens,
        changes and (not is_named_low or (not is_young and now.mean_score <= low.score)),
        is_renamed or (changes and is_named_low and is_young and not state.is_corrected),
        goes_on and ((is_critical and not state.is_critical) or is_larger_exit),
        resolves,
        settles,
        anomaly_type,
        is_critical,
    )


@compiled
def _is_looked_at_again(state: State, t: float, slots: int, config: Tuning) -> bool:
    """Tell whether this is the row after so many seconds at which a sudden or gradual fall gets its last name."""
    age, after = t - state.opened_at, config.second_look.after_seconds
    is_fall = state.anomaly_type in (AnomalyType.SUDDEN_DROP, AnomalyType.GRADUAL_DECLINE)
    is_first = age - slots * SLOT_SECONDS < after <= age <= config.opening.correction_seconds
    return is_fall and is_first and not state.is_corrected


@compiled
def _opens(state: State, row: Row, verdict: Verdict, now: _Moment, slots: int, config: Tuning) -> bool:
    """Tell whether an incident opens, and count in place for how many slots rows have been bad."""
    may_open = now.may_open and not state.is_open
    if may_open and _is_bad(state, verdict, now, config):
        state.run = min(FULL_SHORT, state.run + slots if state.run > 0 else AT_ONCE)
    else:
        state.run = 0
    opening = config.opening
    is_bad_enough = state.run >= _slots_needed(row, verdict, now, config)
    is_news = verdict.is_exit and state.anomaly_type != AnomalyType.MASS_EXIT  # those who turned away now leave
    is_rested = row.t - state.closed_at >= opening.cooldown_seconds or is_news
    is_first = state.closed_at == -math.inf
    is_rising = 0 < state.risen <= opening.risen_slots
    return may_open and not is_rising and ((is_bad_enough and is_rested) or (now.is_dead and is_first))


@compiled
def _is_bad(state: State, verdict: Verdict, now: _Moment, config: Tuning) -> bool:
    """Tell whether a row is bad, and felt, where there is something whose absence means something."""
    if now.score < config.opening.warning_from or not _is_felt(verdict, config.opening):
        return False
    is_seen = verdict.has_activity or verdict.is_exit or now.is_dead
    return is_seen or baseline.is_sustained(state, config.baseline)


@compiled
def _is_felt(verdict: Verdict, opening: Tuning) -> bool:
    """Tell whether people leave or turn away, or the engagement score itself falls."""
    turned_away = verdict.evidence.activity
    is_seen = not verdict.has_activity or turned_away >= opening.least_turned_away
    return (
        verdict.is_exit
        or (verdict.fall >= opening.least_fall and is_seen)
        or turned_away >= opening.clearly_turned_away
        or verdict.fall >= opening.large_fall
    )


@compiled
def _slots_needed(row: Row, verdict: Verdict, now: _Moment, config: Tuning) -> int:
    """Return for how many slots rows must be bad to open an incident: the surer, the fewer.

    Leavers are counted and not guessed, so one row of them is enough, as is one of a fall that is sharp and goes on:
    in a room of some size. A handful leaves together and comes back, and a class is over when it is over.
    """
    opening, sharp, evidence = config.opening, config.sharp_falls, verdict.evidence
    is_certain = verdict.is_exit or (evidence.sharp >= sharp.at_once_from and evidence.is_falling)
    if is_certain and row.present >= opening.at_once_people:
        return AT_ONCE
    is_sharp = evidence.sharp >= sharp.sharp_from
    needed = opening.sure_slots if now.score >= opening.sure_from else opening.unsure_slots
    if now.score >= opening.at_once_from and (evidence.is_falling or not is_sharp):
        needed = AT_ONCE
    is_patient = not (is_sharp or verdict.is_exit or now.is_dead) and not math.isnan(row.present)
    return needed + opening.patience_slots if is_patient else needed


@compiled
def _count_calm(state: State, now: _Moment, closing: Tuning) -> None:
    stays_low = state.anomaly_type == AnomalyType.LOW_ENGAGEMENT and state.low > 0
    is_calm = state.is_open and now.score < closing.calm_below and not stays_low
    state.calm = state.calm + 1 if is_calm else 0


@compiled
def _has_settled(state: State, t: float, now: _Moment, closing: Tuning) -> bool:
    return t - state.opened_at >= closing.thaw_seconds and not now.is_dead


@compiled
def _is_worth_telling(state: State, now: _Moment, exits: Tuning) -> bool:
    """Tell whether an exit has grown by much since it was told of, or half of those who had stayed are gone too."""
    more = now.leavers - state.told_leavers
    is_halved = more >= state.history[Series.PEOPLE, -1] and more >= exits.least_leavers
    # in single precision, as what was told is
    has_grown = now.leavers >= np.float32(exits.growth) * state.told_leavers
    return state.anomaly_type == AnomalyType.MASS_EXIT and (has_grown or is_halved)


@compiled
def _apply(state: State, t: float, now: _Moment, moves: _Moves) -> None:
    """Move the incident, in place."""
    if moves.opens:
        state.is_open, state.opened_at = True, t
        state.is_corrected, state.is_critical = False, moves.is_critical
    if moves.corrects:
        state.is_corrected = True
    if moves.worsens and moves.is_critical:
        state.is_critical = True
    if moves.opens or moves.retypes or moves.corrects:
        state.anomaly_type = moves.anomaly_type
    if moves.opens or moves.retypes or moves.corrects or moves.worsens:
        state.told_leavers = now.leavers
    if moves.resolves:
        state.is_open, state.closed_at = False, t
    if moves.opens or moves.resolves:
        state.run = state.calm = 0
    if moves.settles:
        baseline.forget(state)


@compiled
def _note(news: News, verdict: Verdict, now: _Moment, moves: _Moves) -> bool:
    """Write down what is to be told, if anything is; tell whether that is so."""
    is_news = moves.opens or moves.retypes or moves.corrects or moves.worsens or moves.resolves
    if is_news:
        news.opens, news.retypes, news.corrects = moves.opens, moves.retypes, moves.corrects
        news.worsens, news.resolves = moves.worsens, moves.resolves
        news.is_over, news.may_open, news.score, news.told = now.is_over, now.may_open, now.score, now.told
        news.leavers = now.leavers
        news.trees, news.worst, news.exit_z = verdict.trees, verdict.evidence.worst, verdict.exit_z
        news.chat, news.reactions = verdict.evidence.chat, verdict.evidence.reactions
        news.activity = verdict.evidence.activity
    return is_news
