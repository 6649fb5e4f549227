"""Every number that the detector is tuned by, in one frozen value. Pure.

What stands here is what learning starts with; what `learnt.json` names was learnt, and is used instead.
"""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Holding:
    """When a row cannot be true and is held back, and how long."""

    # This many rows in a row are held as glitches, and the next is believed.
    glitch_rows: int = 1
    # This many rows in a row, five minutes of them, are held while events seem to be lost.
    stall_rows: int = 60
    # A session's data cannot be trusted once this many rows in a row are held.
    untrusted_rows: int = 3
    # Nor can it once this many rows in a row, a minute of them, repeat the one before.
    untrusted_same_rows: int = 12
    # Events count as lost when nobody has moved and no rate has risen for this many rows.
    still_rows: int = 3
    # A room with this many chats and reactions a minute cannot stand still to the last digit.
    least_same: float = 3.0
    # A rate or an active share that falls below this part of itself in one row is a glitch.
    glitch_part: float = 0.4
    # A rate a minute or a number of people under this may fall to anything in one row.
    least_glitch: float = 5.0
    # A count that comes out this far below 0 is a glitch and no rounding.
    least_negative: float = 0.5
    # Events that stay away are a loss where more than this many are expected in a slot.
    least_expected: float = 1.0
    # A leave rate from this on may have emptied a room.
    empty_rate: float = 0.5
    # A leave rate above this is read as this, as those who stayed are divided by what is left of 1.
    most_leave_rate: float = 0.99


@dataclass(frozen=True, slots=True)
class Rounding:
    """Rates that come in whole tens are rounded."""

    # Less careful integrators round rates to this many a minute.
    step: float = 10.0
    # Rates are rounded once this many rows in a row are whole steps.
    rows: int = 12
    # A rounded rate under this many steps may fall to anything in one row.
    glitch_steps: float = 1.5
    # A rounded signal has its full weight from this many events a minute on.
    full_events: float = 60.0
    # A rounded count is off by this standard deviation, in events: ten over the root of six.
    spread: float = 4.1


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is usual in a room, from blocks of 30 s."""

    # This many blocks make the baseline, without the newest, which may be part of what is to be judged.
    recent_blocks: int = 10
    # The newest counts as well in a room of no more than this many blocks, as there is hardly anything else.
    first_blocks: int = 2
    # The slow reference exists in a room of this many blocks or more.
    slow_from_blocks: int = 17
    # This many of the newest blocks are left out where nobody says who listens, as a fall is seen late there.
    settled_blocks: int = 6
    # A row with this evidence or more, in standard deviations, is not learnt as what is usual, ...
    doubt_from: float = 3.1
    # ... for this many slots, three minutes, after which it is the new normal.
    doubt_slots: int = 36
    # Chat, or reactions, are sustained once they were heard in this many blocks: one message is no baseline.
    sustained_blocks: int = 4
    # An active share that is usually as high as this says nothing.
    full_activity: float = 0.97
    # A row proves that others listen when more than this many people are active beyond its chats and reactions.
    spare_people: float = 1.0
    # Before so many rows have proven it "active" may only be who did something, ...
    least_proofs: float = 12.0
    # ... and so it may where fewer than this part of all prove it, as rates are smoothed and rounded.
    proven_part: float = 0.15
    # That part is of as many rows as came, up to this many, one hour of them; then older ones are forgotten.
    asked_rows: int = 720
    # The band of expected scores reaches this many standard deviations to either side of what is usual.
    band_width: float = 2.0
    # A standard deviation of the score is drawn at least as wide as this.
    least_band: float = 0.02


@dataclass(frozen=True, slots=True)
class Noise:
    """How much each test of a room varies while nothing happens."""

    # A test of a new session starts with this variance, in squared deviations.
    at_first: float = 1.0
    # A test's own noise never counts as less than this, in standard deviations.
    least: float = 0.78
    # A row moves a variance by this part of what it is off.
    rate: float = 0.0056
    # A squared deviation above this teaches no more than this.
    limit: float = 6.0
    # The score of a new session starts with this standard deviation, which only shows as the width of the band.
    score_at_first: float = 0.03
    # A row moves the score's variance by this part of what it is off.
    score_rate: float = 0.03
    # A score that is off by more than this teaches no more than this.
    score_limit: float = 0.1


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a count of chats or reactions lies below what is usual."""

    # They are counted over these four windows, in slots: 15, 30, 60 and 120 s.
    windows: tuple[int, int, int, int] = (3, 6, 12, 24)
    # The variance of a count is this many times its mean, as chat and reactions come in bursts.
    dispersion: float = 2.5
    # A healthy log rate has this standard deviation that no count explains.
    rate_spread: float = 0.34
    # Half an event is added to what was seen and to what was expected, so that none has a logarithm.
    offset: float = 0.5
    # One event is added to what was expected where a variance is divided by it.
    variance_offset: float = 1.0


