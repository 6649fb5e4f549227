"""When an incident opens, worsens, changes its type and ends: one step of a row for each of many sessions. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np

from anomalies.detector import baseline, classifier, counts, dead_rooms
from anomalies.detector.arrays import Floats, Integers, Mask
from anomalies.detector.classifier import AnomalyType, count_leavers
from anomalies.detector.config import DEFAULT, Baseline, Closing, DetectorConfig, Exits, Opening
from anomalies.detector.explanation import Finding, explain
from anomalies.detector.prior import Prior
from anomalies.detector.rows import Rows
from anomalies.detector.sizes import FULL_SHORT
from anomalies.detector.state import Series, States
from anomalies.detector.timetables import Timetables
from anomalies.detector.verdicts import Verdicts, judge, learn

AT_ONCE = 1  # slots: the row itself
SCORE_DIGITS = 6


class Step(StrEnum):
    OPENED = "opened"
    WORSENED = "worsened"
    RETYPED = "retyped"
    CORRECTED = "corrected"  # what was told already has another name
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
    now = _take_stock(part, part_rows, part_timetables, verdicts, config)
    moves = _decide(part, part_rows, verdicts, now, part.slots - slots[taken], config)
    _apply(part, now, moves)
    changes = list(_tell(part, part_rows, verdicts, now, moves, config))
    passed = part.slots - slots[taken]
    is_doubtful = baseline.gather_doubt(part, passed, verdicts.evidence.worst, config.baseline)
    # neither an incident nor what may become one
    may_learn = now.may_open & ~part.is_open & (part.run == 0) & ~is_doubtful
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
    score: Floats  # how sure it is that something is wrong
    told: Floats  # the same, and above the first threshold how much is lost
    leavers: Floats


@dataclass(frozen=True, slots=True)
class _Moves:
    """Where an incident opens, changes or corrects its type, gets worse or ends, and what it would be from here on."""

    opens: Mask
    retypes: Mask
    corrects: Mask
    worsens: Mask
    resolves: Mask
    settles: Mask  # it ends as the room has changed for good
    anomaly_types: Integers
    is_critical: Mask


def _take_stock(
    states: States, rows: Rows, timetables: Timetables, verdicts: Verdicts, config: DetectorConfig
) -> _Moment:
    """Look at the timetable and at how long each room has been low, in place."""
    _mind_breaks(states, rows, timetables, config.opening)
    mean_score = dead_rooms.mean_latest_score(states, rows, config.low_engagement)
    dead_rooms.count_low(states, mean_score, config.low_engagement)
    is_dead = dead_rooms.is_dead(states, rows, timetables, config.low_engagement)
    dead_score = dead_rooms.dead_score(mean_score, config)
    is_over = rows.t >= timetables.ends_at
    told = _spread_by_loss(verdicts, config.opening)
    return _Moment(
        t=rows.t,
        is_over=is_over,
        may_open=~is_over & (rows.t >= states.unsettled_until),
        mean_score=mean_score,
        is_dead=is_dead,
        score=np.where(is_dead, np.maximum(verdicts.score, dead_score), verdicts.score),
        told=np.where(is_dead, np.maximum(told, dead_score), told),
        leavers=count_leavers(states),
    )


def _spread_by_loss(verdicts: Verdicts, opening: Opening) -> Floats:
    """Return the anomaly score as it is told: what is bad is told by how much of the engaged audience is gone."""
    least = np.minimum(verdicts.score, max(opening.warning_from, opening.bad_from))
    by_loss = opening.bad_from + (1 - opening.bad_from) * verdicts.loss
    return np.where(verdicts.score >= opening.bad_from, np.maximum(least, by_loss), verdicts.score)


def _mind_breaks(states: States, rows: Rows, timetables: Timetables, opening: Opening) -> None:
    t = rows.t[:, None]
    is_break = ((t >= timetables.breaks_from) & (t < timetables.breaks_until)).any(axis=1)
    states.unsettled_until = np.where(is_break, rows.t + opening.settle_seconds, states.unsettled_until)


def _decide(
    states: States, rows: Rows, verdicts: Verdicts, now: _Moment, slots: Integers, config: DetectorConfig
) -> _Moves:
    """Return what happens to each incident, and count in place for how long rows have been bad or calm."""
    opens = _opens(states, rows, verdicts, now, slots, config)
    _count_calm(states, now, config.closing)
    settles = states.is_open & _has_settled(states, now, config.closing)
    resolves = settles | (states.is_open & ((states.calm >= config.closing.calm_rows) | ~now.may_open))
    goes_on = states.is_open & ~resolves
    is_low = now.is_dead | dead_rooms.is_heading_low(states, rows, config.low_engagement)
    anomaly_types = classifier.classify(states, rows, verdicts, now.mean_score, is_low, config)
    _find_sudden(anomaly_types, states, verdicts, opens, config)
    is_critical = now.told >= config.opening.critical_from
    is_more_urgent = (anomaly_types > states.anomaly_type) & (anomaly_types >= AnomalyType.LOW_ENGAGEMENT)
    is_larger_exit = verdicts.is_exit & _is_worth_telling(states, now, config.exits)
    is_young = now.t - states.opened_at <= config.opening.correction_seconds
    is_at_low = now.mean_score <= config.low_engagement.score
    is_named_low = anomaly_types == AnomalyType.LOW_ENGAGEMENT
    changes = goes_on & is_more_urgent & (now.score >= config.opening.warning_from)
    return _Moves(
        opens=opens,
        retypes=changes & (~is_named_low | (~is_young & is_at_low)),
        corrects=changes & is_named_low & is_young & ~states.is_corrected,
        worsens=goes_on & ((is_critical & ~states.is_critical) | is_larger_exit),
        resolves=resolves,
        settles=settles,
        anomaly_types=anomaly_types,
        is_critical=is_critical,
    )


def _opens(
    states: States, rows: Rows, verdicts: Verdicts, now: _Moment, slots: Integers, config: DetectorConfig
) -> Mask:
    """Tell where an incident opens, and count in place for how many slots rows have been bad."""
    opening = config.opening
    may_open = now.may_open & ~states.is_open
    is_bad = may_open & (now.score >= opening.warning_from) & _is_felt(verdicts, opening)
    is_bad[is_bad] = _is_known(states, verdicts, now, is_bad, config.baseline)
    run = np.where(states.run > 0, states.run + slots, AT_ONCE)
    states.run = np.where(is_bad, np.minimum(FULL_SHORT, run), 0)
    is_bad_enough = states.run >= _slots_needed(rows, verdicts, now, config)
    is_news = verdicts.is_exit & (states.anomaly_type != AnomalyType.MASS_EXIT)  # those who turned away now leave
    is_rested = (now.t - states.closed_at >= opening.cooldown_seconds) | is_news
    is_first = np.isneginf(states.closed_at)
    is_rising = (states.risen > 0) & (states.risen <= opening.risen_slots)
    return np.asarray(may_open & ~is_rising & ((is_bad_enough & is_rested) | (now.is_dead & is_first)))


def _is_known(states: States, verdicts: Verdicts, now: _Moment, which: Mask, of: Baseline) -> Mask:
    """Tell of some sessions where there is something whose absence means something: of few, as it costs much."""
    is_seen = verdicts.has_activity | verdicts.is_exit | now.is_dead
    return is_seen[which] | baseline.is_sustained(states[which], of)


def _is_felt(verdicts: Verdicts, opening: Opening) -> Mask:
    """Tell where people leave or turn away, or the engagement score itself falls."""
    turned_away = verdicts.evidence.activity
    is_seen = ~verdicts.has_activity | (turned_away >= opening.least_turned_away)
    return np.asarray(
        verdicts.is_exit
        | ((verdicts.fall >= opening.least_fall) & is_seen)
        | (turned_away >= opening.clearly_turned_away)
        | (verdicts.fall >= opening.large_fall)
    )


def _slots_needed(rows: Rows, verdicts: Verdicts, now: _Moment, config: DetectorConfig) -> Integers:
    """Return for how many slots rows must be bad to open an incident: the surer, the fewer.

    Leavers are counted and not guessed, so one row of them is enough, as is one of a fall that is sharp and goes on:
    in a room of some size. A handful leaves together and comes back, and a class is over when it is over.
    """
    opening, sharp, evidence = config.opening, config.sharp_falls, verdicts.evidence
    needed = np.where(now.score >= opening.sure_from, opening.sure_slots, opening.unsure_slots)
    is_sharp = evidence.sharp >= sharp.sharp_from
    needed = np.where((now.score >= opening.at_once_from) & (evidence.is_falling | ~is_sharp), AT_ONCE, needed)
    needed = needed + np.where(is_sharp | verdicts.is_exit | now.is_dead, 0, opening.patience_slots)
    is_certain = verdicts.is_exit | ((evidence.sharp >= sharp.at_once_from) & evidence.is_falling)
    return np.where(is_certain & (rows.present >= opening.at_once_people), AT_ONCE, needed)


def _count_calm(states: States, now: _Moment, closing: Closing) -> None:
    stays_low = (states.anomaly_type == AnomalyType.LOW_ENGAGEMENT) & (states.low > 0)
    is_calm = states.is_open & (now.score < closing.calm_below) & ~stays_low
    states.calm = np.where(is_calm, states.calm + 1, 0)


def _has_settled(states: States, now: _Moment, closing: Closing) -> Mask:
    return np.asarray((now.t - states.opened_at >= closing.thaw_seconds) & ~now.is_dead)


def _find_sudden(
    anomaly_types: Integers, states: States, verdicts: Verdicts, opens: Mask, config: DetectorConfig
) -> None:
    """Rename, in place, those declines that begin suddenly."""
    for place in np.flatnonzero(opens & (anomaly_types == AnomalyType.GRADUAL_DECLINE)):
        if classifier.is_sudden(states[place], bool(verdicts.has_activity[place]), config):
            anomaly_types[place] = AnomalyType.SUDDEN_DROP


def _is_worth_telling(states: States, now: _Moment, exits: Exits) -> Mask:
    """Tell where an exit has grown by much since it was told of, or half of those who had stayed are gone too."""
    more = now.leavers - states.told_leavers
    is_halved = (more >= states.newest(Series.PEOPLE)) & (more >= exits.least_leavers)
    has_grown = now.leavers >= exits.growth * states.told_leavers
    return np.asarray((states.anomaly_type == AnomalyType.MASS_EXIT) & (has_grown | is_halved))


def _apply(states: States, now: _Moment, moves: _Moves) -> None:
    """Move the incidents, in place."""
    starts = moves.opens | moves.retypes | moves.corrects
    tells = starts | moves.worsens
    states.is_corrected = (states.is_corrected & ~moves.opens) | moves.corrects
    gets_critical = states.is_critical | (moves.worsens & moves.is_critical)
    states.anomaly_type = np.where(starts, moves.anomaly_types, states.anomaly_type)
    states.is_critical = np.where(moves.opens, moves.is_critical, gets_critical)
    states.told_leavers = np.where(tells, now.leavers, states.told_leavers)
    states.is_open = (states.is_open | moves.opens) & ~moves.resolves
    states.opened_at = np.where(moves.opens, now.t, states.opened_at)
    states.closed_at = np.where(moves.resolves, now.t, states.closed_at)
    states.run = np.where(moves.opens | moves.resolves, 0, states.run)
    states.calm = np.where(moves.opens | moves.resolves, 0, states.calm)
    baseline.forget(states, moves.settles)


def _tell(
    states: States, rows: Rows, verdicts: Verdicts, now: _Moment, moves: _Moves, config: DetectorConfig
) -> Iterator[tuple[int, Change]]:
    """Yield what changed, with the place of its session."""
    steps = (
        (moves.opens, Step.OPENED),
        (moves.retypes, Step.RETYPED),
        (moves.corrects, Step.CORRECTED),
        (moves.worsens & ~moves.retypes, Step.WORSENED),
    )
    for which, name in steps:
        for place in np.flatnonzero(which).tolist():
            finding = explain(states[place], rows[place], verdicts, place, config.findings)
            yield place, _change(states, now, place, name, finding=finding)
    for place in np.flatnonzero(moves.resolves).tolist():
        yield place, _change(states, now, place, Step.RESOLVED, reason=_reason(states, now, place, config.closing))


def _reason(states: States, now: _Moment, place: int, closing: Closing) -> Reason:
    if now.is_over[place]:
        return Reason.ENDED
    if not now.may_open[place]:
        return Reason.BREAK
    if now.score[place] >= closing.calm_below:
        return Reason.SETTLED
    return Reason.STAYING if states.anomaly_type[place] == AnomalyType.MASS_EXIT else Reason.RECOVERED


def _change(
    states: States,
    now: _Moment,
    place: int,
    name: Step,
    finding: Finding | None = None,
    reason: Reason | None = None,
) -> Change:
    return Change(
        at=datetime.fromtimestamp(now.t[place], UTC),
        step=name,
        anomaly_type=AnomalyType(int(states.anomaly_type[place])).name,
        severity="CRITICAL" if states.is_critical[place] else "WARNING",
        anomaly_score=round(float(now.told[place]), SCORE_DIGITS),
        finding=finding,
        reason=None if reason is None else str(reason),
    )
