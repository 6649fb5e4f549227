"""Logins that fail are counted in the database, by axes; whoever fails too often has to wait, and is told how long."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address, ip_network
from math import ceil
from typing import Any, cast

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

ADDRESS_FAILURES = 80  # of all names together: a venue is one address to us, and people mistype
NETWORK_BITS = 64  # whoever has one IPv6 address has all that share these

MINUTE = timedelta(minutes=1)

Credentials = dict[str, Any]
Failure = tuple[datetime, int]  # when it was last, and how often


class GuardedRequest(HttpRequest):
    """A login as axes notes it on the request."""

    axes_attempt_time: datetime
    axes_ip_address: str | None
    axes_credentials: Credentials | None


class LoginGuard(AxesDatabaseHandler):
    """Counts by name and address together, so that no stranger locks anybody out; by address alone more loosely."""

    def get_failures(self, request: HttpRequest, credentials: Credentials | None = None) -> int:
        """Return what axes compares with the limit of a name."""
        return settings.AXES_FAILURE_LIMIT if _unlocks_at(cast(GuardedRequest, request), credentials) else 0


def _unlocks_at(request: GuardedRequest, credentials: Credentials | None) -> datetime | None:
    """Return when this name may be tried again from this address, None where it may be now."""
    of_address = _counted(request)
    of_name = of_address.filter(username=get_client_username(request, credentials))
    moments = [
        count_down(of_name.values_list("attempt_time", "failures_since_start"), settings.AXES_FAILURE_LIMIT),
        count_down(of_address.values_list("attempt_time", "failures_since_start"), ADDRESS_FAILURES),
    ]
    return max((moment for moment in moments if moment), default=None)


def _counted(request: GuardedRequest) -> "QuerySet[AccessAttempt]":
    """Return the failures of an address that are not forgotten yet, newest first."""
    since = request.axes_attempt_time - settings.AXES_COOLOFF_TIME
    failures: QuerySet[AccessAttempt] = AccessAttempt.objects.filter(attempt_time__gt=since)
    return failures.filter(ip_address=request.axes_ip_address).order_by("-attempt_time")


def count_down(failures: Iterable[Failure], limit: int) -> datetime | None:
    """Return when fewer than `limit` of the failures are left, which come newest first; None where they are fewer."""
    total = 0
    for failed_at, count in failures:
        total += count
        if total >= limit:
            forgotten_at: datetime = failed_at + settings.AXES_COOLOFF_TIME
            return forgotten_at
    return None


def answer_locked(request: GuardedRequest, *_: object) -> HttpResponse:
    """Say that it was tried too often, and from when on it may be tried again."""
    moment = request.axes_attempt_time
    until = _unlocks_at(request, request.axes_credentials) or moment
    wait = max(until - moment, timedelta(seconds=1))
    minutes = ceil(wait / MINUTE)
    shown = {"minutes": minutes, "until": (until + MINUTE - timedelta(microseconds=1)).replace(second=0, microsecond=0)}
    page = render(request, "registration/locked.html", shown, status=429)
    page.headers["Retry-After"] = str(ceil(wait.total_seconds()))
    return page


def forget_failures(now: datetime) -> int:
    """Delete the failures that count no more, and return how many; a login that fails does it as well."""
    old = AccessAttempt.objects.filter(attempt_time__lte=now - settings.AXES_COOLOFF_TIME)
    return int(old.delete()[0])


def name_client(username: str | None, address: str | None, *_: object) -> str:
    """Write who failed, for the log: quoted, as anybody may send any name."""
    return f"{username!r} from {address}"


def find_address(request: HttpRequest) -> str | None:
    """Return from where a request comes."""
    return known_address(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def known_address(reached_from: str, forwarded_for: str) -> str | None:
    """Return from where somebody comes, an IPv6 address without the part that its owner chooses.

    Each trusted proxy appends the address that it was reached from; what stands further left is hearsay.
    """
    remote = _read_address(reached_from)
    if not settings.PROXIES:
        return remote
    return _read_address(forwarded_for.split(",")[-settings.PROXIES :][0]) or remote


def _read_address(text: str) -> str | None:
    """Return an address in its shortest form, without a port.

    >>> _read_address(" 192.0.2.1:5000"), _read_address("::ffff:192.0.2.1"), _read_address("[2001:db8::1:2:3:4]:80")
    ('192.0.2.1', '192.0.2.1', '2001:db8::')
    >>> _read_address("unknown") is _read_address("") is None
    True
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((address, NETWORK_BITS), strict=False).network_address)
