"""Look API keys and beacons' tokens up: who calls, and what that reaches."""

import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from django.http import HttpRequest

from engagement.models import ApiKey, BeaconToken, Secret

CACHE_SECONDS = 15.0  # a revoked key or token works at most this long on
CACHE_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who holds a valid key."""

    key_id: UUID
    event_id: UUID


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a valid token of a beacon: into which session it writes, from pages of which origins."""

    token_id: UUID
    event_id: UUID
    session_id: UUID
    origins: tuple[str, ...]


Who = TypeVar("Who", Caller, Holder)


@dataclass(frozen=True, slots=True)
class Recalled(Generic[Who]):
    """Who held a secret when it was last looked up, however long ago; `confirm` says whether they do now."""

    digest: bytes
    caller: Who


class KeyedRequest(HttpRequest):
    """A request whose key was found."""

    auth: Caller


class Remembered(Generic[Who]):
    """Who holds which secret, each remembered for a while.

    Only those that exist are, so that guesses fill no memory. `seconds` is the reading of a monotonic clock.
    """

    def __init__(self, look_up: Callable[[Collection[bytes]], Mapping[bytes, Who]]) -> None:
        self._look_up: Callable[[Collection[bytes]], Mapping[bytes, Who]] = look_up
        self.known: dict[bytes, tuple[Who, float]] = {}

    def find(self, secret: str, seconds: float) -> Who | None:
        """Return who holds a secret, None where nobody does or it was revoked."""
        digest = Secret.digest(secret)
        remembered = self.known.get(digest)
        if remembered is not None and seconds - remembered[1] < CACHE_SECONDS:
            return remembered[0]
        self.known.pop(digest, None)
        for found, caller in self._look_up([digest]).items():
            if hmac.compare_digest(found, digest):
                self._remember(digest, caller, seconds)
                return caller
        return None

    def recall(self, secret: str) -> Recalled[Who] | None:
        """Return who held a secret, without a look at the database; None where nobody remembers."""
        digest = Secret.digest(secret)
        remembered = self.known.get(digest)
        return None if remembered is None else Recalled(digest, remembered[0])

    def confirm(self, recalled: Collection[Recalled[Who]], seconds: float) -> set[Recalled[Who]]:
        """Return those that hold it still: all that need it are looked up in one query.

        A look is trusted for as long as in `find`, and remembered for it.
        """
        stale = {each for each in recalled if not self._is_fresh(each, seconds)}
        if not stale:
            return set(recalled)
        found = self._look_up([each.digest for each in stale])
        for each in stale:
            self.known.pop(each.digest, None)
        confirmed = {each for each in stale if found.get(each.digest) == each.caller}
        for each in confirmed:
            self._remember(each.digest, each.caller, seconds)
        return set(recalled) - stale | confirmed

    def forget_event(self, event_id: UUID) -> None:
        for digest, (caller, _) in list(self.known.items()):
            if caller.event_id == event_id:
                self.known.pop(digest, None)

    def _remember(self, digest: bytes, caller: Who, seconds: float) -> None:
        if len(self.known) >= CACHE_SIZE:
            self.known.clear()
        self.known[digest] = caller, seconds

    def _is_fresh(self, recalled: Recalled[Who], seconds: float) -> bool:
        remembered = self.known.get(recalled.digest)
        return remembered is not None and remembered[0] == recalled.caller and seconds - remembered[1] < CACHE_SECONDS


def _look_keys_up(digests: Collection[bytes]) -> dict[bytes, Caller]:
    valid = ApiKey.objects.valid().filter(sha256__in=digests)
    found = valid.values_list("sha256", "id", "event_id")
    return {bytes(digest): Caller(id_, event_id) for digest, id_, event_id in found}


def _look_tokens_up(digests: Collection[bytes]) -> dict[bytes, Holder]:
    valid = BeaconToken.objects.valid().filter(sha256__in=digests)
    found = valid.values_list("sha256", "id", "session__event_id", "session_id", "origins")
    return {
        bytes(digest): Holder(id_, event_id, session_id, tuple(origins))
        for digest, id_, event_id, session_id, origins in found
    }


KEYS = Remembered(_look_keys_up)
TOKENS = Remembered(_look_tokens_up)


def bearer(header: str) -> str | None:
    """Return the key from the value of an Authorization header, None where it is of another kind.

    >>> bearer("Bearer ec_abc"), bearer("bearer"), bearer("Basic abc"), bearer("")
    ('ec_abc', '', None, None)
    """
    scheme, _, secret = header.strip().partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def find_caller(secret: str, seconds: float) -> Caller | None:
    """Return who holds the key, None where there is no such key or it was revoked.

    A socket does not ask here: what is remembered cannot end it.
    """
    return KEYS.find(secret, seconds)


def forget_event(event_id: UUID) -> None:
    """Look the keys of an event up again when they are next used: it is gone, and they with it."""
    KEYS.forget_event(event_id)
