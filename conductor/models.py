"""Whom an event tells of its incidents, what they are told, and every attempt to: the outbox. And who tells us."""

import base64
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator
from django.db import models

from anomalies.models import Anomaly
from engagement.limits import MAX_TEXT
from engagement.models import Event, Session

MAX_DELAY_SECONDS = 3_600
MAX_TARGET = 2_000
SECRET_BYTES = 32


class ChannelQuerySet(models.QuerySet["Channel"]):
    def for_event(self, event: Event | uuid.UUID) -> "ChannelQuerySet":
        return self.filter(event_id=event.id if isinstance(event, Event) else event, event__erased_at=None)

    def seen_by(self, user: User | AnonymousUser) -> "ChannelQuerySet":
        """Those that belong to nobody, and the user's own."""
        return self.filter(models.Q(user=None) | models.Q(user=user.pk))

    def webhooks(self) -> "ChannelQuerySet":
        return self.filter(kind=Channel.Kind.WEBHOOK)


class Channel(models.Model):
    """One way to tell somebody of what happens in an event, and how much they want to be told."""

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", "Webhook"
        MAIL = "mail", "Mail"
        CHAT = "chat", "Chat"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="channels")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="channels",
        help_text="Whose own it is, silent while they do not organize the event. Empty: the event's.",
    )
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=MAX_TEXT)
    target = models.CharField(max_length=MAX_TARGET, help_text="An address; that of a chat is a secret.")
    secret = models.CharField(max_length=200, blank=True, default="", help_text="What a webhook is signed with.")
    types = ArrayField(
        models.CharField(max_length=30), default=list, blank=True, help_text="Of a webhook: which types; empty: all."
    )
    least_severity = models.CharField(
        max_length=20, choices=Anomaly.Severity, default=Anomaly.Severity.WARNING, help_text="Less is not told."
    )
    delay_seconds = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(MAX_DELAY_SECONDS)],
        help_text="What is over before is not told at all.",
    )
    tells_end = models.BooleanField(default=True, help_text="Whether it is told that an incident is over.")
    created_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=MAX_TEXT, blank=True, default="", help_text="Why it was, in words.")
    # Who sends to it holds it until then: one message at a time, so that a slow receiver has one sender at most.
    lease = models.UUIDField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    rests_until = models.DateTimeField(null=True, editable=False, help_text="After a failure.")

    objects = ChannelQuerySet.as_manager()

    class Meta:
        db_table = "telling_channels"
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_kind_display().lower()})"

    @staticmethod
    def draw_secret() -> str:
        return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()

    @property
    def is_webhook(self) -> bool:
        return self.kind == self.Kind.WEBHOOK

    @property
    def shown_target(self) -> str:
        """Where it leads, without what lets anybody else write there."""
        if self.kind == self.Kind.MAIL:
            return self.target
        url = urlsplit(self.target)
        if self.kind == self.Kind.CHAT:
            return f"{url.scheme}://…"
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}" + ("/…" if url.path.strip("/") or url.query else "/")

    def pause(self, now: datetime, reason: str = "") -> None:
        """Tell it nothing more until somebody resumes it."""
        if self.paused_at is None:
            self.paused_at, self.pause_reason = now, reason
            self.save(update_fields=["paused_at", "pause_reason"])

    def resume(self) -> None:
        self.paused_at, self.pause_reason, self.failures, self.rests_until = None, "", 0, None
        self.save(update_fields=["paused_at", "pause_reason", "failures", "rests_until"])


class MessageQuerySet(models.QuerySet["Message"]):
    def pending(self) -> "MessageQuerySet":
        """Those that are neither delivered nor given up."""
        return self.filter(done_at=None)

    def due(self, now: datetime) -> "MessageQuerySet":
        """Those whose time has come to be sent, or to be tried again."""
        return self.pending().filter(next_attempt_at__lte=now)

    def unsent(self, now: datetime) -> "MessageQuerySet":
        """Those that nobody has begun to send, as their delay is not over."""
        return self.pending().filter(attempts=0, due_at__gt=now)

    def of_anomalies(self, ids: Iterable[uuid.UUID]) -> "MessageQuerySet":
        return self.filter(anomaly_id__in=list(ids))

    def give_up(self, now: datetime, reason: str) -> int:
        """Send no more of these, and say why."""
        return self.pending().update(done_at=now, given_up=reason, next_attempt_at=None)


