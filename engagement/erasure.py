"""Ask for an erasure: what is erased is gone for everybody at once, and its rows go in steps afterwards.

The locks are those of `cursors`, in the order in which sweeps take them: sessions by their ids, then what hangs on
them, and the event last. Nobody is waited for longer than `WAIT_SECONDS`.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Coalesce

from engagement.cursors import limited_waiting
from engagement.models import Erasure, Event, Session, SessionQuerySet

WAIT_SECONDS = 3.0  # a sweep holds a session for about as long, where much has come


def erase_sessions(session_ids: Collection[UUID], by: str, now: datetime) -> list[Erasure]:
    """Let sessions vanish, all or none, and have their rows erased; those that are not there are passed over.

    Raises `Busy`.
    """
    with limited_waiting(WAIT_SECONDS):
        hidden = _hide(Session.objects.filter(id__in=session_ids), now)
        return _note(Erasure.Kind.SESSION, hidden, by, now)


def erase_events(event_ids: Collection[UUID], by: str, now: datetime) -> list[Erasure]:
    """Let events and their sessions vanish, all or none, and have their rows erased; as `erase_sessions` does."""
    with limited_waiting(WAIT_SECONDS):
        _hide(Session.objects.filter(event_id__in=event_ids), now)
        # A session that is being made just now is not among them: the steps hide it, and its event hides its key.
        events = Event.objects.filter(id__in=event_ids).order_by("id").select_for_update(no_key=True)
        hidden = list(events.values_list("id", flat=True))
        Event.objects.filter(id__in=hidden).update(erased_at=now)
        return _note(Erasure.Kind.EVENT, hidden, by, now)


def erase_person(event_id: UUID, user: str, by: str, now: datetime) -> Erasure:
    """Have a person forgotten in every session of an event; whether there is such a person, nobody is told."""
    return Erasure.objects.create(
        kind=Erasure.Kind.PERSON, target=event_id, user=user, requested_by=by, requested_at=now
    )


def hide_latecomers(event_id: UUID, now: datetime) -> None:
    """Hide the sessions that were made while their event was being erased; within a step's transaction."""
    _hide(Session.objects.filter(event_id=event_id), now)


def _hide(sessions: SessionQuerySet, now: datetime) -> list[UUID]:
    """Lock sessions as a sweep does, let them vanish, and return their ids.

    An ended session takes no rows and is swept no more, and its `external_id` is free for another one.
    """
    ids = list(sessions.order_by("id").select_for_update(no_key=True).values_list("id", flat=True))
    Session.objects.filter(id__in=ids).update(
        status=Session.Status.ENDED,
        ended_at=Coalesce(F("ended_at"), now),
        settled_at=Coalesce(F("settled_at"), now),
        external_id=None,
        erased_at=now,
    )
    return ids


def _note(kind: Erasure.Kind, targets: Collection[UUID], by: str, now: datetime) -> list[Erasure]:
    return Erasure.objects.bulk_create(
        Erasure(kind=kind, target=target, requested_by=by, requested_at=now) for target in targets
    )
