"""Who may listen: asked when a socket opens, and again for all open ones of a process at once."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.utils.crypto import constant_time_compare
from django.utils.timezone import now

from engagement.models import ApiKey, Membership, Session


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody wants to listen to, and what they show for it: an API key, or else a login's cookie."""

    session_id: UUID | None  # None: the list of whatever is theirs
    login: str = ""
    key: bytes | None = None  # the digest of the key


def find_allowed(claims: Collection[Claim]) -> dict[Claim, User | None]:
    """Return the claims that hold now, each with its user, or None where it is a key's; five queries, however many.

    Raises `DatabaseError`: nobody's access ended because the database is away.
    """
    wanted = {claim.session_id for claim in claims if claim.session_id is not None}
    events = dict(Session.objects.filter(id__in=wanted).values_list("id", "event_id")) if wanted else {}
    keys = _find_keys({claim.key for claim in claims if claim.key is not None})
    users = find_users({claim.login for claim in claims if claim.key is None})
    organized = find_organized(users.values(), set(events.values()))
    allowed: dict[Claim, User | None] = {}
    for claim in claims:
        event = None if claim.session_id is None else events.get(claim.session_id)
        if claim.key is not None:
            if event is not None and keys.get(claim.key) == event:
                allowed[claim] = None
        elif (user := users.get(claim.login)) is not None and (
            claim.session_id is None or (event is not None and event in organized[user.pk])
        ):
            allowed[claim] = user
    return allowed


def find_organized(users: Iterable[User], events: Collection[UUID]) -> dict[int, set[UUID]]:
    """Return which of these events each user may see, as `for_organizer` says it of one."""
    found: dict[int, set[UUID]] = {user.pk: set(events) if user.is_superuser else set() for user in users}
    if found and events:
        organized = Membership.objects.filter(user_id__in=found, event_id__in=events)
        for user_id, event_id in organized.values_list("user_id", "event_id"):
            found[user_id].add(event_id)
    return found


def find_users(logins: Collection[str]) -> dict[str, User]:
    """Return the active users whose logins these are, as `channels.auth.get_user` does it for one."""
    if not any(logins):
        return {}
    store = SessionStore()
    kept = store.get_model_class()._default_manager.filter(session_key__in=logins, expire_date__gt=now())
    told = {login: store.decode(text) for login, text in kept.values_list("session_key", "session_data")}
    ids = {login: int(data[SESSION_KEY]) for login, data in told.items() if SESSION_KEY in data}
    users = User.objects.filter(is_active=True).in_bulk(set(ids.values()))
    found = {login: users[id_] for login, id_ in ids.items() if id_ in users}
    return {login: user for login, user in found.items() if _is_login_of(user, told[login])}


def _is_login_of(user: User, data: Mapping[str, Any]) -> bool:
    """Tell whether a login is still one of this user: a new password ends those before it."""
    if data.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return False
    return constant_time_compare(data.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash())


def _find_keys(digests: Collection[bytes]) -> dict[bytes, UUID]:
    """Return the event that each valid key opens."""
    if not digests:
        return {}
    keys = ApiKey.objects.valid().filter(sha256__in=digests)
    return {bytes(digest): event for digest, event in keys.values_list("sha256", "event_id")}
