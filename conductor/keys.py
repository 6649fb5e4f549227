"""Look API keys up: who calls, and which event the key reaches."""

import hmac
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest

from engagement.models import ApiKey

CACHE_SECONDS = 15.0  # a revoked key works at most this long on
CACHE_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who holds a valid key."""

    key_id: UUID
    event_id: UUID


class KeyedRequest(HttpRequest):
    """A request whose key was found."""

    auth: Caller


_known: dict[bytes, tuple[Caller, float]] = {}


def bearer(header: str) -> str | None:
    """Return the key from the value of an Authorization header, None where it is of another kind.

    >>> bearer("Bearer ec_abc"), bearer("bearer"), bearer("Basic abc"), bearer("")
    ('ec_abc', '', None, None)
    """
    scheme, _, secret = header.strip().partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def find_caller(secret: str, seconds: float) -> Caller | None:
    """Return who holds the key, None where there is no such key or it was revoked.

    `seconds` is the reading of a monotonic clock. Only keys that exist are remembered, so that guesses fill no memory.
    A socket does not ask here: what is remembered cannot end it.
    """
    digest = ApiKey.digest(secret)
    caller, found_at = _known.get(digest, (None, 0.0))
    if caller is not None and seconds - found_at < CACHE_SECONDS:
        return caller
    _known.pop(digest, None)
    key = ApiKey.objects.valid().of_secret(secret).only("id", "event_id", "sha256").first()
    if key is None or not hmac.compare_digest(bytes(key.sha256), digest):
        return None
    if len(_known) >= CACHE_SIZE:
        _known.clear()
    caller = Caller(key.id, key.event_id)
    _known[digest] = caller, seconds
    return caller


def forget_event(event_id: UUID) -> None:
    """Look the keys of an event up again when they are next used: it is gone, and they with it."""
    for digest, (caller, _) in list(_known.items()):
        if caller.event_id == event_id:
            _known.pop(digest, None)
