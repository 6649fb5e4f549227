"""The value that is measured: one row of signals at one moment. Pure."""

from dataclasses import dataclass
from datetime import datetime

SIGNALS = (
    "chat_msgs_per_min",
    "poll_participation",
    "active_users",
    "total_users",
    "reactions_per_min",
    "user_leave_rate",
)
COUNTS = ("chat_count", "reaction_count", "leave_count")


@dataclass(frozen=True, slots=True)
class Reading:
    """One engagement row. A signal that is None is unknown, never zero.

    `chat_msgs_per_min` and `reactions_per_min` are counts over the last 60 s, `poll_participation` and
    `user_leave_rate` are shares (0..1), `active_users` and `total_users` are people. The counts say how many
    chat messages, reactions and leaves (net of reconnects) came of the 5 s that end at `timestamp`: exact, and 0 also
    of a kind that never came, where the row was made from raw events; None where somebody else measured it.
    """

    timestamp: datetime
    chat_msgs_per_min: float | None = None
    poll_participation: float | None = None
    active_users: int | None = None
    total_users: int | None = None
    reactions_per_min: float | None = None
    user_leave_rate: float | None = None
    chat_count: int | None = None
    reaction_count: int | None = None
    leave_count: int | None = None

    @property
    def active_share(self) -> float | None:
        """Return the share of the audience that is active, None where it cannot be known.

        >>> from datetime import UTC
        >>> Reading(datetime(2026, 3, 2, 9, tzinfo=UTC), active_users=6, total_users=8).active_share
        0.75
        """
        if self.active_users is None or not self.total_users:
            return None
        return min(1.0, self.active_users / self.total_users)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing at all is known."""
        return all(getattr(self, name) is None for name in SIGNALS)
