"""A second maker of sessions, without people: rates that wander, and what is counted of them in slots of 5 s. Pure.

It plays the same scripts as the crowd does and agrees with it in little else: moods change in jumps and not
evenly, messages come in clusters and not by infection, attention has no memory of persons. What was chosen with one
maker must hold with the other.
"""

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from anomalies.bench.simulation.script import Script, Stretch
from anomalies.bench.simulation.voices import depth_of
from anomalies.detector.arrays import Floats
from engagement.readings import Reading

Counts = NDArray[np.int64]

SLOT_SECONDS = 5
SLOTS_PER_MINUTE = 12
CLOSING_SECONDS = 90.0
VOTE_SECONDS = 35.0
PERSON_SECONDS = 40.0  # how fast it is forgotten who it was that looked


def play_rates(rng: np.random.Generator, script: Script, starts_at: datetime) -> list[Reading]:
    """Return the rows of a session, one every five seconds."""
    slots = (script.seconds + script.overtime) // SLOT_SECONDS
    seconds = SLOT_SECONDS * np.arange(1.0, slots + 1)
    present, left = _come_and_go(rng, script, slots)
    heard = np.ones(slots)
    for stretch in script.stretches:
        heard -= stretch.lost * ((seconds > stretch.start) & (seconds <= stretch.end))
    chats = _draw_chats(rng, script, seconds, present, heard)
    reactions = _draw_reactions(rng, script, seconds, present, heard)
    share = _draw_share(rng, script, seconds, present)
    votes = _draw_votes(script, seconds, share)
    chat_rate, reaction_rate, leavers = (_last_minute(counts) for counts in (chats, reactions, left))
    attentive = np.minimum(present, np.rint(share * present)).astype(np.int64)
    active = {
        "activity": attentive,
        "actors": _draw_actors(rng, chat_rate + reaction_rate, present),
        "connected": present,
    }.get(script.emits)
    tells_people, tells_reactions = script.emits != "chat", script.emits not in ("chat", "connections")
    return [
        Reading(
            timestamp=starts_at + timedelta(seconds=float(seconds[slot])),
            chat_msgs_per_min=None if script.emits == "connections" else float(chat_rate[slot]),
            poll_participation=None if np.isnan(votes[slot]) or not tells_reactions else float(votes[slot]),
            active_users=None if active is None else int(active[slot]),
            total_users=int(present[slot]) if tells_people else None,
            reactions_per_min=float(reaction_rate[slot]) if tells_reactions else None,
            user_leave_rate=float(leavers[slot] / max(1, leavers[slot] + present[slot])) if tells_people else None,
        )
        for slot in range(slots)
    ]


def _come_and_go(rng: np.random.Generator, script: Script, slots: int) -> tuple[Counts, Counts]:
    """Return how many are here at the end of each slot, and how many left for good in it."""
    arrivals = _draw_arrivals(rng, script, slots)
    leave_chance = script.churn * SLOT_SECONDS / 60
    present, left = np.zeros(slots, np.int64), np.zeros(slots, np.int64)
    back = np.zeros(slots + 100, np.int64)
    here = 0
    exiting: dict[int, int] = {}
    for slot in range(slots):
        second = slot * SLOT_SECONDS
        here += int(arrivals[slot] + back[slot])
        away = int(rng.binomial(here, leave_chance))
        dropped = int(rng.binomial(away, script.reconnecting))
        back[slot + 1 + int(rng.integers(0, 4))] += dropped
        gone = away - dropped
        for stretch in script.stretches:
            gone += _count_exits(rng, stretch, second, here - away, exiting, back, slot)
        if second >= script.seconds:
            gone += int(rng.binomial(max(0, here - away - gone), min(1.0, SLOT_SECONDS / CLOSING_SECONDS)))
        gone = min(gone, here - dropped)
        here -= gone + dropped
        present[slot], left[slot] = here, gone
    return present, left


def _count_exits(
    rng: np.random.Generator,
    stretch: Stretch,
    second: int,
    here: int,
    exiting: dict[int, int],
    back: Counts,
    slot: int,
) -> int:
    """Return how many an exit takes in this slot, most of them at its beginning, and note who comes back."""
    if not stretch.exits or not stretch.start <= second < stretch.start + stretch.exit_seconds:
        return 0
    key = round(stretch.start)
    remaining = exiting.setdefault(key, round(stretch.exits * here))
    left_slots = max(1.0, (stretch.start + stretch.exit_seconds - second) / SLOT_SECONDS)
    chance = min(1.0, (1.4 if stretch.exit_seconds < 2 * 60 else 1.0) / left_slots)
    count = min(here, int(rng.binomial(remaining, chance)))
    exiting[key] = remaining - count
    back[min(len(back) - 1, slot + int(rng.integers(30, 80)))] += int(rng.binomial(count, stretch.returns))
    return count


