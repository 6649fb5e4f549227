"""The value that is measured: one row of signals at one moment; and what there is to measure. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from engagement.limits import MAX_PEOPLE, MAX_PER_MINUTE


class SignalKind(Enum):
    """What a signal counts; the value is its unit."""

    RATE = "a minute"
    SHARE = "%"
    PEOPLE = "people"


MOST = {SignalKind.RATE: MAX_PER_MINUTE, SignalKind.SHARE: 1, SignalKind.PEOPLE: MAX_PEOPLE}


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that tells how an audience behaves, and all that the product knows of it; see `docs/adding.md`.

    `name` is its field in rows, requests and answers. `kind` gives its unit and its bounds. `label` is what its card
    calls it; without one it has no card. `long_label` is for tables, where no unit stands beside the figure. `weight`
    is its say in the score, negative where it takes off. `full` is the rate that counts as full in the score. `top` is
    what the upper edge of its sparkline stands for where no value is higher. `of` names the part and the whole of a
    share that is not measured itself. An optional one comes from few platforms: where it is unknown it has no card, and
    nothing is said of it in a recording.
    """

    name: str
    kind: SignalKind
    label: str = ""
    long_label: str = ""
    weight: float = 0.0
    full: float | None = None
    top: float = 0.0
    of: tuple[str, str] | None = None
    is_optional: bool = False

    @property
    def is_loss(self) -> bool:
        """Whether it tells of what is lost: less of it is no bad news, and none of it is no news."""
        return self.weight < 0


SIGNALS = (
    Signal("chat_msgs_per_min", SignalKind.RATE, "Chat", "Chat messages a minute", weight=0.30, full=20.0),
    Signal("poll_participation", SignalKind.SHARE, "Polls", "Took part in the poll", weight=0.25, top=1.0),
    Signal("active_users", SignalKind.PEOPLE),
    Signal("total_users", SignalKind.PEOPLE),
    Signal(
        "active_share", SignalKind.SHARE, "Active share", "Active share",
        weight=0.25, top=1.0, of=("active_users", "total_users"),
    ),
    Signal("reactions_per_min", SignalKind.RATE, "Reactions", "Reactions a minute", weight=0.10, full=10.0),
    # One leaver must not look like an exodus, so the sparkline's top is no less than a fifth.
    Signal("user_leave_rate", SignalKind.SHARE, "Leaves", "Left in the last minute", weight=-0.10, top=0.2),
    Signal("chatters", SignalKind.PEOPLE, "Chatters", "People who wrote in the last minute", is_optional=True),
    Signal("hands_raised", SignalKind.PEOPLE, "Hands", "Hands raised", is_optional=True),
    Signal("mics_on", SignalKind.PEOPLE, "Microphones", "Microphones on", is_optional=True),
    Signal("cameras_on", SignalKind.PEOPLE, "Cameras", "Cameras on", is_optional=True),
    Signal("talk_share", SignalKind.SHARE, "Talking", "Talked in the last minute", top=1.0, is_optional=True),
    Signal("speakers", SignalKind.PEOPLE, "Speakers", "People who talked in the last minute", is_optional=True),
    Signal("questions_per_min", SignalKind.RATE, "Questions", "Questions a minute", is_optional=True),
    Signal(
        "question_votes_per_min", SignalKind.RATE, "Question votes", "Votes for questions a minute", is_optional=True,
    ),
)  # fmt: skip
BY_NAME = {signal.name: signal for signal in SIGNALS}
MEASURED = tuple(signal.name for signal in SIGNALS if signal.of is None)  # what a row holds
OPTIONAL = tuple(signal.name for signal in SIGNALS if signal.is_optional)
COUNTS = ("chat_count", "reaction_count", "leave_count")
STORED = (*MEASURED, "poll_age_seconds", *COUNTS)  # of a row, beside its score


@dataclass(frozen=True, slots=True)
class Reading:
    """One engagement row. A signal that is None is unknown, never zero.

    `chat_msgs_per_min` and `reactions_per_min` are counts over the last 60 s, `poll_participation` and
    `user_leave_rate` are shares (0..1), `active_users` and `total_users` are people. `chatters` are the people who
    wrote and `speakers` those who talked in the last 60 s, `talk_share` is the part of them in which anybody talked;
    hands, microphones and cameras are people who have one up or on at `timestamp`. The counts say how many chat
    messages, reactions and leaves (net of reconnects) came of the 5 s that end at `timestamp`: exact, and 0 also of a
    kind that never came, where the row was made from raw events; None where somebody else measured it. So it is with
    `poll_age_seconds`, how long the newest open poll had been open.
    """

    timestamp: datetime
    chat_msgs_per_min: float | None = None
    poll_participation: float | None = None
    active_users: int | None = None
    total_users: int | None = None
    reactions_per_min: float | None = None
    user_leave_rate: float | None = None
    chatters: int | None = None
    hands_raised: int | None = None
    mics_on: int | None = None
    cameras_on: int | None = None
    talk_share: float | None = None
    speakers: int | None = None
    questions_per_min: float | None = None
    question_votes_per_min: float | None = None
    poll_age_seconds: float | None = None
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
        return all(getattr(self, name) is None for name in MEASURED)


@dataclass(frozen=True, slots=True)
class StoredReading(Reading):
    """A reading with the score that it was stored with; None is a score that no signal tells."""

    engagement_score: float | None = None
