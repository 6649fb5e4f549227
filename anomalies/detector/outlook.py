"""What a session's detector expects just now, in the units of the signals. Pure."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a screen shows of a detector state.

    `band` holds (moment, low, high) every 30 s, scores 0..1, oldest first, each good until the next; `usual`
    maps a signal (`chat_msgs_per_min`, `reactions_per_min`, `active_share`, `user_leave_rate`) to what is
    usual in this room now, in the signal's own unit. Nothing is expected before the detector knows the room.
    """

    learning_seconds_left: int = 0
    expected: float | None = None
    band: tuple[tuple[datetime, float, float], ...] = ()
    usual: dict[str, float] = field(default_factory=dict)
