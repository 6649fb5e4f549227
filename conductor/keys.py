"""Look API keys up: who calls, and which event the key reaches."""

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest

from engagement.models import ApiKey

CACHE_SECONDS = 15.0  # a revoked key works at most this long on
CACHE_SIZE = 10_000
LOOKED_UP = ("id", "event_id", "sha256")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who holds a valid key."""

    key_id: UUID
    event_id: UUID


@dataclass(frozen=True, slots=True)
class Recalled:
    """Who held a key when it was last looked up, however long ago; `confirm` says whether they do now."""

    digest: bytes
    caller: Caller


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
    key = ApiKey.objects.valid().of_secret(secret).only(*LOOKED_UP).first()
    if key is None or not hmac.compare_digest(bytes(key.sha256), digest):
        return None
    if len(_known) >= CACHE_SIZE:
        _known.clear()
    caller = Caller(key.id, key.event_id)
    _known[digest] = caller, seconds
    return caller


def recall(secret: str) -> Recalled | None:
    """Return who held the key, without a look at the database; None where nobody remembers."""
    digest = ApiKey.digest(secret)
    remembered = _known.get(digest)
    return None if remembered is None else Recalled(digest, remembered[0])


def confirm(recalled: Collection[Recalled], seconds: float) -> set[Recalled]:
    """Return those that hold a key: all that need it are looked up in one query.

    A look is trusted for as long as in `find_caller`, and remembered for it.
    """
    stale = {each for each in recalled if not _is_fresh(each, seconds)}
    if not stale:
        return set(recalled)
    valid = ApiKey.objects.valid().filter(sha256__in=[each.digest for each in stale])
    found = {bytes(digest): Caller(key_id, event_id) for key_id, event_id, digest in valid.values_list(*LOOKED_UP)}
    for each in stale:
        _known.pop(each.digest, None)
    confirmed = {each for each in stale if found.get(each.digest) == each.caller}
    for each in confirmed:
        _known[each.digest] = each.caller, seconds
    return set(recalled) - stale | confirmed


def _is_fresh(recalled: Recalled, seconds: float) -> bool:
    caller, found_at = _known.get(recalled.digest, (None, 0.0))
    return caller == recalled.caller and seconds - found_at < CACHE_SECONDS


def forget_event(event_id: UUID) -> None:
    """Look the keys of an event up again when they are next used: it is gone, and they with it."""
    for digest, (caller, _) in list(_known.items()):
        if caller.event_id == event_id:
            _known.pop(digest, None)
