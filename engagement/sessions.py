"""Create and revise sessions, and say when one is over; its plan (times and breaks) is checked here, whoever asks."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from engagement import cursors
from engagement.models import Session
from engagement.moments import write_moment

ENDS_AFTER = timedelta(hours=4)  # of silence by the clock


class RefusedTimetable(Exception):
    """The times of a session contradict each other; `path` leads to the one that is wrong."""

    def __init__(self, path: tuple[str | int, ...], detail: str):
        super().__init__(f"{'/'.join(map(str, path))}: {detail}")
        self.path, self.detail = path, detail


def create_session(
    event_id: uuid.UUID,
    *,
    external_id: str | None = None,
    breaks: Sequence[tuple[datetime, datetime]] = (),
    **fields: object,
) -> tuple[Session, bool]:
    """Return the session and whether it is new: a known `external_id` gives the one that is there, unchanged.

    `fields` are those of the model: title, starts_at, ends_at, lateness_seconds. Raises `RefusedTimetable`.
    """
    session = Session(event_id=event_id, external_id=external_id, breaks=write_breaks(breaks), **fields)
    check_timetable(session)
    if external_id is None:
        session.save(force_insert=True)
        return session, True
    # get_or_create() closes the race of two requests at once: the loser of the unique index reads the winner's.
    return Session.objects.get_or_create(
        event_id=event_id, external_id=external_id, defaults={"breaks": session.breaks, **fields}
    )


def revise_session(session_id: uuid.UUID, changes: Mapping[str, Any]) -> Session:
    """Change what is named in `changes`: title, starts_at, ends_at or breaks. Raises `RefusedTimetable`."""
    with transaction.atomic():
        session = Session.objects.select_for_update().get(id=session_id)
        for name, value in changes.items():
            setattr(session, name, write_breaks(value) if name == "breaks" else value)
        check_timetable(session)
        session.save(update_fields=list(changes))
    return session


def check_timetable(session: Session) -> None:
    """Raise `RefusedTimetable` unless start, breaks and end follow one another."""
    starts_at, ends_at = session.starts_at, session.ends_at
    if starts_at and ends_at and ends_at <= starts_at:
        raise RefusedTimetable(("ends_at",), "is not after starts_at")
    free_from = starts_at
    for index, (begin, end) in enumerate(session.planned_breaks):
        if free_from and begin < free_from:
            before = "the break before it ended" if index else "the session starts"
            raise RefusedTimetable(("breaks", index, "starts_at"), f"is before {before}")
        if end <= begin:
            raise RefusedTimetable(("breaks", index, "ends_at"), "is not after its starts_at")
        if ends_at and end > ends_at:
            raise RefusedTimetable(("breaks", index, "ends_at"), "is after the session ends")
        free_from = end


def write_breaks(breaks: Sequence[tuple[datetime, datetime]]) -> list[dict[str, str]]:
    """Return planned breaks in the form in which `Session.breaks` keeps them, in UTC."""
    return [{"starts_at": write_moment(begin), "ends_at": write_moment(end)} for begin, end in breaks]


def find_long_silent(now: datetime, most: int) -> list[uuid.UUID]:
    """Return so many of the live sessions that have been silent for so long that they are over.

    What was sent while no worker ran is no silence, though nobody has heard it yet.
    """
    return cursors.find_silent_since(now - ENDS_AFTER, most)
