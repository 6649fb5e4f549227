"""What a platform tells, whichever it is: one thing that happened in one of its meetings. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from engagement.moments import EPOCH, read_moment

MAX_MILLISECONDS = 10**14  # some year after 5000


class Act(StrEnum):
    """What there is to do, where it is more than to store a raw event."""

    NOTHING = ""
    BEGIN = "begin"
    END = "end"
    EMOJI = "emoji"  # an old BigBlueButton raises hands by one, and any other lowers them


OPENING = {Act.BEGIN, "join", "chat", "reaction", "poll_opened"}  # what makes a session of a meeting not heard of yet


class Unreadable(ValueError):
    """What came is not what this platform sends; the words say why, and quote nothing of it."""


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that was told. `act` is one of `Act`, or the type of a raw event; ids are the platform's own."""

    name: str  # as the platform calls it
    act: str = Act.NOTHING
    at: datetime | None = None
    meeting: str = ""  # this one meeting, and not the next of the same room
    title: str = ""  # of the meeting, where it is told
    person: str = ""  # lasts longer than a connection; empty where only that is told
    connection: str = ""
    id: str = ""  # tells a repeat from a second one
    poll: str = ""
    emoji: str = ""


def from_milliseconds(value: object) -> datetime | None:
    """Return the moment so many milliseconds after 1970; None where it is no such number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < MAX_MILLISECONDS:
        return None
    return EPOCH + timedelta(milliseconds=int(value))


def from_text(value: object) -> datetime | None:
    """Return a moment that is written as RFC 3339; None where it is none."""
    try:
        return read_moment(value) if isinstance(value, str) else None
    except ValueError:
        return None


def find(value: object, *path: str) -> Any:
    """Return what is at a place of a JSON document, an empty string where there is nothing.

    >>> find({"payload": {"object": {"id": 7}}}, "payload", "object", "id"), find({"payload": []}, "payload", "object")
    (7, '')
    """
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else value


def text(value: object, *path: str) -> str:
    """Return a text or a number at a place of a JSON document as text that can be stored, else an empty one.

    >>> text({"id": 85746065432}, "id"), text({"id": ["a"]}, "id"), text({"id": True}, "id")
    ('85746065432', '', '')
    """
    found = find(value, *path)
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        return ""
    # JSON may hold half a character, and a zero: the database takes neither.
    return str(found).replace("\0", "").encode("utf-8", "replace").decode()