class Message(models.Model):
    """One thing that one channel is told: written in the transaction of what it tells of, and sent until it arrives."""

    class Type(models.TextChoices):
        DETECTED = "anomaly.detected"
        WORSENED = "anomaly.worsened"
        UPDATED = "anomaly.updated"
        RESOLVED = "anomaly.resolved"
        STARTED = "session.started"
        ENDED = "session.ended"
        TEST = "webhook.test"

    # Drawn while the anomaly or session is held, so it is in the order of its life.
    id = models.BigAutoField(primary_key=True)
    key = models.UUIDField(unique=True, help_text="The `webhook-id`: the same at each attempt.")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="messages", db_index=False)
    # Both keys below are null in a test message.
    session = models.ForeignKey(Session, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    anomaly_id = models.UUIDField(null=True)
    type = models.CharField(max_length=30, choices=Type)
    payload = models.JSONField(help_text="As it was when it happened.")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True, help_text="When it was delivered, or given up.")
    given_up = models.CharField(max_length=MAX_TEXT, blank=True, default="", help_text="Why; empty: it was not.")

    objects = MessageQuerySet.as_manager()

    class Meta:
        db_table = "telling_messages"
        ordering = ["-id"]
        indexes = [
            # The next one that a sender takes.
            models.Index(
                fields=["channel", "next_attempt_at"], condition=models.Q(done_at=None), name="message_pending"
            ),
            # What came before it in the life of its anomaly.
            models.Index(fields=["anomaly_id", "channel", "id"], name="message_by_anomaly"),
            models.Index(fields=["channel", "id"], name="message_by_channel"),
            models.Index(fields=["session", "id"], name="message_by_session"),
            models.Index(fields=["done_at"], condition=models.Q(done_at__isnull=False), name="message_done"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.key}"

    def deliver(self, now: datetime) -> None:
        """Say that it has arrived, also where it was given up meanwhile."""
        Message.objects.filter(id=self.id).update(done_at=now, given_up="", next_attempt_at=None)

    @property
    def delivered_at(self) -> datetime | None:
        return None if self.given_up else self.done_at

    @property
    def given_up_at(self) -> datetime | None:
        return self.done_at if self.given_up else None


class Attempt(models.Model):
    """One attempt to deliver a message, and what came of it."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField(null=True, help_text="Null while it is under way, or broke off.")
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the answer.")
    error = models.CharField(max_length=500, blank=True, default="", help_text="In words; empty: it was delivered.")
    answer = models.TextField(blank=True, default="", help_text="How the answer began.")

    class Meta:
        db_table = "telling_attempts"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.status or self.error}"


class Platform(models.Model):
    """A platform that tells an event of its meetings by webhooks. `conductor.platforms` says what becomes of them."""

    class Kind(models.TextChoices):
        ZOOM = "zoom", "Zoom"
        BIG_BLUE_BUTTON = "bigbluebutton", "BigBlueButton"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="platforms")
    kind = models.CharField(max_length=20, choices=Kind)
    name = models.CharField(max_length=100, help_text="What this page calls it.")
    # As it is, since every signature is counted from it. Nobody is shown it again.
    secret = models.CharField(max_length=200, help_text="What the platform signs with.")
    pepper = models.CharField(max_length=64, editable=False, help_text="What pseudonyms of its people are made with.")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "platforms"
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_kind_display()})"

    @staticmethod
    def draw_pepper() -> str:
        return secrets.token_hex(SECRET_BYTES)


class Heard(models.Model):
    """How often a platform told of one kind of thing, and what became of it."""

    id = models.BigAutoField(primary_key=True)
    platform = models.ForeignKey(Platform, on_delete=models.CASCADE, related_name="heard", db_index=False)
    name = models.CharField(max_length=100, help_text="As the platform calls it.")
    used = models.BigIntegerField(default=0)
    ignored = models.BigIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        db_table = "platform_heard"
        ordering = ["-last_at", "name"]
        constraints = [models.UniqueConstraint(fields=["platform", "name"], name="unique_heard_of_platform")]

    def __str__(self) -> str:
        return f"{self.name} of {self.platform_id}"


class Connection(models.Model):
    """One connection of a person to a meeting that a platform tells of: who has two is away when both have ended."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="+", db_index=False)
    connection = models.CharField(max_length=30, help_text="A digest of the platform's id of it.")
    user = models.CharField(max_length=MAX_TEXT, help_text="The pseudonym of whose it is.")
    joined_at = models.DateTimeField(null=True)
    left_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "platform_connections"
        constraints = [models.UniqueConstraint(fields=["session", "connection"], name="unique_platform_connection")]
        indexes = [models.Index(fields=["session", "user"], name="connection_by_person")]

    def __str__(self) -> str:
        return f"connection to {self.session_id}"

    @property
    def is_open(self) -> bool:
        """Whether its newest join is newer than its newest leave, whichever was told first."""
        return self.joined_at is not None and (self.left_at is None or self.left_at < self.joined_at)
