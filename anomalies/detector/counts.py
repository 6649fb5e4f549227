"""Take rows in: rolling rates become counts per slot of 5 s, and rows that cannot be true are held. Pure."""

import math
from typing import NamedTuple

import numpy as np

from anomalies.detector.bursts import knows_audience
from anomalies.detector.compiled import Row, State, Tuning, compiled
from anomalies.detector.halves import read_half, write_half
from anomalies.detector.scalars import add_known, at_least, at_most, clip, fill, largest, or_zero
from anomalies.detector.sizes import EARLIER_SLOTS, FULL_BYTE, HISTORY_SLOTS, SLOT_SECONDS, SLOTS_PER_MINUTE
from anomalies.detector.state import N_COUNTED, N_EVENTS, N_FIGURES, N_SERIES, Figure, Series, Usual

FLOAT32_ERROR = 1e-6  # what a rate may lose in a state, as a part of itself

GAINS = (Figure.CHATS.value, Figure.REACTIONS.value, Figure.ACTIVE.value, Figure.PRESENT.value)  # more is better


class _Figures(NamedTuple):
    """What a row says, as `previous` will hold it: the columns of `Figure`."""

    chats: float
    reactions: float
    leavers: float
    active: float
    present: float


class _Arrival(NamedTuple):
    """One row, as what came since the row before."""

    is_first: bool
    gap: int  # slots since the row before, 1 to HISTORY_SLOTS
    people: float  # who are present, at least one
    share: float  # of them, who are active
    figures: _Figures
    counts: tuple[float, float, float]  # of what is counted, below 0 where that cannot be, NaN where unknown


class _Doubt(NamedTuple):
    """Why a row may not be true."""

    is_stall: bool
    is_glitch: bool


class _Fate(NamedTuple):
    """What becomes of a row."""

    is_held: bool
    is_back: bool  # events are heard again after some were lost
    is_new_start: bool  # counting starts anew


