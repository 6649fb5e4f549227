"""When a session is silent: nothing comes that could be judged, or nobody is left to tell of a lively room."""

from datetime import datetime, timedelta
from typing import Protocol, cast
from uuid import UUID

from engagement.models import Session, SessionQuerySet
from engagement.windows import FRESH_FOR

SILENT_AFTER = timedelta(seconds=60)
LOST_AFTER = timedelta(seconds=30)  # a lively room's own patience may end sooner


class Heard(Protocol):
    """When something was judged of a session, when something happened in it, and how long its silence is none."""

    @property
    def heard_at(self) -> datetime | None: ...
    @property
    def newest_event_at(self) -> datetime | None: ...
    @property
    def patience_seconds(self) -> float | None: ...


class Silent(Heard, Protocol):
    """A session that is silent, without the rest of it: there may be very many."""

    @property
    def id(self) -> UUID: ...
    @property
    def detector_state(self) -> str: ...


def find_silent(sessions: SessionQuerySet, now: datetime) -> list[Silent]:
    """Return the live ones of these sessions that are silent; the query only spares us to look at all the others."""
    fields = ("id", "detector_state", "heard_at", "newest_event_at", "patience_seconds")
    quiet = cast(list[Silent], sessions.quiet_since(now - LOST_AFTER).values_list(*fields, named=True))
    return [session for session in quiet if is_silent(session, now)]


def is_silent(session: Heard, now: datetime) -> bool:
    """Tell whether nothing was judged for a minute, or nothing at all came of a lively room for longer than it can be.

    An event that is not fresh is one of a recording, and its silence says nothing.
    """
    if session.heard_at is not None and now - session.heard_at > SILENT_AFTER:
        return True
    if session.newest_event_at is None or session.patience_seconds is None:
        return False
    patience = max(timedelta(seconds=session.patience_seconds), LOST_AFTER)
    return patience < now - session.newest_event_at < FRESH_FOR


def silent_since(session: Session) -> datetime:
    """Return when something last came: where the clock made rows of a silence, that was the newest event."""
    newest, heard_at = session.newest_event_at, session.heard_at
    assert heard_at is not None, "nobody is silent who was never heard"
    is_of_today = newest is not None and heard_at - newest < FRESH_FOR + SILENT_AFTER
    return min(newest, heard_at) if newest is not None and is_of_today else heard_at
