"""What a key reaches: the sessions of its own event. Any other does not exist for it."""

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Q, QuerySet
from ninja.errors import AuthenticationError

from conductor import keys
from conductor.api.paging import read_cursor
from engagement.models import ApiKey, Event, Session

Items = TypeVar("Items", bound=QuerySet[Any, Any])


def find_session(request: keys.KeyedRequest, session_id: UUID) -> Session:
    """Return a session that the caller's key reaches; any other does not exist for them."""
    try:
        return Session.objects.get(id=session_id, event_id=request.auth.event_id)
    except Session.DoesNotExist:
        check_event(request)
        raise


def check_event(request: keys.KeyedRequest) -> None:
    """Refuse a key whose event was erased while it was remembered. Asked where nothing is found, or something made."""
    if not Event.objects.filter(id=request.auth.event_id).exists():
        keys.forget_event(request.auth.event_id)
        raise AuthenticationError


def name_caller(request: keys.KeyedRequest) -> str:
    return f"API key {ApiKey.objects.filter(id=request.auth.key_id).first() or request.auth.key_id}"


def before(items: Items, moment: str, cursor: str) -> Items:
    """Return what follows the cursor's place in a list that is newest first; the first bound is the index's."""
    at, id = read_cursor(cursor)
    return items.filter(Q(**{f"{moment}__lt": at}) | Q(**{moment: at}, id__lt=id), **{f"{moment}__lte": at})
