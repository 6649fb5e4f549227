"""How much of the engaged audience is gone for certain: what tells a large incident from a small one. Pure."""

import numpy as np

from anomalies.detector.arrays import Floats, known_mean, or_zero
from anomalies.detector.config import DetectorConfig
from anomalies.detector.evidence import Room
from anomalies.detector.state import Series, Usual


def find_loss(room: Room, left: Floats, config: DetectorConfig) -> Floats:
    """Return the share (0..1) of the engaged audience that is surely gone, given the share that left within a minute.

    Of those who stayed it is the fall of the active share, where that says something of its own, else that of chats
    and reactions a head. Either counts as less by its chance, so that few people or few events lose little.
    """
    silent = config.losses.silence_part * (1 - np.clip(_events_kept(room, config), 0, 1))
    kept = np.where(room.has_activity, _active_kept(room, config), 1 - silent)
    return np.asarray(1 - (1 - left) * np.clip(kept, 0, 1))


def _active_kept(room: Room, config: DetectorConfig) -> Floats:
    """Return the part of the usual active share that may still be there; 1 where that is unknown."""
    losses, shares = config.losses, config.shares
    usual = room.usual[:, Usual.ACTIVE_SHARE]
    share = np.clip(usual, shares.least, shares.most)
    spread = np.sqrt((1 - share) / (room.people * share + shares.offset) + losses.share_spread**2)
    now = known_mean(room.activity[:, -losses.share_slots :])
    kept = (now * room.people + shares.offset) / (share * room.people + shares.offset)
    return np.where(np.isnan(kept), 1.0, kept * np.exp(losses.certainty * spread))


def _events_kept(room: Room, config: DetectorConfig) -> Floats:
    """Return the part of the usual chats and reactions that may still come."""
    losses, counts = config.losses, config.counts
    rate = or_zero(room.usual[:, Usual.CHAT_RATE]) + or_zero(room.usual[:, Usual.REACTION_RATE])
    expected = rate * room.sum_of(Series.PEOPLE, losses.event_slots)
    seen = room.sum_of(Series.CHATS, losses.event_slots) + room.sum_of(Series.REACTIONS, losses.event_slots)
    spread = np.sqrt(counts.dispersion / (expected + counts.variance_offset) + counts.rate_spread**2)
    return (seen + counts.offset) / (expected + counts.offset) * np.exp(losses.certainty * spread)
