"""What was judged: what each session's detector remembers, and the anomalies, one for each incident."""

import uuid
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models, transaction
from timescale.db.models.fields import TimescaleDateTimeField

from anomalies import life
from anomalies.life import Act, Action, InvalidTransition, Standing, Verdict
from engagement.models import Event, Session
from engagement.moments import read_moment

# Steps of the detector that end the quiet somebody asked for: by name, as who only reads anomalies loads no NumPy.
WORSE = ("worsened", "retyped")


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


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something with an incident: a name to show, and the account where there is one."""

    name: str
    user: User | None = None

    @classmethod
    def of(cls, user: User) -> "Actor":
        return cls(user.get_username(), user)


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

    def with_actions(self) -> "AnomalyQuerySet":
        """With what people did, in one query for all of them."""
        return self.prefetch_related("actions")


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
        UNREVIEWED = Verdict.NONE.value, "Not reviewed"
        CONFIRMED = Verdict.CONFIRMED.value, "Confirmed"
        FALSE_ALARM = Verdict.FALSE_ALARM.value, "False alarm"

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
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(
        max_length=200, default="", db_default="", blank=True, help_text="A name, as it was then."
    )
    snoozed_until = models.DateTimeField(null=True, blank=True, help_text="Quiet until then, unless it gets worse.")

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

    @property
    def standing(self) -> Standing:
        """What people have said of it so far."""
        return Standing(self.review, self.acknowledged_at, self.acknowledged_by, self.snoozed_until, self.note)

    def is_snoozed(self, now: datetime) -> bool:
        return self.snoozed_until is not None and now < self.snoozed_until

    def is_quiet(self, now: datetime) -> bool:
        """Whether somebody is on it or asked for quiet, and it has not got worse since."""
        return self.is_snoozed(now) or (self.acknowledged_at is not None and not self._worsened_since())

    def _worsened_since(self) -> bool:
        at = self.acknowledged_at
        worse = [each for each in self.metadata.get("history", ()) if each["change"] in WORSE]
        return at is not None and any(read_moment(each["at"]) > at for each in worse)

    @property
    def standing_actions(self) -> list["AnomalyAction"]:
        """What people did and nobody took back, oldest first."""
        return [each for each in self.actions.all() if each.undone_at is None and each.action != Action.UNDO]

    @property
    def latest_action(self) -> "AnomalyAction | None":
        """What an undo would take back."""
        return next(reversed(self.standing_actions), None)

    def acknowledge(self, by: Actor, now: datetime, note: str = "") -> None:
        """Say that somebody is on it. Raises `InvalidTransition` unless the incident is open."""
        self._act(Act(Action.ACKNOWLEDGE, by.name, now, note=note), by)

    def snooze(self, until: datetime, by: Actor, now: datetime, note: str = "") -> None:
        """Be quiet of it until then. Raises `InvalidTransition` where it is over or dismissed."""
        self._act(Act(Action.SNOOZE, by.name, now, snoozed_until=until, note=note), by)

    def confirm(self, by: Actor, now: datetime, note: str = "") -> None:
        """Say that it was a real incident. A dismissed one comes back to where its life had brought it."""
        self._act(Act(Action.CONFIRM, by.name, now, note=note), by)

    def dismiss(self, by: Actor, now: datetime, note: str = "") -> None:
        """Say that it was a false alarm; its banner goes, the fact stays."""
        self._act(Act(Action.DISMISS, by.name, now, note=note), by)

    def annotate(self, note: str, by: Actor, now: datetime) -> None:
        """Keep a reviewer's note."""
        self._act(Act(Action.NOTE, by.name, now, note=note), by)

    def tell_tried(self, tried: str, by: Actor, now: datetime, note: str = "") -> None:
        """Say what was done to win the audience back. Raises `InvalidTransition` where it is over or dismissed."""
        self._act(Act(Action.TRIED, by.name, now, tried=tried, note=note), by)

    def reopen(self, by: Actor, now: datetime, note: str = "") -> None:
        """Forget that it was acknowledged, snoozed or dismissed. Raises `InvalidTransition` where it was not."""
        self._act(Act(Action.REOPEN, by.name, now, note=note), by)

    def undo(self, by: Actor, now: datetime, latest: int | None = None, note: str = "") -> None:
        """Take the latest action back; `latest` is the one that is meant, where somebody chose it.

        Raises `InvalidTransition` where there is none, or somebody else was faster.
        """
        with transaction.atomic():
            self._lock()
            undone = AnomalyAction.objects.filter(anomaly=self, undone_at=None).exclude(action=Action.UNDO).last()
            if undone is None:
                raise InvalidTransition("there is nothing to undo")
            if latest is not None and undone.id != latest:
                raise InvalidTransition("somebody has done something else since")
            AnomalyAction.objects.filter(id=undone.id).update(undone_at=now)
            before = self.standing
            self._stand(before, life.take_back(before, undone.old), Act(Action.UNDO, by.name, now, note=note), by)

    def _act(self, act: Act, by: Actor) -> None:
        with transaction.atomic():
            self._lock()
            before = self.standing
            self._stand(before, life.move(before, act, self.is_resolved), act, by)

    def _lock(self) -> None:
        """Hold the row as it is now, which the sweep or another person may have moved since it was read."""
        row = Anomaly.objects.select_for_update(of=("self",)).get(id=self.id, timestamp=self.timestamp)
        for name in (*asdict(row.standing), "status", "resolved_at"):
            setattr(self, name, getattr(row, name))

    def _stand(self, before: Standing, after: Standing, act: Act, by: Actor) -> None:
        """Write how it stands from here on, and who did what."""
        moved = {
            **asdict(after),
            "status": after.status(self.is_resolved),
            "reviewed_by": by.user,
            "reviewed_at": act.at,
        }
        for name, value in moved.items():
            setattr(self, name, value)
        self.save(update_fields=list(moved))
        old, new = life.difference(before, after)
        AnomalyAction.objects.create(
            anomaly=self, session_id=self.session_id, at=act.at, by=act.by, user=by.user,
            action=act.action, tried=act.tried, note=act.note, old=old, new=new,
        )  # fmt: skip


class AnomalyAction(models.Model):
    """One thing that a person did with an incident: who, when, what, and what it changed."""

    # An anomaly's key has its timestamp in it, as a hypertable needs, so the database knows no reference to its id.
    anomaly = models.ForeignKey(
        Anomaly, on_delete=models.CASCADE, related_name="actions", db_constraint=False, db_index=False
    )
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    by = models.CharField(max_length=200, help_text="A name, as it was then.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    action = models.CharField(max_length=20, choices=[(each.value, each.value.capitalize()) for each in Action])
    tried = models.CharField(max_length=20, default="", blank=True)
    note = models.TextField(default="", blank=True)
    old = models.JSONField(default=dict)
    new = models.JSONField(default=dict)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "anomaly_actions"
        ordering = ["id"]
        indexes = [
            models.Index(fields=["anomaly", "id"], name="idx_anomaly_action"),
            models.Index(fields=["session", "at", "id"], name="idx_anomaly_action_session"),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.by}"