def _draw_arrivals(rng: np.random.Generator, script: Script, slots: int) -> Counts:
    """Return how many come in each slot: some at once, most along a logistic curve, some late."""
    waiting = rng.binomial(script.audience, rng.uniform(0.1, 0.4))
    middle, width = rng.uniform(40, 160), rng.uniform(12, 40)
    times = np.clip(rng.logistic(middle, width, script.audience - waiting), 0, 400)
    late = rng.poisson(script.churn * (1 - script.reconnecting) * script.audience * slots / SLOTS_PER_MINUTE * 0.8)
    times = np.concatenate([np.zeros(waiting), times, rng.uniform(100, slots * SLOT_SECONDS, late)])
    return np.bincount((times // SLOT_SECONDS).astype(np.int64), minlength=slots)[:slots]


def _draw_mood(
    rng: np.random.Generator, script: Script, seconds: Floats, deviation: float, dwell: float, of: str
) -> Floats:
    """Return what a rate is multiplied by: levels that hold for a while and give way to others, and the script's."""
    n_levels = 2 + int(rng.poisson(seconds[-1] / (dwell * script.tempo)))
    changes = np.sort(rng.uniform(0, seconds[-1], n_levels - 1))
    levels = rng.normal(0.0, deviation * script.unrest, n_levels)
    steps = levels[np.searchsorted(changes, seconds)]
    mood = np.exp(_smooth(steps, 25.0 * script.tempo) + rng.normal(0.0, 0.12 * script.unrest, len(seconds)))
    for stretch in script.stretches + script.breaks:
        mood *= 1 - (1 - float(getattr(stretch, of))) * depth_of(seconds, stretch)
    return np.asarray(mood)


def _smooth(values: Floats, memory: float) -> Floats:
    """Return the values as they are followed by something that forgets in `memory` seconds."""
    keep = float(np.exp(-SLOT_SECONDS / memory))
    followed = np.empty_like(values)
    value = float(values[0])
    for place, new in enumerate(values.tolist()):
        value = keep * value + (1 - keep) * new
        followed[place] = value
    return followed


def _draw_chats(rng: np.random.Generator, script: Script, seconds: Floats, present: Counts, heard: Floats) -> Counts:
    mood = _draw_mood(rng, script, seconds, rng.uniform(0.2, 0.4), rng.uniform(120, 300), "chat")
    rate = script.chat * SLOT_SECONDS / 60 * present * mood
    return _draw_clusters(rng, rate, 1 + rng.exponential(0.8), rng.uniform(6, 20), heard)


def _draw_reactions(
    rng: np.random.Generator, script: Script, seconds: Floats, present: Counts, heard: Floats
) -> Counts:
    mood = _draw_mood(rng, script, seconds, rng.uniform(0.2, 0.4), rng.uniform(90, 240), "reactions")
    steady = script.reactions * SLOT_SECONDS / 60 * present
    bursts = (rng.random(len(seconds)) < SLOT_SECONDS / rng.uniform(150, 500)) * rng.gamma(2.0, 6.0, len(seconds))
    applause = np.convolve(bursts, np.exp(-np.arange(8) * SLOT_SECONDS / rng.uniform(5, 14)))[: len(seconds)]
    rate = steady * mood * (0.75 + 0.25 * applause)
    return _draw_clusters(rng, rate, 1 + rng.exponential(0.8), rng.uniform(3, 8), heard)


def _draw_clusters(rng: np.random.Generator, rate: Floats, size: float, spread: float, heard: Floats) -> Counts:
    """Return counts whose mean is the rate: each first event is followed by others, `size` in all on the average."""
    firsts = rng.poisson(rate / size)
    first_slots = np.repeat(np.arange(len(rate)), firsts)
    sizes = rng.geometric(1 / size, len(first_slots))
    followers = np.repeat(first_slots, sizes - 1)
    delayed = followers + (rng.exponential(spread, len(followers)) // SLOT_SECONDS).astype(np.int64)
    counts = firsts + np.bincount(delayed[delayed < len(rate)], minlength=len(rate))
    return np.asarray(rng.binomial(counts, np.clip(heard, 0, 1)))


def _draw_share(rng: np.random.Generator, script: Script, seconds: Floats, present: Counts) -> Floats:
    """Return the share of the audience that looks: it follows the mood in some seconds, and wanders as people do."""
    usual = np.log(script.active / (1 - script.active))
    keep = float(np.exp(-SLOT_SECONDS / (script.tempo * rng.uniform(60, 300))))
    wander = _autoregress(rng, len(seconds), script.unrest * rng.uniform(0.12, 0.42), keep)
    share = 1 / (1 + np.exp(-(usual + wander)))
    for stretch in script.stretches + script.breaks:
        share *= 1 - (1 - stretch.active) * depth_of(seconds, stretch)
    share = np.clip(_smooth(share, rng.uniform(4, 20)), 0.01, 0.99)
    chance = np.sqrt(share * (1 - share) / np.maximum(1, present))
    noise = _autoregress(rng, len(seconds), 1.0, float(np.exp(-SLOT_SECONDS / PERSON_SECONDS)))
    return np.asarray(np.clip(share + chance * noise, 0.0, 1.0))


def _autoregress(rng: np.random.Generator, n: int, deviation: float, keep: float) -> Floats:
    shocks = rng.normal(0.0, deviation * np.sqrt(1 - keep * keep), n).tolist()
    path = np.empty(n)
    value = float(rng.normal(0.0, deviation))
    for place, shock in enumerate(shocks):
        value = keep * value + shock
        path[place] = value
    return path


def _draw_actors(rng: np.random.Generator, events: Counts, present: Counts) -> Counts:
    """Return how many people did something within the last minute: a part of the audience does most of it."""
    eager = np.maximum(1.0, present * rng.uniform(0.3, 0.7))
    actors = eager * -np.expm1(-events / eager)
    return np.asarray(np.minimum(present, np.minimum(events, np.rint(actors))), np.int64)


def _draw_votes(script: Script, seconds: Floats, share: Floats) -> Floats:
    """Return the participation in the poll that is open, NaN where none is."""
    votes = np.full(len(seconds), np.nan)
    for opens, closes, most in script.polls:
        is_open = (seconds > opens) & (seconds <= closes)
        at_first = float(share[is_open][0]) if is_open.any() else 0.0
        votes[is_open] = most * at_first * -np.expm1(-(seconds[is_open] - opens) / VOTE_SECONDS)
    return votes


def _last_minute(counts: Counts) -> Counts:
    total = np.cumsum(counts)
    return np.asarray(total - np.concatenate([np.zeros(SLOTS_PER_MINUTE, np.int64), total])[: len(total)])