@dataclass(frozen=True, slots=True)
class Bursts:
    """How few chats or reactions are too few where nobody counts the audience, so that they are all that is known."""

    # They are counted over the windows of other counts, and over this many slots, three minutes, as well.
    long_slots: int = 36
    # How many are usual is known from this many blocks, beside the newest that are left out.
    least_blocks: int = 12
    # In a room of which nothing is known the variance of a count is this many times its mean, ...
    dispersion_at_first: float = 2.9
    # ... which counts as much as this many blocks of the room's own.
    first_blocks: float = 15.0
    # Of those no more than this many, two hours of them, are remembered.
    most_blocks: int = 240
    # A block of which fewer are expected than this teaches nothing.
    least_learnt: float = 0.5
    # A squared deviation of a block's count above this many times its mean teaches no more than this.
    limit: float = 25.0
    # A room's own variance counts as no less than this many times the mean, ...
    least_dispersion: float = 1.4
    # ... and as no more than this many.
    most_dispersion: float = 12.0
    # Beside that what is usual varies from minute to minute by this part of itself.
    spread: float = 0.4
    # Of more than this many expected events a part that is missing tells no more than of this many.
    most_expected: float = 400.0
    # Chat and reactions have their full weight from this many events a minute on.
    full_events: float = 8.0
    # A standard score is worth this many standard deviations of evidence, as no noise is taken off it.
    worth: float = 1.3


@dataclass(frozen=True, slots=True)
class Shares:
    """How far the active share lies below what is usual."""

    # A healthy log share has this standard deviation that no number of people explains.
    spread: float = 0.16
    # A usual share below this has the spread of this.
    least: float = 0.02
    # A usual share above this has the spread of this.
    most: float = 0.98
    # Half a person is added throughout, as of seven people none active is no catastrophe.
    offset: float = 0.5
    # A fall by fewer people than this counts for less, in proportion.
    turned_away_people: float = 3.0
    # The share of now is the mean of this many of the newest slots.
    slots: int = 3
    # A room of fewer people than this has few.
    few_people: int = 20
    # The share of a few people is the mean of this many of the newest slots.
    few_slots: int = 4


@dataclass(frozen=True, slots=True)
class SharpFalls:
    """A sharp fall: the newest active share against the room's own last minute."""

    # That minute ends before this many of the newest slots.
    skipped_slots: int = 2
    # It begins this many slots before the newest.
    since_slots: int = 12
    # The share must be known in this many of its rows.
    least_rows: int = 6
    # A healthy log share has this standard deviation within a minute, less than from minute to minute.
    spread: float = 0.05
    # Chat and reactions of the shortest window have this part of their weight beside it.
    event_part: float = 0.5
    # Its evidence is worth this part, as a test more finds more by chance.
    part: float = 0.79
    # Its evidence is this, in standard deviations, where the active share says nothing.
    without_activity: float = -1.0
    # This part of its deviations counts as turned away.
    turned_away_part: float = 0.8
    # A fall is sharp from this evidence on, in standard deviations.
    sharp_from: float = 3.0
    # It needs no second row from this evidence on, in standard deviations, if it goes on.
    at_once_from: float = 3.6
    # Whether it goes on is judged by the mean of this many of the newest rows.
    pair_rows: int = 2
    # It goes on where they together lie this low, in standard deviations.
    pair_from: float = 2.5


