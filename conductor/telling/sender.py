"""Take what is due of one channel, send it, and write what came of it. No transaction is open while somebody is told.

A channel is leased to one sender at a time, who takes one message: so a receiver that hangs keeps one sender waiting,
and what it is told stays in order. A sender that is killed leaves its lease to run out, and its message is sent again.
"""

import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, When

from conductor.models import Attempt, Channel, Message, MessageQuerySet
from conductor.telling import rules
from conductor.telling.outbox import TOO_LATE
from conductor.telling.outcome import Outcome
from conductor.telling.people import tell_people
from conductor.telling.webhooks import post_message

LEASE = timedelta(seconds=45)  # longer than any attempt
MOST_FAILING = 8  # of all senders who may be busy with channels that failed the last time
BROKE_OFF = "The sender ended while it was under way: it may have arrived."
GONE = "The receiver answered 410: it wants nothing any more."
REMOVED = "The channel wants nothing any more."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt that is ours to make."""

    channel: Channel
    message: Message
    attempt: Attempt


def send_next(now: Callable[[], datetime], before: Callable[[], None] = lambda: None) -> bool:
    """Send one message that is due; return whether there was one. `before` is called when one is found."""
    claim = _claim(now())
    if claim is None:
        return False
    before()
    began = time.monotonic()
    outcome = _send(claim, now)
    _finish(claim, outcome, round(1_000 * (time.monotonic() - began)), now())
    return True


def _claim(now: datetime) -> Claim | None:
    """Lease a channel for which something is due, and begin an attempt at its next message."""
    if not Message.objects.due(now).exists():  # as nearly always: in one look
        return None
    with transaction.atomic():
        channel = _find_channels(now).select_for_update(no_key=True, skip_locked=True, of=("self",)).first()
        if channel is None:
            return None
        # Looked for now that the channel is ours: what was found before may be delivered since.
        message = _find_due(now).filter(channel=channel).select_related("session__event").order_by(
            "next_attempt_at", "id"
        ).select_for_update(no_key=True, skip_locked=True, of=("self",)).first()  # fmt: skip
        if message is None:
            return None
        channel.lease, channel.leased_until = uuid.uuid4(), now + LEASE
        Channel.objects.filter(id=channel.id).update(lease=channel.lease, leased_until=channel.leased_until)
        Message.objects.filter(id=message.id).update(attempts=F("attempts") + 1)
        message.attempts += 1
        Attempt.objects.filter(message=message, milliseconds=None, error="").update(error=BROKE_OFF)
        return Claim(channel, message, Attempt.objects.create(message=message, at=now))


def _find_channels(now: datetime) -> "QuerySet[Channel]":
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    rested = Q(rests_until=None) | Q(rests_until__lte=now)
    due = Exists(_find_due(now).filter(channel=OuterRef("pk")))
    channels = Channel.objects.filter(free, rested, due, paused_at=None, event__erased_at=None)
    if Channel.objects.filter(failures__gt=0, leased_until__gt=now).count() >= MOST_FAILING:
        channels = channels.filter(failures=0)
    # Who waits longest among those that fail, and those that do not before all of them.
    return channels.order_by(Case(When(failures=0, then=0), default=1), F("rests_until").asc(nulls_first=True), "?")


def _find_due(now: datetime) -> MessageQuerySet:
    """Return what may be sent: of an anomaly, and of a session, nothing before what came before it is done."""
    earlier = Message.objects.pending().filter(channel=OuterRef("channel"), id__lt=OuterRef("id"))
    of_anomaly = Exists(earlier.filter(anomaly_id=OuterRef("anomaly_id")))
    of_session = Exists(earlier.filter(anomaly_id=None, session=OuterRef("session")))
    there = Q(session=None) | Q(session__erased_at=None)
    due = Message.objects.due(now).filter(there)
    return due.exclude(of_anomaly).exclude(Q(anomaly_id=None) & of_session)


def _send(claim: Claim, now: Callable[[], datetime]) -> Outcome:
    channel, message = claim.channel, claim.message
    try:
        if not channel.is_webhook:
            return tell_people(channel, message, lambda: _note_taken(claim, now()))
        return post_message(
            channel.target, channel.secret, str(message.key), message.payload, now(),
            may_be_private=settings.PRIVATE_RECEIVERS,
        )  # fmt: skip
    except Exception:  # a fault of ours must not keep the lease
        log.exception("Message %s could not be sent.", message.key)
        return Outcome("Something broke on our side. It has been logged.")


def _note_taken(claim: Claim, now: datetime) -> None:
    """Write at once that people have been told, who know no message by its key: a sender may be killed any moment.

    One statement that is its own transaction: PostgreSQL ends what it was sent, also for who is dead meanwhile.
    """
    claim.message.deliver(now)
    took = round((now - claim.attempt.at) / timedelta(milliseconds=1))
    Attempt.objects.filter(id=claim.attempt.id).update(milliseconds=max(took, 0))


def _finish(claim: Claim, outcome: Outcome, milliseconds: int, now: datetime) -> None:
    """Write what came of an attempt; where our lease has run out meanwhile, somebody else decides what comes next."""
    with transaction.atomic():
        Attempt.objects.filter(id=claim.attempt.id).update(
            milliseconds=milliseconds, status=outcome.status, error=outcome.error[:500], answer=outcome.answer
        )
        ours = Channel.objects.filter(id=claim.channel.id, lease=claim.channel.lease).select_for_update(no_key=True)
        channel = ours.first()
        if channel is None:
            return
        if outcome.is_delivered:
            channel.failures, channel.rests_until = 0, None
            claim.message.deliver(now)
        elif outcome.is_unwanted:
            channel.paused_at, channel.pause_reason = now, GONE
            channel.messages.filter(id=claim.message.id).give_up(now, outcome.error)
            channel.messages.all().give_up(now, REMOVED)
        else:
            channel.failures += 1
            rest = rules.find_rest(channel.failures, random.random())
            channel.rests_until = now + max(rest, timedelta(seconds=outcome.wait_seconds))
            _postpone(claim, channel, outcome, now)
        channel.lease = channel.leased_until = None
        moved = ("paused_at", "pause_reason", "failures", "rests_until", "lease", "leased_until")
        Channel.objects.filter(id=channel.id).update(**{name: getattr(channel, name) for name in moved})


def _postpone(claim: Claim, channel: Channel, outcome: Outcome, now: datetime) -> None:
    """Say when a message is tried again, or that it is not."""
    message = channel.messages.filter(id=claim.message.id)
    retry = rules.find_retry(claim.message.attempts, random.random())
    again_at = now + max(retry, timedelta(seconds=outcome.wait_seconds))
    if rules.is_over(channel.kind, claim.message.due_at, again_at):
        message.give_up(now, f"{TOO_LATE} {outcome.error}"[:200])
        log.warning(
            "Message %s to %s is given up after %d attempts.", claim.message.key, channel, claim.message.attempts
        )
    else:
        message.pending().update(next_attempt_at=again_at)
