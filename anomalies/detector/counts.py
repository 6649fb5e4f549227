"""Take rows in: rolling rates become counts per slot of 5 s, and rows that cannot be true are held. Pure."""

from dataclasses import dataclass

import numpy as np

from anomalies.detector.arrays import NEWEST, Floats, Integers, Mask, or_zero
from anomalies.detector.config import DetectorConfig, Holding, Rounding
from anomalies.detector.rows import Rows
from anomalies.detector.sizes import FULL_BYTE, HISTORY_SLOTS, SLOT_SECONDS, SLOTS_PER_MINUTE
from anomalies.detector.state import AUDIENCE, COUNTED, EVENTS, LAST_MINUTE, Figure, Series, States, Usual

FLOAT32_ERROR = 1e-6  # what a rate may lose in a state, as a part of itself

GAINS = [Figure.CHATS, Figure.REACTIONS, Figure.ACTIVE, Figure.PRESENT]  # what more of is better

_SLOTS_AGO = np.arange(HISTORY_SLOTS)[::-1]
_IS_NEWEST = _SLOTS_AGO == 0
_IS_LAST_MINUTE = _SLOTS_AGO < SLOTS_PER_MINUTE


def take(states: States, rows: Rows, config: DetectorConfig) -> Mask:
    """Put each row into its session's history, in place; return which rows were taken.

    A rate over the last minute says how many came in the newest slot: n[t] = r[t] − r[t−1] + n[t−12]. Rows that
    come more often than a slot lasts are passed over. A row is held, and the state but for the counters of what is
    held left alone,

    * when a count would be negative or the active share collapses in one row: a glitch, unless it comes twice;
    * when a lively room's events stop while no number of people moves: lost events, for up to `stall_rows`;
    * when nobody is there any more and nobody has left, for as long.

    A gap of several slots is the sum of their counts, spread evenly. After a minute or more, or a confirmed
    glitch, counting starts anew from a twelfth of the rate. Both are guesses at single slots, and would be wrong
    again every minute; so once a signal's slots were guessed, they are scaled to sum to its rate at every row.
    After a stall, the slots in which events were lost had no audience: nothing was expected in them. Numbers that
    only stood still and then go on as before are a gap.
    """
    new = _read(states, rows, config.holding)
    _count_still(states, new)
    doubt = _find_doubt(states, rows, new, config)
    was_frozen = _count_same(states, new, config.holding)
    fate = _decide(states, new, doubt, was_frozen, config.holding)
    _count_held(states, doubt, fate)
    _count_coarse(states, new, fate, config.rounding)
    _count_risen(states, new, fate)
    _note_exact(states, new, fate)
    _shift(states, new, fate)
    for signal in list(Series)[COUNTED]:
        _fill_counts(states, signal, new, fate)
    _fill_shrinkage(states, rows, new, fate)
    _fill_audience(states, rows, new, fate)
    _move_on(states, rows, new, fate)
    return fate.is_taken


def is_rounded(states: States, rounding: Rounding) -> Mask:
    """Tell where rates have come in whole steps for so long that they must be rounded."""
    return np.asarray(states.coarse >= rounding.rows)


