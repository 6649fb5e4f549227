"""What people say of an incident, and how it stands after: acknowledged, snoozed, settled, undone. Pure."""

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from engagement.moments import read_moment, write_moment

MAX_SNOOZE_MINUTES = 24 * 60


class Action(StrEnum):
    ACKNOWLEDGE = "acknowledge"  # somebody is on it
    SNOOZE = "snooze"  # be quiet for a while, unless it gets worse
    CONFIRM = "confirm"  # it was real
    DISMISS = "dismiss"  # it was a false alarm
    TRIED = "tried"  # something was done about it
    NOTE = "note"
    UNDO = "undo"  # the latest of these is taken back
    REOPEN = "reopen"  # as if nobody had acknowledged, snoozed or dismissed it


class Tried(StrEnum):
    """What somebody did to win the audience back."""

    POLL = "poll"
    QUESTION = "question"
    BREAK = "break"
    FIXED = "fixed"  # the sound, the picture, the link
    OTHER = "other"


class Verdict(StrEnum):
    NONE = ""
    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"


class InvalidTransition(Exception):
    """The incident is not where it could go there from."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What people have said of one incident so far."""

    review: str = Verdict.NONE
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    snoozed_until: datetime | None = None
    note: str = ""

    def status(self, is_resolved: bool) -> str:
        """Return the word for where the incident stands.

        >>> Standing().status(is_resolved=True), Standing(review="false_alarm").status(is_resolved=True)
        ('resolved', 'dismissed')
        """
        if self.review == Verdict.FALSE_ALARM:
            return "dismissed"
        if is_resolved:
            return "resolved"
        return "open" if self.acknowledged_at is None else "acknowledged"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody does with an incident."""

    action: Action
    by: str
    at: datetime
    snoozed_until: datetime | None = None  # of a snooze
    note: str = ""
    tried: str = ""  # what, where that is the action


def move(standing: Standing, act: Act, is_resolved: bool) -> Standing:
    """Return how an incident stands after an act. Raises `InvalidTransition` where it cannot be done from there.

    Undoing is not among these: it needs to know what is undone (`take_back`).
    """
    match act.action:
        case Action.ACKNOWLEDGE:
            _refuse(standing, is_resolved, {"acknowledged", "resolved", "dismissed"}, "acknowledged")
            return _acknowledge(standing, act)
        case Action.SNOOZE:
            _refuse(standing, is_resolved, {"resolved", "dismissed"}, "snoozed")
            return replace(standing, snoozed_until=act.snoozed_until)
        case Action.CONFIRM:
            if standing.review == Verdict.CONFIRMED:
                raise InvalidTransition("the anomaly is confirmed already")
            was_dismissed = standing.review == Verdict.FALSE_ALARM
            after = replace(standing, review=Verdict.CONFIRMED)
            # Who takes a dismissal back has looked at it.
            return _acknowledge(after, act) if was_dismissed and after.acknowledged_at is None else after
        case Action.DISMISS:
            _refuse(standing, is_resolved, {"dismissed"}, "dismissed")
            return replace(standing, review=Verdict.FALSE_ALARM, snoozed_until=None)
        case Action.TRIED:
            _refuse(standing, is_resolved, {"resolved", "dismissed"}, "helped any more")
            return standing
        case Action.NOTE:
            return replace(standing, note=act.note)
        case Action.REOPEN:
            after = Standing(review="" if standing.review == Verdict.FALSE_ALARM else standing.review,
                             note=standing.note)  # fmt: skip
            if after == standing:
                raise InvalidTransition(f"an anomaly that is {standing.status(is_resolved)} cannot be reopened")
            return after
        case Action.UNDO:
            raise ValueError("undoing needs what is undone")


def difference(before: Standing, after: Standing) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what an act changed, as values that JSON has: what stood there, and what stands there now.

    >>> difference(Standing(), Standing(note="no sound"))
    ({'note': ''}, {'note': 'no sound'})
    """
    changed = [f.name for f in fields(Standing) if getattr(before, f.name) != getattr(after, f.name)]
    return ({name: _write(getattr(before, name)) for name in changed},
            {name: _write(getattr(after, name)) for name in changed})  # fmt: skip


def take_back(standing: Standing, old: dict[str, Any]) -> Standing:
    """Return how an incident stands without its latest act, which had found these values.

    >>> take_back(Standing(review="false_alarm", note="no sound"), {"review": ""})
    Standing(review='', acknowledged_at=None, acknowledged_by='', snoozed_until=None, note='no sound')
    """
    return replace(standing, **{name: _read(name, value) for name, value in old.items()})


def snooze_until(minutes: int | None, breaks: list[tuple[datetime, datetime]], now: datetime) -> datetime | None:
    """Return until when a snooze lasts: so many minutes, or until the next planned break; None where there is none."""
    if minutes is not None:
        return now + timedelta(minutes=minutes)
    return min((since for since, _ in breaks if since > now), default=None)


def _refuse(standing: Standing, is_resolved: bool, where: set[str], what: str) -> None:
    if (status := standing.status(is_resolved)) in where:
        raise InvalidTransition(f"an anomaly that is {status} cannot be {what}")


def _acknowledge(standing: Standing, act: Act) -> Standing:
    return replace(standing, acknowledged_at=act.at, acknowledged_by=act.by)


def _write(value: object) -> object:
    return write_moment(value) if isinstance(value, datetime) else value


def _read(name: str, value: Any) -> Any:
    return read_moment(value) if name.endswith(("_at", "_until")) and value is not None else value
