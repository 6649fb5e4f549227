"""What was judged: what each session's detector remembers, and the anomalies, one for each incident."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models, transaction
from timescale.db.models.fields import TimescaleDateTimeField

from engagement.models import Event, Session


class DetectorMemory(models.Model):
    """All that a session's detector remembers; written in one commit with the anomalies it led to."""

    session = models.OneToOneField(Session, on_delete=models.CASCADE, primary_key=True, related_name="detector")
    version = models.PositiveSmallIntegerField(help_text="A state of another version is rebuilt from the rows.")
    state = models.BinaryField(max_length=5 * 1024)
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "detector_memory"

    def __str__(self) -> str:
        return f"detector of {self.session_id}"


class InvalidTransition(Exception):
    """The anomaly is not in a status from which it can go there."""


class AnomalyQuerySet(models.QuerySet["Anomaly"]):
    def for_session(self, session: Session | uuid.UUID) -> "AnomalyQuerySet":
        return self.filter(session_id=session.id if isinstance(session, Session) else session)

    def for_event(self, event: Event | uuid.UUID) -> "AnomalyQuerySet":
        """Those of its sessions that were not erased: the anomalies themselves go a little later."""
        return self.filter(event_id=event.id if isinstance(event, Event) else event, session__erased_at=None)

    def unresolved(self) -> "AnomalyQuerySet":
        """Incidents that go on, whatever a person said of them."""
        return self.filter(resolved_at=None)

    def open(self) -> "AnomalyQuerySet":
        """Incidents that go on and that nobody called a false alarm: what a banner shows."""
        return self.unresolved().exclude(status=Anomaly.Status.DISMISSED)


class Anomaly(models.Model):
    """One incident: it opens, may rise in severity or change to a more urgent type, and is resolved.

    For Django the key is `id`; in the database it is (id, timestamp), as a hypertable needs.
    `review` is what a person thought of it, `status` where it stands.
    """

    class Type(models.TextChoices):
        MASS_EXIT = "MASS_EXIT", "Mass exit"
        LOW_ENGAGEMENT = "LOW_ENGAGEMENT", "Low engagement"
        SUDDEN_DROP = "SUDDEN_DROP", "Sudden drop"
        GRADUAL_DECLINE = "GRADUAL_DECLINE", "Gradual decline"

    class Severity(models.TextChoices):
        WARNING = "WARNING", "Warning"
        CRITICAL = "CRITICAL", "Critical"

    class Status(models.TextChoices):
        OPEN = "open"
        ACKNOWLEDGED = "acknowledged"
        RESOLVED = "resolved"
        DISMISSED = "dismissed"

    class Review(models.TextChoices):
        UNREVIEWED = "", "Not reviewed"
        CONFIRMED = "confirmed", "Confirmed"
        FALSE_ALARM = "false_alarm", "False alarm"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="anomalies", db_index=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="anomalies", db_index=False)
    timestamp = TimescaleDateTimeField(interval="30 days", help_text="The row that showed it.")
    anomaly_type = models.CharField(max_length=50, choices=Type)
    severity = models.CharField(max_length=20, choices=Severity)
    anomaly_score = models.FloatField(help_text="0..1: 0.7 × half-space trees + 0.3 × z-score, at its highest.")
    current_engagement = models.FloatField(null=True)
    expected_engagement = models.FloatField(null=True)
    deviation = models.FloatField(null=True, help_text="(expected − current) / expected.")
    signals = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    description = models.TextField(default="")
    status = models.CharField(max_length=20, choices=Status, default=Status.OPEN)
    resolved_at = models.DateTimeField(null=True, blank=True)
    review = models.CharField(max_length=20, choices=Review, default=Review.UNREVIEWED, blank=True)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(default="", blank=True)

    objects = AnomalyQuerySet.as_manager()

    class Meta:
        db_table = "anomalies"
        ordering = ["-timestamp"]
        verbose_name_plural = "anomalies"
        indexes = [
            models.Index(fields=["session", "timestamp"], name="idx_anomaly_session"),
            models.Index(fields=["severity", "timestamp"], name="idx_anomaly_severity"),
            # The database looks here when an event is deleted.
            models.Index(fields=["event", "timestamp"], name="idx_anomaly_event"),
            # What goes on now: looked up at every sweep and on every page.
            models.Index(fields=["session"], condition=models.Q(resolved_at=None), name="idx_anomaly_unresolved"),
        ]

    def __str__(self) -> str:
        return f"{self.get_anomaly_type_display()} at {self.timestamp:%F %T}"

    @property
    def is_resolved(self) -> bool:
        return self.resolved_at is not None

    @property
    def duration(self) -> timedelta | None:
        """How long the incident lasted, None while it goes on."""
        return None if self.resolved_at is None else self.resolved_at - self.timestamp

    def acknowledge(self, by: User, now: datetime) -> None:
        """Say that somebody is on it. Raises `InvalidTransition` unless the incident is open."""
        with self._reviewing(by, now, "status"):
            if self.status != self.Status.OPEN:
                raise InvalidTransition(f"an anomaly that is {self.status} cannot be acknowledged")
            self.status = self.Status.ACKNOWLEDGED

    def confirm(self, by: User, now: datetime) -> None:
        """Say that it was a real incident. A dismissed one comes back to where its life had brought it."""
        with self._reviewing(by, now, "review", "status"):
            self.review = self.Review.CONFIRMED
            if self.status == self.Status.DISMISSED:
                self.status = self.Status.RESOLVED if self.is_resolved else self.Status.ACKNOWLEDGED

    def dismiss(self, by: User, now: datetime) -> None:
        """Say that it was a false alarm; its banner goes, the fact stays."""
        with self._reviewing(by, now, "review", "status"):
            self.review = self.Review.FALSE_ALARM
            self.status = self.Status.DISMISSED

    def annotate(self, note: str, by: User, now: datetime) -> None:
        """Keep a reviewer's note."""
        with self._reviewing(by, now, "note"):
            self.note = note

    @contextmanager
    def _reviewing(self, by: User, now: datetime, *fields: str) -> Iterator[None]:
        """Hold the row as it is now, which the sweep may have moved since it was read, and save what changes."""
        with transaction.atomic():
            row = Anomaly.objects.select_for_update(of=("self",)).filter(id=self.id, timestamp=self.timestamp)
            self.status, self.resolved_at = row.values_list("status", "resolved_at").get()
            yield
            self.reviewed_by, self.reviewed_at = by, now
            self.save(update_fields=[*fields, "reviewed_by", "reviewed_at"])