@dataclass(frozen=True, slots=True)
class _Arrivals:
    """One row of each session, as what came since the row before."""

    is_first: Mask
    is_early: Mask  # the slot of the row before is not over
    gap: Integers  # slots since the row before, 1 to HISTORY_SLOTS
    is_new: Mask  # (sessions, slots), which these are
    people: Floats  # who are present, at least one
    share: Floats  # of them, who are active
    figures: Floats  # (sessions, figures), as `previous` will hold them
    counts: Floats  # (sessions, counted signals), below 0 where that cannot be, NaN where unknown

    @property
    def rates(self) -> Floats:
        """What comes as a rate over the last minute: (sessions, counted signals)."""
        return self.figures[:, COUNTED]


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Why one row of each session may not be true."""

    is_stall: Mask
    is_glitch: Mask


@dataclass(frozen=True, slots=True)
class _Fate:
    """What becomes of one row of each session."""

    is_held: Mask
    is_taken: Mask
    is_back: Mask  # events are heard again after some were lost
    is_anew: Mask  # (sessions, counted signals), where counting starts anew


def _read(states: States, rows: Rows, holding: Holding) -> _Arrivals:
    is_first = states.slots == 0
    elapsed = np.where(is_first, 1.0, np.rint((rows.t - states.t) / SLOT_SECONDS))
    gap = np.clip(elapsed, 1, HISTORY_SLOTS).astype(np.int64)
    people = np.where(np.isnan(rows.present), 1.0, np.maximum(1.0, rows.present))
    left = _leavers(states, rows.leave_rate, people, holding)
    figures = np.stack([rows.chats, rows.reactions, left, rows.active, rows.present], axis=1)
    return _Arrivals(
        is_first=is_first,
        is_early=elapsed < 1,
        gap=gap,
        is_new=gap[:, None] > _SLOTS_AGO,
        people=people,
        share=np.minimum(1.0, rows.active / np.where(np.isnan(rows.present), np.nan, people)),
        figures=figures,
        counts=figures[:, COUNTED] - states.previous[:, COUNTED] + _gone(states, gap),
    )


def _leavers(states: States, leave_rate: Floats, people: Floats, holding: Holding) -> Floats:
    """Return how many people left within the last minute: no more than were seen in it, where it was seen."""
    share = np.minimum(holding.most_leave_rate, leave_rate)
    seen = states.last_minute(Series.PEOPLE).max(axis=1)
    most = np.where(states.slots == 0, np.inf, np.maximum(seen, people))
    return np.asarray(np.minimum(share * people / (1 - share), most))


def _gone(states: States, gap: Integers) -> Floats:
    """Return how many of each kind have left the last minute since the previous row."""
    gone = or_zero(states.history[:, COUNTED, -SLOTS_PER_MINUTE].astype(np.float64))
    is_gap = gap > 1  # of a few
    if is_gap.any():
        within = np.cumsum(or_zero(states.history[is_gap, COUNTED, LAST_MINUTE].astype(np.float64)), axis=2)
        last = np.minimum(gap[is_gap], SLOTS_PER_MINUTE) - 1
        gone[is_gap] = np.take_along_axis(within, last[:, None, None], axis=2).squeeze(axis=2)
    return gone


def _count_still(states: States, new: _Arrivals) -> None:
    """Count, in place, for how many rows nobody has moved and no rate has risen."""
    before = states.previous.astype(np.float64)
    nobody_moves = (new.figures[:, AUDIENCE] == before[:, AUDIENCE]).all(axis=1)
    is_still = nobody_moves & ~(new.figures[:, EVENTS] > before[:, EVENTS]).any(axis=1)
    still = np.where(is_still, np.minimum(FULL_BYTE, states.still.astype(np.int16) + 1), 0)
    states.still = np.where(new.is_early, states.still, still)


def _find_doubt(states: States, rows: Rows, new: _Arrivals, config: DetectorConfig) -> _Doubt:
    lost = _has_lost_events(states, rows, new, config.holding)
    is_stall = ~new.is_first & (lost | _is_deserted(states, rows, config.holding))
    return _Doubt(is_stall, ~new.is_first & ~is_stall & _is_glitch(states, new, config))


def _has_lost_events(states: States, rows: Rows, new: _Arrivals, holding: Holding) -> Mask:
    """Tell where a lively room's events have stopped while no number of people moves."""
    per_head = or_zero(states.usual_of(Usual.CHAT_RATE)) + or_zero(states.usual_of(Usual.REACTION_RATE))
    rates, counts, before = new.rates[:, EVENTS], new.counts[:, EVENTS], states.previous
    goes_on = (rates == 0) | (states.held > 0)[:, None]
    falls = (rates < before[:, EVENTS]) | ((rates == before[:, EVENTS]) & goes_on)
    is_silent = np.where(states.is_exact[:, EVENTS], counts <= 0, falls) | np.isnan(rates)
    is_quiet = is_silent.all(axis=1) | (states.still >= holding.still_rows)
    nobody_moves = (rows.active == before[:, Figure.ACTIVE]) & (rows.present == before[:, Figure.PRESENT])
    is_expected = per_head * rows.present > holding.least_expected
    return np.asarray(is_quiet & nobody_moves & (rows.active != rows.present) & is_expected)


def _is_deserted(states: States, rows: Rows, holding: Holding) -> Mask:
    """Tell where nobody is there any more and nobody has left."""
    were_there = states.previous[:, Figure.PRESENT] >= holding.least_glitch
    return np.asarray((rows.present == 0) & were_there & (rows.leave_rate < holding.empty_rate))


