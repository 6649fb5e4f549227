"""The time zone in which somebody types and reads moments: what they chose, else their browser's, else UTC."""

from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from engagement.models import Preferences
from engagement.moments import read_zone

COOKIE = "zone"  # display.js writes there what the browser says
TYPED = "%Y-%m-%dT%H:%M"  # as a browser's field for a moment has it


@cache
def zone_choices() -> list[tuple[str, str]]:
    """Return the zones that one can choose, by what they are called."""
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    return [(name, name.replace("_", " ")) for name in ("UTC", *names)]


@cache
def _names() -> frozenset[str]:
    return frozenset(name for name, _ in zone_choices())


def preferences_of(user: User) -> Preferences:
    """Return how somebody wants to see times, not stored yet where they never said it."""
    return Preferences.objects.filter(user=user).first() or Preferences(user=user)


def find_zone(request: HttpRequest, user: User) -> str:
    """Return the name of the zone in which this user types."""
    told = (preferences_of(user).zone, request.COOKIES.get(COOKIE, "").replace("%2F", "/"), "UTC")
    return next(name for name in told if name in _names())


def remember_zone(user: User, name: str) -> None:
    """Keep the zone that somebody chose; what else they said stays."""
    Preferences.objects.update_or_create(user=user, defaults={"zone": name})


def known_zone(name: str | None) -> tzinfo:
    """Return a zone by a name that anybody may have sent; UTC where there is none of that name."""
    return read_zone(name) if name in _names() and name else UTC


def write_local(at: datetime | None, zone: tzinfo) -> str:
    """Write a moment as it is typed in a zone.

    >>> write_local(datetime(2026, 3, 2, 9, tzinfo=UTC), read_zone("Europe/Oslo")), write_local(None, UTC)
    ('2026-03-02T10:00', '')
    """
    return "" if at is None else at.astimezone(zone).strftime(TYPED)


def read_local(typed: datetime, zone: tzinfo) -> datetime:
    """Return the moment that a zone's clocks show so. Of two, when clocks are put back, the first.

    Raises `ValidationError` where they never do, as an hour is left out.
    """
    typed = typed.replace(tzinfo=None)
    try:
        at = typed.replace(tzinfo=zone).astimezone(UTC)
        is_shown = at.astimezone(zone).replace(tzinfo=None) == typed
    except OverflowError:
        raise ValidationError("No calendar goes that far.") from None
    if not is_shown:
        raise ValidationError("Clocks are put forward then: there is no such time on that day.")
    return at


class MomentField(forms.DateTimeField):
    """A moment, typed in a zone. One that nobody touched stays what it is, to the second."""

    widget = forms.DateTimeInput({"type": "datetime-local"}, TYPED)
    zone: tzinfo = UTC
    stored: datetime | None = None

    def clean(self, value: Any) -> datetime | None:
        if self.stored is not None and value == write_local(self.stored, self.zone):
            return self.stored
        typed: datetime | None = super().clean(value)
        return typed and read_local(typed, self.zone)


class ZonedForm(forms.Form):
    """A form whose moments are typed in one zone; `stored` are those that stand in it at first."""

    def __init__(self, *args: Any, zone: tzinfo, stored: dict[str, datetime | None] | None = None, **options: Any):
        self.stored = stored or {}
        written = {name: write_local(at, zone) for name, at in self.stored.items()}
        options["initial"] = written | (options.get("initial") or {})
        super().__init__(*args, **{"label_suffix": "", **options})
        for name, field in self.fields.items():
            if isinstance(field, MomentField):
                field.zone, field.stored = zone, self.stored.get(name)


def display(request: HttpRequest) -> dict[str, object]:
    """Tell templates how the one who looks wants to see times; asked for only where it is written."""
    user = getattr(request, "user", None)
    is_known = isinstance(user, User) or getattr(user, "is_authenticated", False)
    return {"display": SimpleLazyObject(lambda: preferences_of(user)) if is_known else None}  # type: ignore[arg-type]