@compiled
def take(state: State, row: Row, config: Tuning) -> bool:
    """Put a row into its session's history, in place; tell whether it was taken.

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
    if _is_early(state, row):
        return False
    new = _read(state, row, config.holding)
    _count_still(state, new)
    doubt = _find_doubt(state, row, new, config)
    was_frozen = _count_same(state, new, config.holding)
    fate = _decide(state, new, doubt, was_frozen, config.holding)
    _count_held(state, doubt, fate)
    _count_risen(state, new, fate)
    if fate.is_held:
        return False
    _count_coarse(state, new, config.rounding)
    _shift(state, new.gap)
    for signal in range(N_COUNTED):
        _fill_counts(state, signal, new, fate)
    _fill_shrinkage(state, row, new)
    _fill_audience(state, row, new, fate)
    _move_on(state, row, new)
    return True


@compiled
def is_rounded(state: State, rounding: Tuning) -> bool:
    """Tell whether rates have come in whole steps for so long that they must be rounded."""
    return state.coarse >= rounding.rows


@compiled
def _is_early(state: State, row: Row) -> bool:
    """Tell whether the slot of the row before is not over."""
    return state.slots > 0 and np.rint((row.t - state.t) / SLOT_SECONDS) < 1


@compiled
def _read(state: State, row: Row, holding: Tuning) -> _Arrival:
    is_first = state.slots == 0
    elapsed = 1.0 if is_first else np.rint((row.t - state.t) / SLOT_SECONDS)
    gap = int(clip(elapsed, 1.0, float(HISTORY_SLOTS)))
    people = 1.0 if math.isnan(row.present) else max(1.0, row.present)
    left = _count_leavers(state, row.leave_rate, people, holding)
    figures = _Figures(row.chats, row.reactions, left, row.active, row.present)
    share = math.nan if math.isnan(row.present) else at_most(row.active / people, 1.0)
    counts = (
        _count(state, Series.CHATS, figures.chats, gap),
        _count(state, Series.REACTIONS, figures.reactions, gap),
        _count(state, Series.LEAVERS, figures.leavers, gap),
    )
    return _Arrival(is_first, gap, people, share, figures, counts)


@compiled
def _count_leavers(state: State, leave_rate: float, people: float, holding: Tuning) -> float:
    """Return how many people left within the last minute: no more than were seen in it, where it was seen."""
    share = at_most(leave_rate, holding.most_leave_rate)
    most = math.inf if state.slots == 0 else max(largest(state.history[Series.PEOPLE, -SLOTS_PER_MINUTE:]), people)
    return at_most(share * people / (1 - share), most)


@compiled
def _count(state: State, signal: int, rate: float, gap: int) -> float:
    """Return how many have come since the row before: the rate, less what it was, and what has left its minute."""
    gone = add_known(state.history[signal, -SLOTS_PER_MINUTE:][: min(gap, SLOTS_PER_MINUTE)])
    return rate - state.previous[signal] + gone


@compiled
def _count_still(state: State, new: _Arrival) -> None:
    """Count, in place, for how many rows nobody has moved and no rate has risen."""
    now, before = new.figures, state.previous
    nobody_moves = now.active == before[Figure.ACTIVE] and now.present == before[Figure.PRESENT]
    rises = now.chats > before[Figure.CHATS] or now.reactions > before[Figure.REACTIONS]
    state.still = min(FULL_BYTE, int(state.still) + 1) if nobody_moves and not rises else 0


@compiled
def _find_doubt(state: State, row: Row, new: _Arrival, config: Tuning) -> _Doubt:
    if new.is_first:
        return _Doubt(False, False)
    is_stall = _has_lost_events(state, row, new, config.holding) or _is_deserted(state, row, config.holding)
    return _Doubt(is_stall, not is_stall and _is_glitch(state, new, config))


@compiled
def _has_lost_events(state: State, row: Row, new: _Arrival, holding: Tuning) -> bool:
    """Tell whether a lively room's events have stopped while no number of people moves."""
    chat, reactions = state.usual[Usual.CHAT_RATE], state.usual[Usual.REACTION_RATE]
    per_head = or_zero(read_half(chat)) + or_zero(read_half(reactions))
    nobody_moves = row.active == state.previous[Figure.ACTIVE] and row.present == state.previous[Figure.PRESENT]
    is_expected = per_head * row.present > holding.least_expected
    if not (nobody_moves and row.active != row.present and is_expected):
        return False
    return state.still >= holding.still_rows or _is_silent(state, new)


@compiled
def _is_silent(state: State, new: _Arrival) -> bool:
    """Tell whether nothing that is known has come, or where that is a guess, whether no rate says that it has."""
    for signal in range(N_EVENTS):
        rate, before = new.figures[signal], state.previous[signal]
        if math.isnan(rate):
            continue
        goes_on = rate == 0 or state.held > 0
        falls = rate < before or (rate == before and goes_on)
        if not (new.counts[signal] <= 0 if state.is_exact[signal] else falls):
            return False
    return True


@compiled
def _is_deserted(state: State, row: Row, holding: Tuning) -> bool:
    """Tell whether nobody is there any more and nobody has left."""
    were_there = state.previous[Figure.PRESENT] >= holding.least_glitch
    return row.present == 0 and were_there and row.leave_rate < holding.empty_rate


@compiled
def _is_glitch(state: State, new: _Arrival, config: Tuning) -> bool:
    """Tell whether a count would be negative, or a rate or the active share collapses in one row."""
    holding, rounding = config.holding, config.rounding
    least = rounding.glitch_steps * rounding.step if is_rounded(state, rounding) else holding.least_glitch
    for signal in range(N_EVENTS):
        before = state.previous[signal]
        collapses = new.figures[signal] < holding.glitch_part * before and before >= least
        if new.counts[signal] < -holding.least_negative if state.is_exact[signal] else collapses:
            return True
    # in single precision, as the state's own figures are
    active, present = state.previous[Figure.ACTIVE], state.previous[Figure.PRESENT]
    share_before = active / (np.float32(1) if present < 1 else present)
    turns_away = new.share < np.float32(holding.glitch_part) * share_before
    return turns_away and active >= holding.least_glitch


