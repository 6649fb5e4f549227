"""Write what channels are told, in the transaction of what it tells of: both are stored, or neither is.

Nothing is sent here, and nobody is waited for: a sender comes after the commit.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from anomalies.models import Anomaly, AnomalyAction
from conductor.models import Attempt, Channel, Message
from conductor.payloads import anomaly_payload, session_payload
from conductor.telling import rules, waking
from conductor.telling.rules import Happening, Kind, Telling, Told, Wish
from engagement.models import Session
from engagement.moments import read_moment, write_moment

OVER = "It was over before its time."
HANDLED = "Somebody had seen to it before its time."
TOO_LATE = "It could not be delivered in time."
RESTORED = "A backup was restored: it may have been delivered before."
WITHDRAWN = (OVER, HANDLED)
MOST_FORGOTTEN = 5_000  # messages in one statement

# Those that are told now. A share of their keys, so that none is deleted before the commit; who deletes one just now is
# not waited for. A personal channel is silent while its user does not organize the event.
LISTENING = """
    SELECT c.* FROM telling_channels c
    WHERE c.event_id = ANY(%s) AND c.paused_at IS NULL AND (c.user_id IS NULL OR EXISTS (
        SELECT FROM auth_user u WHERE u.id = c.user_id AND u.is_active AND (u.is_superuser OR EXISTS (
            SELECT FROM engagement_event_organizers o WHERE o.user_id = u.id AND o.event_id = c.event_id))))
    ORDER BY c.id FOR KEY SHARE OF c SKIP LOCKED
"""

Step = tuple[Kind, Anomaly]


def tell_incidents(steps: Sequence[Step], now: datetime) -> None:
    """Write what channels are told of steps in the lives of incidents, each with the incident as it stood after it."""
    if not steps:
        return
    channels = _find_listening({anomaly.event_id for _, anomaly in steps})
    if channels:
        book = _Book([anomaly.id for _, anomaly in steps], channels, now)
        for kind, anomaly in steps:
            life = anomaly.metadata.get("history") or [{"at": write_moment(anomaly.timestamp)}]
            book.note(kind, anomaly, read_moment(life[-1]["at"]), f"step {len(life)}")
        book.write()


def tell_action(sender: type[AnomalyAction], instance: AnomalyAction, created: bool, **_: object) -> None:
    """Write that somebody did something with an incident, whoever they are and by whichever door they came.

    The one signal that we listen to: the action is saved inside the model's own transaction, which no caller sees.
    """
    if not created:
        return
    of_event = instance.anomaly.event_id
    channels = _find_listening({of_event})
    if channels:
        anomaly = Anomaly.objects.with_actions().get(id=instance.anomaly_id, session_id=instance.session_id)
        book = _Book([anomaly.id], channels, instance.at)
        book.note(Kind.UPDATED, anomaly, instance.at, f"action {instance.id}")
        book.write()


def tell_sessions(steps: Sequence[tuple[Message.Type, Session]], at: datetime, now: datetime) -> None:
    """Write that sessions began or ended to the webhooks of their events; people are told of incidents alone."""
    channels = [each for each in _find_listening({session.event_id for _, session in steps}) if each.is_webhook]
    _insert(
        [
            _message(channel, kind, session.id, None, at, _session_data(kind, session), now, f"{kind} {session.id}")
            for kind, session in steps
            for channel in channels
            if channel.event_id == session.event_id and (not channel.types or kind in channel.types)
        ]
    )


def write_test(channel: Channel, now: datetime) -> Message:
    """Write a message that says nothing but that the channel works."""
    data: dict[str, object] = {"channel_id": str(channel.id), "message": "This is a test: the channel works."}
    message = _message(channel, Message.Type.TEST, None, None, now, data, now, str(uuid.uuid4()))
    message.save(force_insert=True)
    waking.wake()
    return message


def forget(now: datetime) -> None:
    """Give up what is too late to be of use, and forget what was done long ago."""
    for kind, patience in rules.KEEPS_TRYING.items():
        late = Message.objects.filter(channel__kind=kind, due_at__lt=now - patience)
        late.filter(channel__lease=None).give_up(now, TOO_LATE)
    old = Message.objects.filter(done_at__lt=now - timedelta(days=settings.MESSAGE_DAYS)).order_by("done_at")
    while ids := list(old.values_list("id", flat=True)[:MOST_FORGOTTEN]):
        _delete(ids)


def settle_restored(now: datetime) -> None:
    """Send nothing of what a restored backup has: it may have been delivered after the backup was taken."""
    Message.objects.all().give_up(now, RESTORED)
    Channel.objects.update(lease=None, leased_until=None, failures=0, rests_until=None)


def _delete(ids: Sequence[int]) -> None:
    for rows in (Attempt.objects.filter(message_id__in=ids), Message.objects.filter(id__in=ids)):
        rows._raw_delete(rows.db)


class _Book:
    """What the channels of some incidents were told before, and what they are told now."""

    def __init__(self, anomaly_ids: Sequence[uuid.UUID], channels: Sequence[Channel], now: datetime):
        self._now, self._channels = now, channels
        self._told: dict[tuple[uuid.UUID, uuid.UUID], list[Message]] = defaultdict(list)
        self._amended: set[Message] = set()
        self._withdrawn: dict[str, list[int]] = {OVER: [], HANDLED: []}
        known = Message.objects.of_anomalies(anomaly_ids).filter(channel__in=channels).order_by("id")
        # No sender takes them until we have said what becomes of them.
        waiting = list(known.unsent(now).select_for_update(of=("self",)))
        held = {message.id for message in waiting}
        for message in [*waiting, *known.exclude(given_up__in=WITHDRAWN).exclude(id__in=held)]:
            if message.anomaly_id is not None:
                self._told[message.channel_id, message.anomaly_id].append(message)

    def note(self, kind: Kind, anomaly: Anomaly, at: datetime, step: str) -> None:
        """Say what every channel of the incident's event is told of one step."""
        happening = Happening(kind, anomaly.severity, at, _is_handled(anomaly, self._now))
        data: dict[str, object] | None = None
        for channel in self._channels:
            if channel.event_id != anomaly.event_id:
                continue
            wish, before = _wish(channel), self._told[channel.id, anomaly.id]
            told = self._find_told(before)
            telling = rules.decide(wish, self._now, happening, told)
            if telling in (Telling.MESSAGE, Telling.AMENDMENT):
                data = data or anomaly_payload(anomaly)
            match telling:
                case Telling.MESSAGE:
                    message = _message(
                        channel, Message.Type(kind), anomaly.session_id, anomaly.id, at, data or {}, self._now,
                        f"{kind} {anomaly.id} {step}",
                    )  # fmt: skip
                    message.due_at = message.next_attempt_at = rules.find_due(wish, self._now, told)
                    before.append(message)
                case Telling.AMENDMENT:
                    before[0].payload |= {"data": data}
                    self._amended.add(before[0]) if before[0].id else None
                case Telling.WITHDRAWAL:
                    reason = OVER if kind == Kind.RESOLVED else HANDLED
                    self._withdrawn[reason] += [message.id for message in before if message.id]
                    before.clear()

    def write(self) -> None:
        for reason, ids in self._withdrawn.items():
            if ids:
                Message.objects.filter(id__in=ids).give_up(self._now, reason)
        if self._amended:
            Message.objects.bulk_update(self._amended, ["payload"])
        _insert([message for messages in self._told.values() for message in messages if message.id is None])

    def _find_told(self, messages: Sequence[Message]) -> Told:
        is_waiting = bool(messages) and all(
            message.done_at is None and not message.attempts and message.due_at > self._now for message in messages
        )
        return Told(bool(messages), is_waiting, messages[0].due_at if messages else None)


