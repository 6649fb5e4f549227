"""System checks of the environment: what a variable gets wrong, said with a hint before anything starts."""

from collections.abc import Collection, Sequence
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

DATABASE_SCHEMES = {"postgres", "postgresql", "pgsql", "timescale"}
TELLING_SCHEMES = {"mailto", "mailtos"}  # as Apprise has them
PAGE_SCHEMES = {"http", "https"}
REDIS_SCHEMES = {"redis", "rediss", "unix"}
MAIL_SCHEMES = {"smtp", "smtps", "submission"}


@register("environment")
def check_database_url(**_: object) -> list[CheckMessage]:
    """DATABASE_URL names a PostgreSQL; the settings have refused already what cannot be read at all."""
    hint = "Write postgresql://USER:PASSWORD@HOST:5432/NAME."
    if urlsplit(settings.DATABASE_URL).scheme not in DATABASE_SCHEMES:
        return [Error("DATABASE_URL does not name a PostgreSQL.", hint=hint, id="conductor.E001")]
    if not settings.DATABASES["default"].get("NAME"):
        return [Error("DATABASE_URL names no database.", hint=hint, id="conductor.E002")]
    return []


@register("environment")
def check_redis_url(**_: object) -> list[CheckMessage]:
    """REDIS_URL is one that redis-py, channels-redis and Celery all understand."""
    hint = "Write redis://:PASSWORD@HOST:6379/0, rediss:// for TLS, or unix:///path/to/redis.sock?db=0."
    try:
        url = urlsplit(settings.REDIS_URL)
        is_complete = url.path if url.scheme == "unix" else url.hostname and url.port != 0
    except ValueError:
        return [Error("REDIS_URL cannot be read.", hint=hint, id="conductor.E003")]
    if url.scheme not in REDIS_SCHEMES or not is_complete:
        return [Error("REDIS_URL does not name a Redis.", hint=hint, id="conductor.E003")]
    return []


@register("environment")
def check_public_url(**_: object) -> Sequence[CheckMessage]:
    """CONDUCTOR_PUBLIC_URL is how a page's address begins; it is missed where people are told by mail."""
    hint = "Write how people reach the server: https://live.example.org."
    url = _read_url(settings.PUBLIC_URL, PAGE_SCHEMES)
    is_right = url is not None and not (url.query or url.fragment) and _is_plain(settings.PUBLIC_URL)
    if not settings.PUBLIC_URL and settings.MAIL_URL:
        words = "CONDUCTOR_PUBLIC_URL is not set: what people are told links nowhere."
        return [Warning(words, hint=hint, id="conductor.W001")]
    if not settings.PUBLIC_URL or is_right:
        return []
    return [Error("CONDUCTOR_PUBLIC_URL is no address of pages.", hint=hint, id="conductor.E006")]


@register("environment")
def check_mail_url(**_: object) -> Sequence[CheckMessage]:
    """CONDUCTOR_MAIL_URL is empty, or one of a mail server that Apprise can read."""
    if not settings.MAIL_URL or _read_url(settings.MAIL_URL, TELLING_SCHEMES):
        return []
    hint = "Write mailtos://USER:PASSWORD@smtp.example.org?from=live@example.org, special characters as %XX."
    return [Error("CONDUCTOR_MAIL_URL names no mail server.", hint=hint, id="conductor.E007")]


@register("environment")
def check_allowed_hosts(**_: object) -> Sequence[CheckMessage]:
    """ALLOWED_HOSTS has a name: without one every request is refused. (Django checks the trusted origins.)"""
    if settings.DEBUG or settings.ALLOWED_HOSTS:
        return []
    return [
        Error(
            "ALLOWED_HOSTS is empty: no request would be answered.",
            hint="Name the hosts under which people reach the server, with commas: live.example.org,10.0.0.5.",
            id="conductor.E004",
        )
    ]


@register("environment")
def check_email_url(**_: object) -> Sequence[CheckMessage]:
    """EMAIL_URL is empty, or names a mail server."""
    if not settings.EMAIL_URL or _read_url(settings.EMAIL_URL, MAIL_SCHEMES):
        return []
    return [
        Error(
            "EMAIL_URL does not name a mail server.",
            hint="Write smtp://USER:PASSWORD@HOST:587/?tls=True, or smtps:// for TLS; special characters as %XX.",
            id="conductor.E008",
        )
    ]


@register("environment")
def check_heartbeat_url(**_: object) -> Sequence[CheckMessage]:
    """CONDUCTOR_HEARTBEAT_URL is empty, or something that can be called over HTTP."""
    text = settings.HEARTBEAT_URL
    url = _read_url(text, PAGE_SCHEMES)
    if not text or (url and "@" not in url.netloc and text.isascii() and _is_plain(text)):
        return []
    return [
        Error(
            "CONDUCTOR_HEARTBEAT_URL cannot be called.",
            hint="Write https://HOST/PATH or http://HOST:PORT/PATH, without a login, special characters as %XX.",
            id="conductor.E005",
        )
    ]


def _read_url(text: str, schemes: Collection[str]) -> SplitResult | None:
    """Return the parts of an address with a host and one of these schemes; None where it is none."""
    try:
        url = urlsplit(text)
        return url if url.scheme in schemes and url.hostname and url.port != 0 else None
    except ValueError:  # of a bracket that is not closed, or a port that is no number
        return None


def _is_plain(text: str) -> bool:
    """Tell whether a text has nothing in it that an address would have to write as %XX."""
    return text.isprintable() and " " not in text
