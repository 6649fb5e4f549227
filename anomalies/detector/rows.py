"""Readings as arrays, with their engagement scores. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import numpy as np

from anomalies.detector.records import Field, Records
from engagement.readings import BY_NAME, Reading
from engagement.scoring import find_score


class Rows(Records):
    """Readings, one row each: NaN where a value is unknown."""

    __slots__ = ()

    t = Field(np.float64)  # seconds since the epoch
    chats = Field(np.float64)  # a minute
    reactions = Field(np.float64)  # a minute
    leave_rate = Field(np.float64)
    active = Field(np.float64)
    present = Field(np.float64)
    poll = Field(np.float64)
    score = Field(np.float64)
    hands = Field(np.float64)  # people
    speakers = Field(np.float64)  # people
    questions = Field(np.float64)  # a minute
    question_votes = Field(np.float64)  # a minute


ACTIVITY_WEIGHT = BY_NAME["active_share"].weight


class Measured(Protocol):
    """What a reading, or a row that is stored, says of a session at one moment."""

    @property
    def timestamp(self) -> datetime: ...
    @property
    def chat_msgs_per_min(self) -> float | None: ...
    @property
    def chat_count(self) -> int | None: ...
    @property
    def reactions_per_min(self) -> float | None: ...
    @property
    def reaction_count(self) -> int | None: ...
    @property
    def user_leave_rate(self) -> float | None: ...
    @property
    def active_users(self) -> int | None: ...
    @property
    def total_users(self) -> int | None: ...
    @property
    def poll_participation(self) -> float | None: ...
    @property
    def hands_raised(self) -> int | None: ...
    @property
    def speakers(self) -> int | None: ...
    @property
    def questions_per_min(self) -> float | None: ...
    @property
    def question_votes_per_min(self) -> float | None: ...


def as_rows(readings: Iterable[Reading]) -> Rows:
    """Return readings as rows."""
    return with_scores((reading, find_score(reading)) for reading in readings)


def with_scores(measured: Iterable[tuple[Measured, float | None]]) -> Rows:
    """Return what was measured as rows, each beside its engagement score."""

    def number(value: float | None) -> float:
        return np.nan if value is None else float(value)

    rows = [
        (
            reading.timestamp.timestamp(),
            number(_rate(reading.chat_msgs_per_min, reading.chat_count)),
            number(_rate(reading.reactions_per_min, reading.reaction_count)),
            number(reading.user_leave_rate),
            number(reading.active_users),
            number(reading.total_users),
            number(reading.poll_participation),
            number(score),
            number(reading.hands_raised),
            number(reading.speakers),
            number(reading.questions_per_min),
            number(reading.question_votes_per_min),
        )
        for reading, score in measured
    ]
    return Rows(np.array(rows, Rows.dtype))


def _rate(rate: float | None, counted: int | None) -> float | None:
    """Read a rate that is shown as unknown, as none of its kind ever came, as the 0 that was counted.

    A baseline that began at the first message would take every room for one that falls silent.
    """
    return 0.0 if rate is None and counted is not None else rate
