"""The practice room: a session into which a recorded webinar is played as if it happened now, as platforms post it.

The clock plays what is due since the last time, so whoever dies or comes late, the next one goes on from there.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from conductor import pipeline
from conductor.local.demo import WEBINAR
from conductor.local.demo.story import FALLS_SECONDS, LOOKED_SECONDS
from engagement.ingest import SessionEnded, record_rows
from engagement.membership import create_event
from engagement.models import Event, PracticeRoom, Role, Session
from engagement.readings import Reading
from engagement.recordings import open_recording
from engagement.sessions import create_session

log = logging.getLogger(__name__)

TITLE = "Practice room"
EVENT_NAME = "Practice"
FALLS_AFTER = timedelta(seconds=FALLS_SECONDS)  # in the recording
BEGINS_AFTER = timedelta(seconds=LOOKED_SECONDS)  # what came before is there at once, so that the room is known
LASTS = timedelta(minutes=17, seconds=30)  # by then its people have come back


@cache
def _recording() -> Sequence[Reading]:
    """Return the part of the recording that is played."""
    rows = open_recording(WEBINAR.recording, WEBINAR.recording.name).rows
    return [row for row in rows if row.timestamp - rows[0].timestamp < LASTS]


def choose_event(user: User) -> Event:
    """Return an event in which a user may practise; one of their own, made for it, where there is none."""
    return Event.objects.for_organizer(user, Role.ORGANIZER).first() or create_event(EVENT_NAME, user)


def begin(event: Event, now: datetime) -> Session:
    """Return the practice room of an event that is played just now, else a new one. Raises `Event.DoesNotExist`."""
    with transaction.atomic():
        Event.objects.select_for_update(no_key=True).get(id=event.id)  # of two clicks one makes it
        playing = _playing().filter(session__event=event).first()
        if playing is not None:
            return playing.session
        session, _ = create_session(event.id, title=TITLE)
        PracticeRoom.objects.create(session=session, plays_at=now - BEGINS_AFTER)
    _play(session.id, now)
    return session


def play_all(now: datetime) -> list[UUID]:
    """Post what is due in every practice room, and end those that are over; return the sessions that have news."""
    return [id_ for id_ in _playing().values_list("session_id", flat=True) if _try_to_play(id_, now)]


def _playing() -> QuerySet[PracticeRoom]:
    rooms = PracticeRoom.objects.filter(session__erased_at=None).exclude(session__status=Session.Status.ENDED)
    return rooms.select_related("session").order_by("plays_at")


def _try_to_play(session_id: UUID, now: datetime) -> bool:
    """Play one room. What fails is tried again by the clock, and keeps no other room from going on."""
    try:
        return _play(session_id, now)
    except SessionEnded:  # somebody stopped it just now
        return False
    except (Session.DoesNotExist, DatabaseError) as error:
        log.warning("Practice room %s waits: %s", session_id, error)
        return False


def _play(session_id: UUID, now: datetime) -> bool:
    with transaction.atomic():
        room = PracticeRoom.objects.select_for_update(skip_locked=True).filter(session_id=session_id).first()
        if room is None:  # somebody else is at it
            return False
        due = _due(room, now)
        if due:
            record_rows(session_id, due, now)
            room.played_until = due[-1].timestamp
            room.save(update_fields=["played_until"])
        is_over = room.plays_at + LASTS <= now
    if is_over:
        pipeline.end_session(session_id, now)
    return bool(due) or is_over


def _due(room: PracticeRoom, now: datetime) -> list[Reading]:
    """Return the rows that have happened by now and were not posted."""
    recording = _recording()
    shift = room.plays_at - recording[0].timestamp
    moved = (replace(row, timestamp=row.timestamp + shift) for row in recording)
    since = room.played_until
    return [row for row in moved if row.timestamp <= now and (since is None or row.timestamp > since)]
