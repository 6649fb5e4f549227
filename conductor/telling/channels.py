"""Make channels and remove them; where they may lead is decided here, whoever asks."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from anomalies.models import Anomaly
from conductor.models import MAX_TARGET, Attempt, Channel, Message
from conductor.telling.addresses import RefusedAddress, check_url
from conductor.telling.people import check_chat, check_mail

MOST_CHANNELS = 50  # of one event: each is a row for every incident
UNTOLD = {Message.Type.TEST}  # what nobody subscribes to
TYPES = [each.value for each in Message.Type if each not in UNTOLD]


class RefusedChannel(Exception):
    """A channel cannot be made like that; `field` is the one that is wrong."""

    def __init__(self, field: str, detail: str):
        super().__init__(f"{field}: {detail}")
        self.field, self.detail = field, detail


def make_channel(
    event_id: UUID,
    kind: Channel.Kind,
    target: str,
    now: datetime,
    *,
    name: str = "",
    user: User | None = None,
    types: Sequence[str] = (),
    least_severity: str = Anomaly.Severity.WARNING,
    delay_seconds: int = 0,
    tells_end: bool = True,
) -> Channel:
    """Return a new channel; that of a webhook has a secret. Raises `RefusedChannel`."""
    _check_target(kind, target)
    if Channel.objects.for_event(event_id).count() >= MOST_CHANNELS:
        raise RefusedChannel("target", f"an event has {MOST_CHANNELS} channels at most: delete one that is not used")
    channel = Channel(
        event_id=event_id, kind=kind, target=target, user=user, types=list(dict.fromkeys(types)),
        least_severity=least_severity, delay_seconds=delay_seconds, tells_end=tells_end, created_at=now,
        secret=Channel.draw_secret() if kind == Channel.Kind.WEBHOOK else "",
    )  # fmt: skip
    channel.name = name or channel.shown_target[:100]
    channel.save(force_insert=True)
    return channel


def remove_channel(channel: Channel) -> None:
    """Delete a channel with all that it was told."""
    with transaction.atomic():
        # Alone: whoever writes messages to it just now is waited for, and nobody writes any from here on.
        if not Channel.objects.select_for_update().filter(id=channel.id).exists():
            return
        for rows in (Attempt.objects.filter(message__channel=channel), Message.objects.filter(channel=channel)):
            rows._raw_delete(rows.db)
        channel.delete()


def _check_target(kind: Channel.Kind, target: str) -> None:
    if len(target) > MAX_TARGET:
        raise RefusedChannel("target", f"it is longer than {MAX_TARGET:,} characters")
    try:
        if kind == Channel.Kind.WEBHOOK:
            check_url(target, may_be_private=settings.PRIVATE_RECEIVERS)
        elif kind == Channel.Kind.MAIL:
            check_mail(target)
        else:
            check_chat(target)
    except RefusedAddress as refused:
        raise RefusedChannel("target", str(refused)) from refused
