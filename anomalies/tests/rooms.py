"""Small synthetic rooms for tests: exact counts over a rolling minute, Poisson noise, seeded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from engagement.readings import Reading

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SLOT = timedelta(seconds=5)


def at_minute(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def healthy_room(
    seed: int = 0,
    minutes: float = 30,
    audience: int = 100,
    chats_per_head: float = 0.09,
    reactions_per_head: float = 0.05,
    active_share: float = 0.75,
    lost_from: float | None = None,
) -> list[Reading]:
    """Return a room where nothing happens: rates a head and minute, a row every 5 s.

    From the minute `lost_from` on its events are lost on the way, and no number of people moves.
    """
    rng = np.random.default_rng(seed)
    slots = round(minutes * 12)
    lost = slots if lost_from is None else round(lost_from * 12)
    counts = [rng.poisson(rate * audience / 12, slots + 11) for rate in (chats_per_head, reactions_per_head)]
    for count in counts:
        count[:12] = 0 if lost_from is not None else count[:12]  # counted from the first event on
        count[11 + lost :] = 0
    chats, reactions = (np.convolve(count, np.ones(12, int), "valid") for count in counts)
    active = rng.binomial(audience, active_share, slots)
    active[lost:] = active[lost - 1]
    return [
        Reading(
            START + (slot + 1) * SLOT,
            float(chats[slot]),
            None,
            int(active[slot]),
            audience,
            float(reactions[slot]),
            0.0,
        )
        for slot in range(slots)
    ]


def collapse(readings: list[Reading], at: datetime, until: datetime | None = None) -> list[Reading]:
    """Let 80 % of the audience leave at once and most others turn away: the score falls from about .75 to .15."""

    def fallen(reading: Reading) -> Reading:
        assert reading.total_users is not None
        stayed = round(reading.total_users * 0.2)
        left = 0.8 if reading.timestamp < at + timedelta(seconds=60) else 0.0
        return replace(
            reading,
            chat_msgs_per_min=1.0,
            reactions_per_min=0.0,
            active_users=round(stayed * 0.25),
            total_users=stayed,
            user_leave_rate=left,
        )

    return [
        fallen(reading) if at <= reading.timestamp and (until is None or reading.timestamp < until) else reading
        for reading in readings
    ]


def silence(readings: list[Reading], at: datetime, until: datetime | None = None) -> list[Reading]:
    """Let the room stop taking part while everybody stays; rates fall as the rolling minute empties."""

    def silenced(reading: Reading) -> Reading:
        if reading.timestamp < at or (until is not None and reading.timestamp >= until):
            return reading
        left = max(0.0, 1 - (reading.timestamp - at).total_seconds() / 60)
        return replace(
            reading,
            chat_msgs_per_min=float(round((reading.chat_msgs_per_min or 0) * left)),
            reactions_per_min=float(round((reading.reactions_per_min or 0) * left)),
            active_users=round((reading.active_users or 0) * 0.25),
        )

    return [silenced(reading) for reading in readings]


def turn_away(readings: list[Reading], at: datetime, share: float, seconds: float) -> list[Reading]:
    """Let so much of the active share go, evenly over so many seconds; chat and reactions go on."""

    def turned(reading: Reading) -> Reading:
        assert reading.active_users is not None
        part = min(1.0, max(0.0, (reading.timestamp - at).total_seconds() / seconds))
        return replace(reading, active_users=round(reading.active_users * (1 - share * part)))

    return [turned(reading) for reading in readings]