def _is_glitch(states: States, new: _Arrivals, config: DetectorConfig) -> Mask:
    """Tell where a count would be negative, or a rate or the active share collapses in one row."""
    holding, rounding = config.holding, config.rounding
    rates, counts, before = new.rates[:, EVENTS], new.counts[:, EVENTS], states.previous
    rates_before = before[:, EVENTS].astype(np.float64)
    least = np.where(is_rounded(states, rounding), rounding.glitch_steps * rounding.step, holding.least_glitch)
    collapses = (rates < holding.glitch_part * rates_before) & (rates_before >= least[:, None])
    is_impossible = np.where(states.is_exact[:, EVENTS], counts < -holding.least_negative, collapses)
    share_before = before[:, Figure.ACTIVE] / np.maximum(1.0, before[:, Figure.PRESENT])
    were_active = before[:, Figure.ACTIVE] >= holding.least_glitch
    turns_away = (new.share < holding.glitch_part * share_before) & were_active
    return np.asarray(is_impossible.any(axis=1) | turns_away)


def _count_same(states: States, new: _Arrivals, holding: Holding) -> Mask:
    """Count, in place, rows that repeat the one before; return where all that are held do, so that nothing was lost.

    Only rows of a room in which enough happens that they cannot be the same by chance.
    """
    before = states.previous.astype(np.float64)
    is_unchanged = np.isclose(new.figures, before, rtol=FLOAT32_ERROR, atol=0, equal_nan=True).all(axis=1)
    is_lively = np.nansum(new.figures[:, EVENTS], axis=1) >= holding.least_same
    is_same = ~new.is_early & is_unchanged & is_lively
    same = np.minimum(FULL_BYTE, states.same.astype(np.int16) + is_same)
    states.same = np.where(new.is_early | is_same, same, 0)
    return np.asarray(same >= states.held)


def _decide(states: States, new: _Arrivals, doubt: _Doubt, was_frozen: Mask, holding: Holding) -> _Fate:
    is_held_glitch = doubt.is_glitch & (states.glitches < holding.glitch_rows)
    is_held_stall = doubt.is_stall & (states.held < holding.stall_rows)
    is_held = ~new.is_early & (is_held_glitch | is_held_stall)
    is_taken = ~new.is_early & ~is_held
    is_back = is_taken & ~doubt.is_stall & (states.held > holding.glitch_rows) & ~was_frozen
    is_new_start = new.is_first | doubt.is_glitch | ((new.gap >= SLOTS_PER_MINUTE) & ~is_back)
    is_new_signal = np.isnan(new.counts) & ~np.isnan(new.rates)
    return _Fate(is_held, is_taken, is_back, is_new_start[:, None] | is_new_signal)


def _count_held(states: States, doubt: _Doubt, fate: _Fate) -> None:
    states.glitches = np.where(fate.is_taken, 0, states.glitches + (doubt.is_glitch & fate.is_held))
    states.held = np.where(fate.is_taken, 0, states.held + fate.is_held)


def _count_coarse(states: States, new: _Arrivals, fate: _Fate, rounding: Rounding) -> None:
    """Count, in place, rows in a row whose rates are whole steps; a row of zeros tells nothing."""
    known = or_zero(new.rates[:, EVENTS])
    counted = np.minimum(FULL_BYTE, states.coarse.astype(np.int16) + known.any(axis=1))
    coarse = np.where((known % rounding.step == 0).all(axis=1), counted, 0)
    states.coarse = np.where(fate.is_taken, coarse, states.coarse)


def _count_risen(states: States, new: _Arrivals, fate: _Fate) -> None:
    """Count, in place, slots since any signal rose while none fell. Who leaves more is no rise.

    A row is compared with the one before it, be that held or not.
    """
    now = new.figures.astype(np.float32)
    before = np.where(np.isnan(states.doubted), states.previous, states.doubted)
    rises = (now[:, GAINS] > before[:, GAINS]).any(axis=1)
    falls = (now[:, GAINS] < before[:, GAINS]).any(axis=1) | (now[:, Figure.LEAVERS] > before[:, Figure.LEAVERS])
    older = np.where(states.risen > 0, np.minimum(FULL_BYTE, states.risen + new.gap), 0)
    risen = np.where(falls, 0, np.where(rises, 1, older))
    states.risen = np.where(new.is_early, states.risen, risen)
    held = np.where(fate.is_held[:, None], now, np.float32(np.nan))
    states.doubted = np.where(new.is_early[:, None], states.doubted, held)


def _note_exact(states: States, new: _Arrivals, fate: _Fate) -> None:
    """Note, in place, which signals' slots are counts from here on: where counting starts anew, only nothing is."""
    goes_on = states.is_exact & ((new.gap == 1) | fate.is_back)[:, None]
    is_exact = np.where(fate.is_anew, new.rates == 0, goes_on)
    states.is_exact = np.where(fate.is_taken[:, None], is_exact, states.is_exact)


