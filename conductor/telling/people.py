"""Tell people, by mail over the operator's own server or by a chat service, through Apprise."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from conductor.models import Channel, Message
from conductor.telling.addresses import RefusedAddress
from conductor.telling.outcome import Outcome
from conductor.telling.wording import RESOLVED, TEST, Words, write_message

SECONDS = 5.0  # to connect, and for each answer
SHORTEST_SECRET = 6  # shorter parts of an address stand in messages as they are
SEPARATORS = re.compile(r"[/:@?&=]+")

logger = logging.getLogger("apprise")


def check_mail(address: str) -> None:
    """Raise `RefusedAddress` unless mail can be sent there."""
    if not settings.MAIL_URL:
        raise RefusedAddress("this server sends no mail: its operator has to name one that does")
    try:
        validate_email(address)
    except ValidationError:
        raise RefusedAddress("it should be one mail address, such as mara@example.org") from None


def check_chat(address: str) -> None:
    """Raise `RefusedAddress` unless it is one of a service that this server may call."""
    scheme, separator, _ = address.partition("://")
    if not separator or scheme.lower() not in settings.CHAT_SERVICES:
        raise RefusedAddress(
            f"it should begin with one of {', '.join(f'{each}://' for each in settings.CHAT_SERVICES)}"
        )
    # What stands there can name files to read, and waits.
    if "?" in address:
        raise RefusedAddress("it should hold no ? with options")
    if _apprise().Apprise.instantiate(address, suppress_exceptions=True) is None:
        raise RefusedAddress(f"it is not how Apprise writes one of {scheme}: github.com/caronc/apprise/wiki says how")


def tell_people(channel: Channel, message: Message, taken: Callable[[], None]) -> Outcome:
    """Tell people once; return what came of it. `taken` is called where a service says so before it takes its leave."""
    try:
        check_mail(channel.target) if channel.kind == Channel.Kind.MAIL else check_chat(channel.target)
    except RefusedAddress as refused:
        return Outcome(f"Nobody was told: {refused}.")
    service = _find_service(channel)
    if service is None:
        return Outcome("Nobody was told: the address of the mail server cannot be used.")
    service.socket_connect_timeout = service.socket_read_timeout = SECONDS
    service.mark_delivered = lambda *_, **__: taken()  # Apprise's own note, for a second attempt of its own
    words = _write(channel, message)
    with _listening() as said:
        is_told = service.notify(title=words.title, body=words.body, notify_type=_mood(message), body_format="text")
    return Outcome() if is_told else Outcome(_hide(said[-1] if said else "It was not taken.", channel))


def _apprise() -> Any:
    """Return Apprise, loaded with the first address that it must know: webhooks need none of its 4 MB."""
    import apprise.plugins

    return apprise


def _find_service(channel: Channel) -> Any:
    """Return what Apprise makes of a channel; None where it can make nothing."""
    if channel.kind == Channel.Kind.CHAT:
        return _apprise().Apprise.instantiate(channel.target, suppress_exceptions=True)
    plugin = _apprise().plugins.N_MGR[urlsplit(settings.MAIL_URL).scheme]
    found = plugin.parse_url(settings.MAIL_URL)
    return found and _apprise().Apprise.instantiate({**found, "targets": [channel.target]}, suppress_exceptions=True)


def _write(channel: Channel, message: Message) -> Words:
    session = message.session
    room = session.title if session else ""
    link = f"{settings.PUBLIC_URL}/sessions/{session.id}/" if session and settings.PUBLIC_URL else ""
    return write_message(message.type, message.payload["data"], room, channel.event.name, link)


def _mood(message: Message) -> str:
    """Return by which Apprise colours it."""
    if message.type in (RESOLVED, TEST):
        return "success"
    is_critical = message.payload["data"]["severity"] == "CRITICAL"
    return "failure" if is_critical else "warning"


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Yield what Apprise says of what goes wrong, which it tells its log alone; of this thread, as others send too."""
    said: list[str] = []
    me = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == me:
                said.append(record.getMessage())

    listener = Listener(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield said
    finally:
        logger.removeHandler(listener)


def _hide(text: str, channel: Channel) -> str:
    """Return words without what is secret in the addresses that they may tell of."""
    parts = SEPARATORS.split(f"{channel.target}/{settings.MAIL_URL}")
    secrets = (part for part in parts if len(part) >= SHORTEST_SECRET)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text