@compiled
def _count_same(state: State, new: _Arrival, holding: Tuning) -> bool:
    """Count, in place, rows that repeat the one before; tell whether all that are held do, so that nothing was lost.

    Only rows of a room in which enough happens that they cannot be the same by chance.
    """
    is_lively = or_zero(new.figures.chats) + or_zero(new.figures.reactions) >= holding.least_same
    is_same = is_lively and _is_unchanged(state, new)
    same = min(FULL_BYTE, int(state.same) + is_same)
    state.same = same if is_same else 0
    return same >= state.held


@compiled
def _is_unchanged(state: State, new: _Arrival) -> bool:
    for figure in range(N_FIGURES):
        now, before = new.figures[figure], state.previous[figure]
        both_unknown = math.isnan(now) and math.isnan(before)
        if not (both_unknown or abs(now - before) <= FLOAT32_ERROR * abs(before)):
            return False
    return True


@compiled
def _decide(state: State, new: _Arrival, doubt: _Doubt, was_frozen: bool, holding: Tuning) -> _Fate:
    is_held_glitch = doubt.is_glitch and state.glitches < holding.glitch_rows
    is_held_stall = doubt.is_stall and state.held < holding.stall_rows
    is_held = is_held_glitch or is_held_stall
    is_back = not is_held and not doubt.is_stall and state.held > holding.glitch_rows and not was_frozen
    is_new_start = new.is_first or doubt.is_glitch or (new.gap >= SLOTS_PER_MINUTE and not is_back)
    return _Fate(is_held, is_back, is_new_start)


@compiled
def _count_held(state: State, doubt: _Doubt, fate: _Fate) -> None:
    state.glitches = state.glitches + doubt.is_glitch if fate.is_held else 0
    state.held = state.held + 1 if fate.is_held else 0


@compiled
def _count_coarse(state: State, new: _Arrival, rounding: Tuning) -> None:
    """Count, in place, rows in a row whose rates are whole steps; a row of zeros tells nothing."""
    chats, reactions = or_zero(new.figures.chats), or_zero(new.figures.reactions)
    if chats % rounding.step != 0 or reactions % rounding.step != 0:
        state.coarse = 0
    elif chats != 0 or reactions != 0:
        state.coarse = min(FULL_BYTE, int(state.coarse) + 1)


@compiled
def _count_risen(state: State, new: _Arrival, fate: _Fate) -> None:
    """Count, in place, slots since any signal rose while none fell. Who leaves more is no rise.

    A row is compared with the one before it, be that held or not.
    """
    rises, falls = False, bool(np.float32(new.figures.leavers) > _before(state, Figure.LEAVERS))
    for figure in GAINS:
        now, before = np.float32(new.figures[figure]), _before(state, figure)
        if now > before:
            rises = True
        if now < before:
            falls = True
    if falls:
        state.risen = 0
    elif rises:
        state.risen = 1
    elif state.risen > 0:
        state.risen = min(FULL_BYTE, int(state.risen) + new.gap)
    for figure in range(N_FIGURES):
        state.doubted[figure] = new.figures[figure] if fate.is_held else math.nan


@compiled
def _before(state: State, figure: int) -> float:
    """Return a figure of the row before, held or not."""
    doubted = state.doubted[figure]
    return state.previous[figure] if math.isnan(doubted) else doubted


@compiled
def _shift(state: State, gap: int) -> None:
    """Make room for the new slots; they hold what was the newest until they are filled."""
    if not knows_audience(state):
        _shift_earlier(state, gap)
    for series in range(N_SERIES):
        slots = state.history[series]
        for slot in range(HISTORY_SLOTS):
            slots[slot] = slots[min(HISTORY_SLOTS - 1, slot + gap)]