def _find_listening(event_ids: set[uuid.UUID]) -> list[Channel]:
    return list(Channel.objects.raw(LISTENING, [list(event_ids)])) if event_ids else []


def _insert(messages: Sequence[Message]) -> None:
    """Store messages; one that was written before, of a step that is judged anew, is there already."""
    if messages:
        Message.objects.bulk_create(messages, ignore_conflicts=True)
        waking.wake()


def _message(
    channel: Channel,
    kind: Message.Type,
    session_id: uuid.UUID | None,
    anomaly_id: uuid.UUID | None,
    at: datetime,
    data: dict[str, Any],
    now: datetime,
    name: str,
) -> Message:
    """Return a new message; `name` tells it from all others of the channel, also where its step is judged anew."""
    return Message(
        key=uuid.uuid5(channel.id, name),
        channel_id=channel.id,
        session_id=session_id,
        anomaly_id=anomaly_id,
        type=kind,
        payload={"type": kind.value, "timestamp": write_moment(at), "data": data},
        created_at=now,
        due_at=now,
        next_attempt_at=now,
    )


def _session_data(kind: Message.Type, session: Session) -> dict[str, object]:
    payload = session_payload(session)
    status = Session.Status.LIVE if kind == Message.Type.STARTED else Session.Status.ENDED
    return payload | {"status": status.value, "url": f"{settings.PUBLIC_URL}{payload['url']}"}


def _wish(channel: Channel) -> Wish:
    return Wish(
        channel.kind, frozenset(channel.types), channel.least_severity, channel.delay_seconds, channel.tells_end
    )


def _is_handled(anomaly: Anomaly, now: datetime) -> bool:
    is_dismissed = anomaly.status == Anomaly.Status.DISMISSED
    return is_dismissed or anomaly.acknowledged_at is not None or anomaly.is_snoozed(now)