def _shift(states: States, new: _Arrivals, fate: _Fate) -> None:
    """Make room for the new slots; they hold what was the newest until they are filled."""
    history = states.history
    shifted = np.concatenate([history[:, :, 1:], history[:, :, NEWEST:]], axis=2)
    is_gap = new.gap > 1  # of a few
    if is_gap.any():
        source = HISTORY_SLOTS - 1 - np.maximum(0, _SLOTS_AGO - new.gap[is_gap, None])
        shifted[is_gap] = np.take_along_axis(history[is_gap], source[:, None, :], axis=2)
    is_taken = fate.is_taken
    states.history = shifted if is_taken.all() else np.where(is_taken[:, None, None], shifted, history)


def _fill_counts(states: States, signal: Series, new: _Arrivals, fate: _Fate) -> None:
    """Fill the new slots of a signal that comes as a rate, and its last minute where the slots are guesses."""
    rate, count = new.rates[:, signal], np.maximum(0.0, new.counts[:, signal])
    _fill(states, signal, fate.is_taken, new.is_new, count / new.gap)
    since_back = np.where(new.gap < SLOTS_PER_MINUTE, count, rate)
    _fill(states, signal, fate.is_back, new.is_new, np.where(_IS_NEWEST, since_back[:, None], 0.0))
    is_anew = fate.is_taken & fate.is_anew[:, signal]
    _fill(states, signal, is_anew, new.is_new | _IS_LAST_MINUTE, rate / SLOTS_PER_MINUTE)
    is_sum = states.is_exact[:, signal] & ~(new.counts[:, signal] < 0)  # what was cut off at 0 would stay in the sum
    _scale(states, signal, fate.is_taken & ~is_sum, rate)


def _fill_shrinkage(states: States, rows: Rows, new: _Arrivals, fate: _Fate) -> None:
    """Fill the new slots of leavers where nobody counts them: an audience that shrinks says so."""
    fewer = np.maximum(0.0, states.previous[:, Figure.PRESENT] - rows.present)  # NaN where nobody counts it
    is_told = np.isnan(new.rates[:, Series.LEAVERS]) & ~np.isnan(fewer)
    _fill(states, Series.LEAVERS, fate.is_taken & is_told, new.is_new, fewer / new.gap)


def _fill_audience(states: States, rows: Rows, new: _Arrivals, fate: _Fate) -> None:
    """Fill the new slots of what is no rate."""
    _fill(states, Series.PEOPLE, fate.is_taken, new.is_new, new.people)
    _fill(states, Series.ACTIVITY, fate.is_taken, new.is_new, _shortened(new.share))
    _fill(states, Series.SCORE, fate.is_taken, new.is_new, _shortened(rows.score))
    is_first = fate.is_taken & new.is_first
    _fill(states, Series.PEOPLE, is_first, _IS_LAST_MINUTE[None, :], new.people)  # whose rates the first row's are
    nobody = np.zeros(len(states))  # was heard while events were lost, so that nothing was expected
    _fill(states, Series.PEOPLE, fate.is_back, new.is_new & ~_IS_NEWEST, nobody)


def _shortened(shares: Floats) -> Floats:
    """Return the shares to three digits: what is beyond them is chance, and does not pack."""
    return shares.astype(np.float16).astype(np.float64)


def _fill(states: States, signal: Series, which: Mask, slots: Mask, value: Floats) -> None:
    """Write a value, or one for each slot, into these slots of these sessions."""
    if not which.any():
        return
    column = states.history[:, signal]
    states.history[:, signal] = np.where(which[:, None] & slots, value.reshape(len(states), -1), column)


def _scale(states: States, signal: Series, which: Mask, rate: Floats) -> None:
    """Let the last minute's slots sum to the rate."""
    if not which.any():
        return
    minute = states.last_minute(signal)
    total = np.cumsum(or_zero(minute), axis=1)[:, NEWEST:]
    even = np.repeat(rate[:, None] / SLOTS_PER_MINUTE, SLOTS_PER_MINUTE, axis=1)
    scaled = np.where(total > 0, minute * rate[:, None] / np.where(total > 0, total, 1.0), even)
    states.history[:, signal, LAST_MINUTE] = np.where(which[:, None], scaled, minute)


def _move_on(states: States, rows: Rows, new: _Arrivals, fate: _Fate) -> None:
    """Keep to the grid of slots unless the source has shifted it, and remember the row's figures."""
    on_grid = states.t + SLOT_SECONDS * np.rint((rows.t - states.t) / SLOT_SECONDS)
    states.t = np.where(fate.is_taken, np.where(new.is_first, rows.t, on_grid), states.t)
    states.slots += np.where(fate.is_taken, new.gap, 0).astype(np.int32)
    states.previous = np.where(fate.is_taken[:, None], new.figures, states.previous)
