"""Every number that the detector is tuned by, in one frozen value. Pure."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Holding:
    """When a row cannot be true and is held back, and how long."""

    # This many rows in a row are held as glitches, and the next is believed.
    glitch_rows: int = 1
    # This many rows in a row, five minutes of them, are held while events seem to be lost.
    stall_rows: int = 60
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
    # An active share that is usually as high as this says nothing.
    full_activity: float = 0.97
    # A row proves that others listen when more than this many people are active beyond its chats and reactions.
    spare_people: float = 1.0
    # This many rows must prove it, before which "active" may only be who did something.
    least_proofs: int = 3
    # The band of expected scores reaches this many standard deviations to either side of what is usual.
    band_width: float = 2.0
    # A standard deviation of the score is drawn at least as wide as this.
    least_band: float = 0.02


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Defaults are the published ones where there are such; the others were measured on labelled sessions.

    Evidence is in standard deviations, one-sided: positive is worse than usual.
    """

    holding: Holding = Holding()
    rounding: Rounding = Rounding()
    baseline: Baseline = Baseline()

    # Published: 0.7 × half-space trees + 0.3 × z-score, WARNING from 0.6, CRITICAL from 0.8.
    tree_weight: float = 0.7
    z_weight: float = 0.3
    warning_from: float = 0.6
    critical_from: float = 0.8
    low_engagement: float = 0.2  # a mean score at or below it is LOW_ENGAGEMENT
    mass_exit_rate: float = 0.15  # share of the audience that leaves within a minute

    # The life of an incident.
    confirm_rows: int = 2  # rows of 5 s in a row before it opens ...
    at_once_from: float = 0.8  # ... but one is enough from this score, and one more is wanted ...
    sure_from: float = 0.68  # ... below this, ...
    patience: int = 4  # ... and so many more where nobody left and no fall is sharp: most such dips pass
    at_once_people: int = 60  # in rooms of so many, one row of an exit or of a sharp fall is enough
    close_below: float = 0.35
    close_rows: int = 6
    cooldown_seconds: float = 60.0
    thaw_seconds: float = 600.0  # then an incident is the new normal, and the room is learnt anew
    settle_seconds: float = 90.0  # after a planned break, when the windows still hold it

    # When a verdict may be given.
    warm_slots: int = 12
    dead_slots: int = 12  # a session that is dead from the start needs no baseline, only this long
    dead_audience: int = 15  # fewer people can be silent for a minute without meaning it
    dead_events: float = 0.03  # chats and reactions a head and minute that are still nearly none
    dead_growth: float = 1.2  # a room that fills faster than this in a minute has not begun

    # One-sided evidence over 15, 30, 60 and 120 s.
    windows: tuple[int, ...] = (3, 6, 12, 24)  # slots
    dispersion: float = 2.5  # chat and reactions come in bursts: variance over mean
    rate_spread: float = 0.30  # the spread of a healthy log rate that no count explains
    activity_spread: float = 0.14
    full_events: float = 3.0  # a minute, from which a signal has its full weight
    least_noise: float = 0.7  # a signal's own noise never counts as less than this
    noise_rate: float = 0.004  # how fast its noise is learnt, a row
    noise_clip: float = 6.0  # a squared z above this teaches no more than this
    weight_chat: float = 1.0
    weight_reactions: float = 0.8
    weight_activity: float = 1.6
    z_feature_full: float = 8.0  # evidence that is 1 for the trees
    z_full: float = 8.0  # evidence at which the z-score alone is certain: the trade of recall against silence
    slow_part: float = 0.85  # evidence against the slow reference is worth a little less
    least_fall: float = 0.05  # the score itself must have fallen by this part, unless people leave, ...
    least_turned_away: float = 1.5  # ... and the active share by these deviations, where it says something; ...
    clearly_turned_away: float = 3.0  # ... from these on it needs no fall of the score, ...
    large_fall: float = 0.5  # ... and from this part on nobody need have turned away
    few_people: int = 20  # in rooms of less, the active share is a mean of 20 s and not of 10
    full_audience: float = 40.0  # evidence from fewer people counts for less, by the square root
    turned_away_people: float = 3.0  # fewer people than these count for less

    # A sharp fall: the newest active share against the room's own last minute.
    sharp_slots: tuple[int, int] = (2, 12)  # that minute, so many slots ago
    sharp_least_rows: int = 6  # in which it must be known
    sharp_spread: float = 0.05  # less than from minute to minute
    sharp_events: float = 0.5  # what chat and reactions of 15 s weigh beside it, of their weight
    sharp_part: float = 0.85  # a test more finds more by chance
    sharp_turned_away: float = 0.8  # of its z counts as turned away
    sharp_from: float = 3.0  # evidence from which a fall is sharp
    sharp_at_once: float = 3.5  # evidence that needs no second row ...
    sharp_pair: float = 2.5  # ... if two rows together lie so low, in deviations

    # Where nobody says who listens, only who does something.
    window_parts: tuple[float, ...] = (0.6, 0.7, 0.8, 1.0, 1.0, 1.0)  # what evidence over short windows counts for

    # Exits have a test of their own: leaves over 10, 15, 30 and 60 s against the session's own churn.
    exit_windows: tuple[int, ...] = (2, 3, 6, 12)  # slots
    exit_shares: tuple[float, ...] = (0.22, 0.35, 0.6, 1.0)  # of mass_exit_rate, within each window
    exit_z: float = 3.6
    exit_leavers: float = 3.0
    growth: float = 1.5  # an exit that grew by this factor since it was last told of is told again
    least_churn: float = 0.0004  # leaves a head and slot that any room has

    # Trees.
    least_evidence: float = 2.0  # the trees are asked only of rows that are so much worse than usual ...
    least_exit: float = 0.02  # ... or from which such a share of the audience left
    tail_full: float = 3.7  # −log10 of the share of quiet rows that score higher, at which trees are certain
    own_row_weight: int = 60  # one row of the session against rows of the shared prior

    sudden_part: float = 0.07  # of the fall of the active share in its steepest 30 s ...
    sudden_age: float = 0.225  # ... plus this for each e-fold of slots since it began, is a SUDDEN_DROP
    sudden_fall: float = 0.18  # the log of a fall of the active share within 15 s that is sudden by itself, ...
    sudden_noise: float = 1.5  # ... beyond so many standard deviations of a room's chance
    sudden_slots: int = 9  # a fall that began within so many slots is a SUDDEN_DROP


DEFAULT = DetectorConfig()
# By the sensitivity of an event: three points of the curve of recall against false alarms.
BY_SENSITIVITY = {
    "calm": replace(DEFAULT, warning_from=0.7),
    "normal": DEFAULT,
    "sensitive": replace(DEFAULT, warning_from=0.55, patience=2),
}
