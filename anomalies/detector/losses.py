"""How much of the engaged audience is gone for certain: what tells a large incident from a small one. Pure."""

import math

from anomalies.detector.compiled import Tuning, compiled
from anomalies.detector.evidence import Room, sum_of
from anomalies.detector.scalars import clip, known_mean, or_zero
from anomalies.detector.state import Series


@compiled
def find_loss(room: Room, left: float, config: Tuning) -> float:
    """Return the share (0..1) of the engaged audience that is surely gone, given the share that left within a minute.

    Of those who stayed it is the fall of the active share, where that says something of its own, else that of chats
    and reactions a head. Either counts as less by its chance, so that few people or few events lose little.
    """
    if room.has_activity:
        kept = _active_kept(room, config)
    else:
        kept = 1 - config.losses.silence_part * (1 - clip(_events_kept(room, config), 0.0, 1.0))
    return 1 - (1 - left) * clip(kept, 0.0, 1.0)


@compiled
def _active_kept(room: Room, config: Tuning) -> float:
    """Return the part of the usual active share that may still be there; 1 where that is unknown."""
    losses, shares, usual = config.losses, config.shares, room.usual.active_share
    now = known_mean(room.activity[-losses.share_slots :])
    if math.isnan(now) or math.isnan(usual):
        return 1.0
    share = clip(usual, shares.least, shares.most)
    spread = math.sqrt((1 - share) / (room.people * share + shares.offset) + losses.share_spread**2)
    kept = (now * room.people + shares.offset) / (share * room.people + shares.offset)
    return kept * math.exp(losses.certainty * spread)


@compiled
def _events_kept(room: Room, config: Tuning) -> float:
    """Return the part of the usual chats and reactions that may still come."""
    losses, counts = config.losses, config.counts
    rate = or_zero(room.usual.chat_rate) + or_zero(room.usual.reaction_rate)
    expected = rate * sum_of(room, Series.PEOPLE, losses.event_slots)
    seen = sum_of(room, Series.CHATS, losses.event_slots) + sum_of(room, Series.REACTIONS, losses.event_slots)
    spread = math.sqrt(counts.dispersion / (expected + counts.variance_offset) + counts.rate_spread**2)
    return (seen + counts.offset) / (expected + counts.offset) * math.exp(losses.certainty * spread)