@dataclass(frozen=True, slots=True)
class Weighing:
    """How the evidence of the signals is fused, in standard deviations, positive where worse than usual."""

    # Chat weighs this.
    weight_chat: float = 1.0
    # Reactions weigh this.
    weight_reactions: float = 0.8
    # The active share weighs this where it says something of its own.
    weight_activity: float = 1.9
    # Chat and reactions have their full weight from this many events a minute on.
    full_events: float = 3.0
    # The weights of all signals, as the length of a vector, count as no less than this.
    least_weight: float = 0.5
    # No signal speaks for the room by more than this.
    best: float = -1.5
    # Chat and reactions speak against it by no more than this.
    worst_events: float = 5.5
    # The active share speaks against it by no more than this.
    worst_activity: float = 8.0
    # A sharp fall of the active share speaks against it by no more than this.
    worst_sharp: float = 12.0
    # Evidence against the slow reference is worth this part.
    slow_part: float = 0.91
    # Evidence from fewer people than these counts for less, by the square root.
    full_audience: float = 35.0
    # Evidence counts for these parts, by horizon, where nobody says who listens.
    unheard_parts: tuple[float, ...] = (0.6, 0.7, 0.8, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Exits:
    """Leavers over four windows against the session's own churn."""

    # In a MASS_EXIT this share of the audience leaves within a minute, as published.
    mass_rate: float = 0.15
    # Leavers are counted over these windows, in slots: 10, 15, 30 and 60 s.
    windows: tuple[int, ...] = (2, 3, 6, 12)
    # These parts of that share must have left within each window.
    parts: tuple[float, ...] = (0.22, 0.35, 0.6, 1.0)
    # Leavers are an exit from this root deviance on, in standard deviations.
    exit_from: float = 3.6
    # Fewer leavers than this are no exit.
    least_leavers: float = 3.0
    # Any room has this many leavers a head and slot.
    least_churn: float = 0.0004
    # This many leavers are expected in any window, beside the churn.
    least_expected: float = 0.15
    # An exit is as certain as a WARNING, and by this more for each standard deviation beyond.
    certainty: float = 0.1
    # An exit that has grown by this factor since it was last told of is told again.
    growth: float = 1.5


@dataclass(frozen=True, slots=True)
class Trees:
    """When the half-space trees are asked, and what their answer is worth."""

    # They are asked of rows with at least this evidence, in standard deviations.
    least_evidence: float = 2.0
    # They are asked as well where at least this share of the audience left within a minute.
    least_exit: float = 0.02
    # This evidence, in standard deviations, is 1 to them.
    full_evidence: float = 8.0
    # They are certain of a score that 1 in 10 to the power of this of quiet rows exceeds.
    full_rarity: float = 3.7
    # A row of the session weighs as much as this many rows of the shared prior.
    own_row_weight: int = 60


@dataclass(frozen=True, slots=True)
class Fusion:
    """How trees and evidence make one score, 0..1."""

    # The half-space trees weigh this, as published.
    tree_weight: float = 0.7
    # The z-score weighs this, as published.
    z_weight: float = 0.3
    # The z-score is certain at this evidence, in standard deviations: the trade of recall against silence.
    full_evidence: float = 8.0
    # A usual engagement score of no more than this cannot fall.
    least_usual_score: float = 0.02
    # Half an event is added to what was seen and expected in a minute, where their loss is the fall.
    offset: float = 0.5


@dataclass(frozen=True, slots=True)
class Losses:
    """What share of the engaged audience is gone: the anomaly score above its first threshold."""

    # Of what was seen to be gone, this many standard deviations may be chance.
    certainty: float = 1.0
    # A healthy log share has this standard deviation that no number of people explains.
    share_spread: float = 0.1
    # The share of now is the mean of this many of the newest slots.
    share_slots: int = 2
    # Who only falls silent, where nobody says who listens, counts as this part of somebody who is gone.
    silence_part: float = 0.65
    # Chats and reactions are counted over this many slots, 120 s.
    event_slots: int = 24


@dataclass(frozen=True, slots=True)
class Opening:
    """When an incident opens."""

    # Nothing is judged before a session has lasted this many slots.
    warm_slots: int = 12
    # Nothing is judged before its baseline has this many blocks.
    warm_blocks: int = 1
    # A row is bad from this score on, as published.
    warning_from: float = 0.6
    # From this score on, as published, it tells how much is lost, whatever an event's sensitivity.
    bad_from: float = 0.6
    # An incident is CRITICAL from this score on, as published: half of the engaged audience is surely gone.
    critical_from: float = 0.8
    # Unless people leave, this part of the usual engagement score must be gone.
    least_fall: float = 0.05
    # The active share, where it says something, must then have fallen by this many standard deviations, too.
    least_turned_away: float = 1.5
    # From this many standard deviations on it needs no fall of the score.
    clearly_turned_away: float = 3.0
    # Once this part of the usual score is gone, nobody need have turned away.
    large_fall: float = 0.5
    # A row is surely bad from this score on.
    sure_from: float = 0.68
    # Sure rows must go on for this many slots.
    sure_slots: int = 2
    # Other rows must go on for this many slots.
    unsure_slots: int = 3
    # Where nobody left and no fall is sharp, they must go on for this many more, as most such dips pass.
    patience_slots: int = 4
    # One row is enough from this score on, unless it is of a sharp fall that does not go on.
    at_once_from: float = 0.8
    # One row of an exit, or of a sharp fall that goes on, is enough in rooms of this many people.
    at_once_people: int = 60
    # Nothing opens within this many slots, a minute, after anything rose and nothing has fallen since.
    risen_slots: int = 12
    # Nothing opens for this many seconds after a planned break, while the windows still hold it.
    settle_seconds: float = 90.0
    # Its type may be corrected once within this many seconds, as what it is shows when it goes on.
    correction_seconds: float = 60.0
    # Nothing but an exit opens for this many seconds after an incident.
    cooldown_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Closing:
    """When an incident ends."""

    # A row is calm below this score.
    calm_below: float = 0.35
    # This many calm rows in a row end an incident.
    calm_rows: int = 6
    # After this many seconds an incident is the new normal, and the room is learnt anew.
    thaw_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class LowEngagement:
    """Rooms whose score is low, and rooms that are dead from the start."""

    # A mean engagement score at or below this is LOW_ENGAGEMENT, as published.
    score: float = 0.2
    # It is the mean of this many of the newest scores, as published.
    mean_slots: int = 3
    # Where the score is heading is counted over this many of the newest slots, 20 s.
    heading_slots: int = 4
    # A score that is heading for this, when the minute of its rates has passed, is there already.
    heading_score: float = 0.15
    # A session that is dead from the start needs no baseline, only to last this many slots.
    dead_slots: int = 12
    # Fewer people than this can be silent for a minute without meaning it.
    dead_audience: int = 15
    # This many chats and reactions a head and minute are still nearly none.
    dead_events: float = 0.03
    # This many chats and reactions a minute are nearly none in a room of any size.
    dead_least_events: float = 1.0
    # A room that grows by more than this factor in a minute has not begun.
    dead_growth: float = 1.2


@dataclass(frozen=True, slots=True)
class SuddenDrops:
    """What tells a SUDDEN_DROP from a GRADUAL_DECLINE."""

    # A fall of the active share is sudden if at least this part of it came in its steepest 30 s.
    part: float = 0.07
    # That part grows by this for each e-fold of slots since the fall began.
    part_by_age: float = 0.225
    # The two ends of a stretch lie this many slots, 30 s, apart.
    stretch_slots: int = 6
    # Its upper end is the mean of this many slots.
    upper_slots: int = 3
    # Its lower end is the mean of this many slots.
    lower_slots: int = 2
    # All of a fall counts as steep where the active share is known in fewer slots than this.
    least_rows: int = 10
    # A fall within the latest slots is sudden by itself if the log of the active share fell by this.
    latest_fall: float = 0.18
    # It must fall by this many standard deviations of a room's chance more.
    latest_noise: float = 1.5
    # This many slots, 15 s, are the latest.
    latest_slots: int = 3
    # The mean of this many slots before them is what it fell from.
    latest_before_slots: int = 2
    # Where nobody says who listens, a fall that began within this many slots is sudden.
    slots: int = 9


@dataclass(frozen=True, slots=True)
class SecondLook:
    """When the name of a fall is looked at again, and the log odds by which it is a GRADUAL_DECLINE: learnt."""

    # A fall that goes on is looked at once more after this many seconds, as a step shows when it has ended.
    after_seconds: float = 30.0
    # Its sharpest moment is between two neighbours of this many slots, 15 s, each.
    stretch_slots: int = 3
    # A share below this part of the usual one has fallen no further.
    least_share: float = 0.02
    # The log odds of a fall of which nothing is known.
    constant: float = 0.0
    # They grow by this for each e-fold of slots since it began, as a ramp, ...
    ramp_age: float = 0.0
    # ... and as a step.
    step_age: float = 0.0
    # They grow by this for the part of it that came in its steepest 30 s, ...
    steepest_part: float = 0.0
    # ... for each e-fold by which the share fell at its sharpest, ...
    sharpest: float = 0.0
    # ... and within the latest 15 s, ...
    latest: float = 0.0
    # ... and for each e-fold that it may fall by chance.
    chance: float = 0.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What an incident's sentence tells."""

    # A signal has moved from this evidence on, in standard deviations.
    moved_from: float = 1.5
    # The chats and reactions of this many slots, as a rate a minute, are what was observed.
    observed_slots: int = 6
    # This many of the signals that moved are told of.
    told_signals: int = 2


@dataclass(frozen=True)
class DetectorConfig:
    """Defaults are the published ones where it says so; the others were measured on labelled sessions.

    Evidence is one-sided: positive is worse than usual. A slot is 5 s, a block of a baseline 30 s.
    """

    holding: Holding = Holding()
    rounding: Rounding = Rounding()
    baseline: Baseline = Baseline()
    noise: Noise = Noise()
    counts: Counts = Counts()
    bursts: Bursts = Bursts()
    shares: Shares = Shares()
    sharp_falls: SharpFalls = SharpFalls()
    weighing: Weighing = Weighing()
    exits: Exits = Exits()
    trees: Trees = Trees()
    fusion: Fusion = Fusion()
    losses: Losses = Losses()
    opening: Opening = Opening()
    closing: Closing = Closing()
    low_engagement: LowEngagement = LowEngagement()
    sudden_drops: SuddenDrops = SuddenDrops()
    second_look: SecondLook = SecondLook()
    findings: Findings = Findings()

    @cached_property
    def record(self) -> NDArray[np.void]:
        """The same numbers by the same names as one record, which compiled code reads: made once."""
        return np.array([astuple(self)], _type_of(DetectorConfig()))


def _type_of(group: Any) -> np.dtype[np.void]:
    """Return the type of the record of a group of numbers, and of groups in it."""
    types = [(field.name, *_type_of_field(field.type, getattr(group, field.name))) for field in fields(group)]
    return np.dtype((np.record, types))


def _type_of_field(annotation: Any, value: Any) -> tuple[Any, tuple[int, ...]]:
    if is_dataclass(value):
        return _type_of(value), ()
    if isinstance(value, tuple):
        return _type_of_field(annotation.__args__[0], value[0])[0], (len(value),)
    return {int: np.int64, float: np.float64}[annotation], ()


def number_of(config: DetectorConfig, path: str) -> float:
    """Return one number by its place, "group.name"."""
    group, name = path.split(".")
    return cast(float, getattr(getattr(config, group), name))


def with_numbers(config: DetectorConfig, numbers: Mapping[str, float]) -> DetectorConfig:
    """Return the config with other numbers, by their places; a whole number stays one."""
    for path, number in numbers.items():
        group, name = path.split(".")
        kind = type(number_of(config, path))
        config = replace(config, **{group: replace(getattr(config, group), **{name: kind(number)})})
    return config


def read_learnt(artefact: str) -> DetectorConfig:
    """Return the numbers that were learnt beside those that were not. Raises ValueError for another revision's."""
    learnt = json.loads(artefact)
    if learnt["revision"] != ARTEFACT_REVISION:
        raise ValueError(f"the learnt numbers are of revision {learnt['revision']}, and {ARTEFACT_REVISION} is wanted")
    return with_numbers(START, learnt["numbers"])


# What `manage.py learn` begins with: published, chosen by hand on labelled sessions, or found by climbing before.
START = DetectorConfig()
LEARNT = Path(__file__).parent / "learnt.json"
ARTEFACT_REVISION = 1  # to be raised when the numbers of an artefact come to mean something else
DEFAULT = read_learnt(LEARNT.read_text())
# By the sensitivity of an event: three points of the curve of recall against false alarms.
BY_SENSITIVITY = {
    "calm": with_numbers(DEFAULT, {"opening.warning_from": 0.7}),
    "normal": DEFAULT,
    "sensitive": with_numbers(DEFAULT, {"opening.warning_from": 0.55, "opening.patience_slots": 2}),
}