@compiled
def _shift_earlier(state: State, gap: int) -> None:
    """Let what leaves the history be the newest of what was earlier; of a session that is young that is nothing."""
    for signal in range(N_EVENTS):
        slots, history = state.earlier[signal], state.history[signal]
        for slot in range(EARLIER_SLOTS):
            source = slot + gap
            slots[slot] = slots[source] if source < EARLIER_SLOTS else write_half(history[source - EARLIER_SLOTS])


@compiled
def _fill_counts(state: State, signal: int, new: _Arrival, fate: _Fate) -> None:
    """Fill the new slots of a signal that comes as a rate, and its last minute where the slots are guesses.

    They are counts from here on or stay so: where counting starts anew, only nothing is.
    """
    rate, count = new.figures[signal], at_least(new.counts[signal], 0.0)
    is_anew = fate.is_new_start or (math.isnan(new.counts[signal]) and not math.isnan(rate))
    goes_on = state.is_exact[signal] and (new.gap == 1 or fate.is_back)
    state.is_exact[signal] = rate == 0 if is_anew else goes_on
    if is_anew:
        fill(state.history[signal, -max(new.gap, SLOTS_PER_MINUTE) :], rate / SLOTS_PER_MINUTE)
    elif fate.is_back:
        fill(state.history[signal, -new.gap :], 0.0)
        state.history[signal, -1] = count if new.gap < SLOTS_PER_MINUTE else rate
    else:
        fill(state.history[signal, -new.gap :], count / new.gap)
    # what was cut off at 0 would stay in the sum
    if not state.is_exact[signal] or new.counts[signal] < 0:
        _scale(state, signal, rate)


@compiled
def _fill_shrinkage(state: State, row: Row, new: _Arrival) -> None:
    """Fill the new slots of leavers where nobody counts them: an audience that shrinks says so."""
    fewer = state.previous[Figure.PRESENT] - row.present  # NaN where nobody counts it
    if math.isnan(new.figures.leavers) and not math.isnan(fewer):
        fill(state.history[Series.LEAVERS, -new.gap :], max(0.0, fewer) / new.gap)


@compiled
def _fill_audience(state: State, row: Row, new: _Arrival, fate: _Fate) -> None:
    """Fill the new slots of what is no rate."""
    fill(state.history[Series.PEOPLE, -new.gap :], new.people)
    fill(state.history[Series.ACTIVITY, -new.gap :], _shorten(new.share))
    fill(state.history[Series.SCORE, -new.gap :], _shorten(row.score))
    if new.is_first:
        fill(state.history[Series.PEOPLE, -SLOTS_PER_MINUTE:], new.people)  # whose rates the first row's are
    if fate.is_back:
        fill(state.history[Series.PEOPLE, -new.gap :], 0.0)  # nobody was heard: nothing was expected
        state.history[Series.PEOPLE, -1] = new.people


@compiled
def _shorten(share: float) -> float:
    """Return the share to three digits: what is beyond them is chance, and does not pack."""
    return read_half(write_half(share))


@compiled
def _scale(state: State, signal: int, rate: float) -> None:
    """Let the last minute's slots sum to the rate."""
    minute = state.history[signal, -SLOTS_PER_MINUTE:]
    total = add_known(minute)
    for slot in range(SLOTS_PER_MINUTE):
        minute[slot] = minute[slot] * rate / total if total > 0 else rate / SLOTS_PER_MINUTE


@compiled
def _move_on(state: State, row: Row, new: _Arrival) -> None:
    """Keep to the grid of slots unless the source has shifted it, and remember the row's figures."""
    on_grid = state.t + SLOT_SECONDS * np.rint((row.t - state.t) / SLOT_SECONDS)
    state.t = row.t if new.is_first else on_grid
    state.slots += new.gap
    for figure in range(N_FIGURES):
        state.previous[figure] = new.figures[figure]
