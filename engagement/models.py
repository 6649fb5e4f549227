"""What is measured and for whom: events, their keys, live sessions, the engagement rows; and what was erased of it."""

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from timescale.db.models.fields import TimescaleDateTimeField

from engagement.limits import LATENESS_SECONDS, MAX_LATENESS_SECONDS, MAX_ORIGIN, MAX_RETENTION_DAYS, MAX_TEXT
from engagement.moments import read_moment
from engagement.readings import STORED, Reading, StoredReading
from engagement.visits import VisitState

M = TypeVar("M", bound=models.Model)


class StandingManager(models.Manager[M]):
    """Finds nothing that was erased, though its rows go one step after the other. `_base_manager` finds all."""

    def get_queryset(self) -> models.QuerySet[M]:
        return super().get_queryset().filter(erased_at=None)


def _retention(what: str) -> Any:
    return models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_RETENTION_DAYS)],
        help_text=f"Days to keep {what} after a session's end. Empty: for ever.",
    )


class Role(models.TextChoices):
    """What somebody may do in an event, each as much as those before it and more."""

    VIEWER = "viewer", "Viewer: reads every page, and changes nothing"
    ORGANIZER = "organizer", "Organizer: also does everything in sessions and with incidents"
    OWNER = "owner", "Owner: also decides who belongs to the event, and makes its keys"

    @property
    def meaning(self) -> str:
        return self.label.partition(": ")[2]

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    def covers(self, least: "Role") -> bool:
        """Tell whether this role is enough where `least` is asked for."""
        return self.rank >= least.rank

    @classmethod
    def at_least(cls, least: "Role") -> list["Role"]:
        return [role for role in cls if role.covers(least)]


class EventQuerySet(models.QuerySet["Event"]):
    def for_organizer(self, user: User | AnonymousUser, least: Role = Role.VIEWER) -> "EventQuerySet":
        """The events whose pages and sockets this user may see; or in which they have at least some other role."""
        if not user.is_active:
            return self.none()
        if user.is_superuser:
            return self
        return self.filter(memberships__user=user, memberships__role__in=Role.at_least(least))


class Event(models.Model):
    """A conference or a course: has organizers, API keys and sessions."""

    class Sensitivity(models.TextChoices):
        # Measured on 400 labelled sessions with which nothing was chosen; `docs/detector.md` gives the spread.
        CALM = "calm", "Calm: finds 17 of 20 incidents, about one false alarm in 60 hours"
        NORMAL = "normal", "Normal: finds 9 of 10 incidents, about one false alarm in 20 hours"
        SENSITIVE = "sensitive", "Sensitive: finds more of the slow declines, about one false alarm in 8 hours"

        @property
        def meaning(self) -> str:
            return self.label.partition(": ")[2]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=MAX_TEXT)
    # All who may see it, whatever their role.
    organizers = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="organized_events", through="Membership"
    )
    sensitivity = models.CharField(
        max_length=20,
        choices=Sensitivity,
        default=Sensitivity.NORMAL,
        help_text="How readily an incident opens. A change counts from the next rows on.",
    )
    raw_event_days = _retention("raw events, and with them pseudonyms,")
    row_days = _retention("engagement rows")
    anomaly_days = _retention("anomalies")
    created_at = models.DateTimeField(auto_now_add=True)
    erased_at = models.DateTimeField(null=True, editable=False)

    objects = StandingManager.from_queryset(EventQuerySet)()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def calmer(self) -> str:
        """The next calmer sensitivity; empty where there is none."""
        choices = self.Sensitivity.values
        return ["", *choices][choices.index(self.sensitivity)]

    def choose_sensitivity(self, chosen: str, instead_of: str = "") -> str:
        """Return what was chosen before; where that is not what this is to stand `instead_of`, it stays."""
        with transaction.atomic():
            row = Event.objects.select_for_update().filter(id=self.id)
            former: str = row.values_list("sensitivity", flat=True).get()
            self.sensitivity = chosen if instead_of in ("", former) else former
            self.save(update_fields=["sensitivity"])
        return former

    def role_of(self, user: User | AnonymousUser) -> Role | None:
        """Return what this user may do here, None: nothing. An administrator may do everything everywhere."""
        if not user.is_active:
            return None
        if user.is_superuser:
            return Role.OWNER
        role = self.memberships.filter(user_id=user.pk).values_list("role", flat=True).first()
        return None if role is None else Role(role)


class Membership(models.Model):
    """That somebody belongs to an event, and as what. `engagement.membership` says who changes it."""

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role, default=Role.ORGANIZER, db_default=Role.ORGANIZER)

    class Meta:
        db_table = "engagement_event_organizers"  # where it was before there were roles
        unique_together = [("event", "user")]
        ordering = ["id"]
        verbose_name = "member"

    def __str__(self) -> str:
        return f"{self.user}, {self.role} of {self.event}"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self, now: datetime) -> "InvitationQuerySet":
        """Those that somebody can still accept."""
        return self.filter(accepted_at=None, expires_at__gt=now, event__erased_at=None)


class Invitation(models.Model):
    """That whoever has its link may belong to an event, once and for a while. The link is signed and not stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=20, choices=Role)
    note = models.CharField(max_length=100, blank=True, help_text="For whom it is, in your words.")
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["expires_at"]

    def __str__(self) -> str:
        return f"{self.note or 'somebody'}, {self.role} of {self.event}"


class Preferences(models.Model):
    """How somebody wants to see times; empty: in their browser's zone, and 24 hours."""

    HOURS = [("24", "24 hours, as 14:05"), ("12", "12 hours, as 2:05 PM")]

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="preferences"
    )
    zone = models.CharField("time zone", max_length=100, blank=True)
    clock = models.CharField(max_length=2, blank=True, choices=HOURS)

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return f"preferences of {self.user}"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def valid(self) -> "ApiKeyQuerySet":
        """The keys that open something: nobody has revoked them, and their event is there."""
        return self.filter(revoked_at=None, event__erased_at=None)

    def of_secret(self, secret: str) -> "ApiKeyQuerySet":
        """The one key that this is the secret of, or none."""
        return self.filter(sha256=ApiKey.digest(secret))

    def issue(self, event: Event, name: str) -> tuple["ApiKey", str]:
        """Make a key; the second value is the key itself, which is stored nowhere and cannot be had again."""
        key = self.model(event=event, name=name)
        secret = key.draw_secret()
        key.save(force_insert=True)
        return key, secret


class Secret(models.Model):
    """What opens something. Only its SHA-256 is kept: 256 random bits need no slow hash."""

    MARK = ""  # how its text begins, so that people and scanners see what it is

    prefix = models.CharField(max_length=8, editable=False)
    sha256 = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    @staticmethod
    def digest(secret: str) -> bytes:
        return hashlib.sha256(secret.encode()).digest()

    def draw_secret(self) -> str:
        """Give this new one its secret and return it; only the digest stays."""
        secret = f"{self.MARK}{secrets.token_urlsafe(32)}"
        self.prefix, self.sha256 = secret[:8], self.digest(secret)
        return secret

    def revoke(self, now: datetime) -> None:
        if self.revoked_at is None:
            self.revoked_at = now
            self.save(update_fields=["revoked_at"])


class ApiKey(Secret):
    """A key that reaches one event's sessions."""

    MARK = "ec_"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, help_text="Who or what uses it, such as the name of your platform.")

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class SessionQuerySet(models.QuerySet["Session"]):
    def for_organizer(self, user: User | AnonymousUser) -> "SessionQuerySet":
        """The sessions whose pages and sockets this user may see."""
        if not user.is_active:
            return self.none()
        return self if user.is_superuser else self.filter(event__organizers=user)

    def quiet_since(self, at: datetime) -> "SessionQuerySet":
        """The live sessions of which nothing was judged since then, or nothing has happened."""
        return self.filter(models.Q(heard_at__lt=at) | models.Q(newest_event_at__lt=at), status=Session.Status.LIVE)


class Session(models.Model):
    """A live session that we listen to."""

    class Status(models.TextChoices):
        SCHEDULED = "scheduled"
        LIVE = "live"
        ENDED = "ended"

    class DetectorState(models.TextChoices):
        INSUFFICIENT_DATA = "INSUFFICIENT_DATA", "Getting to know this room"
        WATCHING = "WATCHING", "Watching"
        UNKNOWN = "UNKNOWN", "No data to trust"

    class Source(models.TextChoices):
        SIGNALS = "signals", "Rows that the platform computed"
        EVENTS = "events", "Raw events"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="sessions")
    title = models.CharField(max_length=MAX_TEXT)
    external_id = models.CharField(max_length=MAX_TEXT, null=True, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    breaks = models.JSONField(default=list, blank=True, help_text="Planned breaks: starts_at and ends_at of each.")
    lateness_seconds = models.PositiveSmallIntegerField(
        default=LATENESS_SECONDS, validators=[MinValueValidator(0), MaxValueValidator(MAX_LATENESS_SECONDS)]
    )
    status = models.CharField(max_length=20, choices=Status, default=Status.SCHEDULED, editable=False)
    detector_state = models.CharField(
        max_length=20, choices=DetectorState, default=DetectorState.INSUFFICIENT_DATA, editable=False
    )
    source = models.CharField(
        max_length=10, choices=Source, blank=True, default="", editable=False, help_text="What came first, and so all."
    )
    judged_until = models.DateTimeField(
        null=True, editable=False, help_text="The newest row that the detector has seen."
    )
    polling = models.JSONField(
        null=True, editable=False, help_text="What the next row must know of polls; null: of none that still counts."
    )
    heard_at = models.DateTimeField(null=True, editable=False, help_text="When the last new rows were judged.")
    # Of a session that is told of by raw events. `cursors` says who moves them, and under which lock.
    newest_event_at = models.DateTimeField(null=True, editable=False)
    closed_until = models.DateTimeField(null=True, editable=False, help_text="Where the newest closed window ends.")
    aggregated_until = models.DateTimeField(
        null=True, editable=False, help_text="Where the newest aggregated one does."
    )
    patience_seconds = models.FloatField(
        null=True, editable=False, help_text="How long the room's silence counts as silence; null: for ever."
    )
    ended_at = models.DateTimeField(null=True, editable=False)
    is_behind = models.BooleanField(
        default=False, editable=False, help_text="A sweep left some of what waits to one that goes behind all others."
    )
    # What an end leaves to do, the sweeps do after it.
    forgotten_until = models.DateTimeField(
        null=True, editable=False, help_text="How far the raw events of an ended session have forgotten who did them."
    )
    settled_at = models.DateTimeField(
        null=True, editable=False, help_text="When an ended session was judged to its end, and had forgotten everybody."
    )
    is_condensed = models.BooleanField(
        default=False, editable=False, help_text="All of a settled session is in buckets, or it is too short for them."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # Set with the status, so that who asks for live sessions need not ask for it; see `engagement.erasure`.
    erased_at = models.DateTimeField(null=True, editable=False)

    objects = StandingManager.from_queryset(SessionQuerySet)()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["event", "external_id"], name="unique_external_id_per_event"),
            models.CheckConstraint(
                condition=models.Q(status__in=["scheduled", "live", "ended"]), name="session_status_known"
            ),
        ]
        indexes = [
            # The tick reads the sessions that are live, or have ended and are not settled.
            models.Index(
                fields=["event"],  # what sweeps write stands in no index, so that a page of the table is all they touch
                condition=models.Q(settled_at=None) & ~models.Q(status="scheduled"),
                name="unsettled_by_event",
            ),
            # Who condenses reads the settled sessions that are not. Sweeps write neither column.
            models.Index(
                fields=["settled_at"],
                condition=models.Q(is_condensed=False, settled_at__isnull=False),
                name="uncondensed_by_end",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_ended(self) -> bool:
        return self.status == self.Status.ENDED

    @property
    def is_settling(self) -> bool:
        """Whether it has ended, and its last rows may still wait to be judged."""
        return self.is_ended and self.settled_at is None

    @property
    def has_closed_windows(self) -> bool:
        """Whether windows have closed that are not aggregated."""
        closed, done = self.closed_until, self.aggregated_until
        return closed is not None and (done is None or done < closed)

    @property
    def planned_breaks(self) -> list[tuple[datetime, datetime]]:
        """The planned breaks as pairs of moments."""
        return [(read_moment(b["starts_at"]), read_moment(b["ends_at"])) for b in self.breaks]


class PracticeRoom(models.Model):
    """A session into which a recording is played, row by row as if it happened now."""

    session = models.OneToOneField(Session, on_delete=models.CASCADE, primary_key=True, related_name="practice")
    plays_at = models.DateTimeField(help_text="Where the recording's beginning is, in the session's time.")
    played_until = models.DateTimeField(null=True, help_text="The newest row that was posted.")

    class Meta:
        db_table = "practice_rooms"

    def __str__(self) -> str:
        return f"practice in {self.session_id}"


class EngagementRowQuerySet(models.QuerySet["EngagementRow"]):
    def for_session(self, session: Session | uuid.UUID) -> "EngagementRowQuerySet":
        return self.filter(session_id=session.id if isinstance(session, Session) else session)

    def between(self, since: datetime | None, until: datetime | None) -> "EngagementRowQuerySet":
        """Rows with since <= timestamp < until; None leaves that side open."""
        rows = self if since is None else self.filter(timestamp__gte=since)
        return rows if until is None else rows.filter(timestamp__lt=until)


class EngagementRow(models.Model):
    """One measured row: a fact, written once. The natural key makes a repeated POST harmless."""

    pk = models.CompositePrimaryKey("session_id", "timestamp")
    # The key begins with session_id, so no index of its own.
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="rows", db_index=False)
    timestamp = TimescaleDateTimeField(interval="1 day")
    chat_msgs_per_min = models.FloatField(null=True)
    poll_participation = models.FloatField(null=True)
    active_users = models.IntegerField(null=True)
    total_users = models.IntegerField(null=True)
    reactions_per_min = models.FloatField(null=True)
    user_leave_rate = models.FloatField(null=True)
    chatters = models.IntegerField(null=True, help_text="People who wrote in the last 60 s.")
    hands_raised = models.IntegerField(null=True)
    mics_on = models.IntegerField(null=True)
    cameras_on = models.IntegerField(null=True)
    talk_share = models.FloatField(null=True, help_text="0..1: the part of the last 60 s in which anybody talked.")
    speakers = models.IntegerField(null=True, help_text="People who talked in the last 60 s.")
    questions_per_min = models.FloatField(null=True)
    question_votes_per_min = models.FloatField(null=True)
    chat_count = models.IntegerField(null=True, help_text="In the row's own 5 s; null where it was posted.")
    reaction_count = models.IntegerField(null=True)
    leave_count = models.IntegerField(null=True, help_text="Net of reconnects.")
    poll_age_seconds = models.FloatField(null=True, help_text="Of the newest open poll; null where it was posted.")
    engagement_score = models.FloatField(
        null=True, help_text="0..1; null where no signal says it. Judging has the last word on what a poll says in it."
    )
    late = models.BooleanField(default=False, help_text="Came after the detector had seen a newer row.")
    received_at = models.DateTimeField()

    objects = EngagementRowQuerySet.as_manager()

    class Meta:
        db_table = "engagement"
        ordering = ["timestamp"]
        indexes = [
            # Buckets are read together with what came late. A row that did not come late is in no second index.
            models.Index(fields=["session", "timestamp"], condition=models.Q(late=True), name="late_rows"),
        ]

    def __str__(self) -> str:
        return f"{self.session_id} {self.timestamp:%F %T}"

    @property
    def reading(self) -> Reading:
        return Reading(self.timestamp, **self._signals())

    @property
    def stored_reading(self) -> StoredReading:
        """The reading with its score, which need not be counted again."""
        return StoredReading(self.timestamp, **self._signals(), engagement_score=self.engagement_score)

    def _signals(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in STORED}


class Bucket(models.Model):
    """Half a minute of a long session: sums of the rows that the detector took, so that nothing can come in between."""

    pk = models.CompositePrimaryKey("session_id", "starts_at")
    # The key begins with session_id, so no index of its own.
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="buckets", db_index=False)
    starts_at = models.DateTimeField()
    rows = models.IntegerField()
    # Of each mean, what it is made of: the sum, and of how many rows.
    sum_engagement_score = models.FloatField(null=True)
    known_engagement_score = models.IntegerField(default=0)
    sum_chat_msgs_per_min = models.FloatField(null=True)
    known_chat_msgs_per_min = models.IntegerField(default=0)
    sum_poll_participation = models.FloatField(null=True)
    known_poll_participation = models.IntegerField(default=0)
    sum_active_users = models.FloatField(null=True)
    known_active_users = models.IntegerField(default=0)
    sum_total_users = models.FloatField(null=True)
    known_total_users = models.IntegerField(default=0)
    sum_reactions_per_min = models.FloatField(null=True)
    known_reactions_per_min = models.IntegerField(default=0)
    sum_user_leave_rate = models.FloatField(null=True)
    known_user_leave_rate = models.IntegerField(default=0)
    sum_chatters = models.FloatField(null=True)
    known_chatters = models.IntegerField(default=0)
    sum_hands_raised = models.FloatField(null=True)
    known_hands_raised = models.IntegerField(default=0)
    sum_mics_on = models.FloatField(null=True)
    known_mics_on = models.IntegerField(default=0)
    sum_cameras_on = models.FloatField(null=True)
    known_cameras_on = models.IntegerField(default=0)
    sum_talk_share = models.FloatField(null=True)
    known_talk_share = models.IntegerField(default=0)
    sum_speakers = models.FloatField(null=True)
    known_speakers = models.IntegerField(default=0)
    sum_questions_per_min = models.FloatField(null=True)
    known_questions_per_min = models.IntegerField(default=0)
    sum_question_votes_per_min = models.FloatField(null=True)
    known_question_votes_per_min = models.IntegerField(default=0)
    # Of the rows that have a score, which a chart draws.
    lowest = models.FloatField(null=True)
    highest = models.FloatField(null=True)
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "engagement_buckets"
        ordering = ["starts_at"]

    def __str__(self) -> str:
        return f"{self.session_id} {self.starts_at:%F %T}"


class RawEventRow(models.Model):
    """One raw event, as the platform told it: never a message's text."""

    id = models.BigAutoField(primary_key=True)
    # Both indexes below begin with session_id.
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="raw_events", db_index=False)
    timestamp = models.DateTimeField()
    type = models.CharField(max_length=20)
    user = models.CharField(
        max_length=MAX_TEXT, blank=True, default="", help_text="Opaque; empty where nobody is named."
    )
    key = models.CharField(max_length=MAX_TEXT, null=True, help_text="The platform's own id of the event.")
    poll = models.CharField(max_length=MAX_TEXT, blank=True, default="")
    late = models.BooleanField(default=False, help_text="Came after its window had closed, and changed no row.")
    received_at = models.DateTimeField()

    class Meta:
        db_table = "raw_events"
        constraints = [models.UniqueConstraint(fields=["session", "key"], name="unique_raw_event_key")]
        indexes = [
            # Aggregating reads what lies in the windows that have closed since.
            models.Index(fields=["session", "timestamp"], name="raw_event_by_time"),
            # Erasing a person reads what is theirs, under the lock of a session that goes on.
            models.Index(fields=["session", "user"], condition=~models.Q(user=""), name="raw_event_by_person"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.timestamp:%F %T}"


class RoomState(models.Model):
    """The counts of `engagement.room.Room` between two rows; written in one commit with the rows."""

    session = models.OneToOneField(Session, on_delete=models.CASCADE, primary_key=True, related_name="room")
    version = models.PositiveSmallIntegerField(help_text="A state of another version is rebuilt from the raw events.")
    state = models.JSONField()

    class Meta:
        db_table = "rooms"

    def __str__(self) -> str:
        return f"room of {self.session_id}"


class Presence(models.Model):
    """One person of one session, written when something of theirs changes; see `engagement.people.Person`."""

    pk = models.CompositePrimaryKey("session_id", "user")
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="people", db_index=False)
    user = models.CharField(max_length=MAX_TEXT)
    is_present = models.BooleanField()
    is_focused = models.BooleanField()
    left_at = models.DateTimeField(null=True)
    acted_at = models.DateTimeField(null=True)
    votes = ArrayField(models.IntegerField(), default=list)
    signs = models.CharField(
        max_length=30, blank=True, default="", db_default="", help_text="What of theirs is up or on, by its names."
    )
    chatted_at = models.DateTimeField(null=True)
    talked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "presence"

    def __str__(self) -> str:
        return f"one of {self.session_id}"


class BeaconTokenQuerySet(models.QuerySet["BeaconToken"]):
    def valid(self) -> "BeaconTokenQuerySet":
        """The tokens that work: nobody has revoked them, and their session is there."""
        return self.filter(revoked_at=None, session__erased_at=None, session__event__erased_at=None)

    def of_secret(self, secret: str) -> "BeaconTokenQuerySet":
        """The one token that this is, or none."""
        return self.filter(sha256=BeaconToken.digest(secret))

    def issue(self, session: Session, name: str, origins: Sequence[str]) -> tuple["BeaconToken", str]:
        """Make a token; the second value is the token itself, which is stored nowhere and cannot be had again."""
        token = self.model(session=session, name=name, origins=list(origins))
        secret = token.draw_secret()
        token.save(force_insert=True)
        return token, secret


class BeaconToken(Secret):
    """What a beacon writes with: into one session, from pages of some origins. It reads nothing."""

    MARK = "eb_"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="beacon_tokens")
    name = models.CharField(max_length=100, help_text="In which page it is, for your own list.")
    origins = ArrayField(models.CharField(max_length=MAX_ORIGIN), help_text="Of the pages that may use it.")

    objects = BeaconTokenQuerySet.as_manager()

    class Meta:
        db_table = "beacon_tokens"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Visitor(models.Model):
    """One tab with a beacon in it, as it said last; see `engagement.visits`."""

    pk = models.CompositePrimaryKey("session_id", "user")
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="visitors", db_index=False)
    user = models.CharField(max_length=MAX_TEXT, help_text="As its raw events name it.")
    state = models.CharField(max_length=10, choices=[(state.value, state.value) for state in VisitState])
    number = models.IntegerField(help_text="Of its newest report: an older one that comes later says nothing.")
    changed_at = models.DateTimeField(help_text="The moment of the newest raw event that says how it is.")
    # In no index, so that a heartbeat rewrites a row in its own page and touches nothing else.
    heard_at = models.DateTimeField()

    class Meta:
        db_table = "beacon_visitors"
        indexes = [
            # The tick looks for those who are here and were not heard.
            models.Index(fields=["session"], condition=~models.Q(state="left"), name="visitors_here"),
        ]

    def __str__(self) -> str:
        return f"one tab of {self.session_id}"


class UploadQuerySet(models.QuerySet["Upload"]):
    def for_organizer(self, user: User | AnonymousUser) -> "UploadQuerySet":
        """The uploads whose page this user may see."""
        return self.filter(event__in=Event.objects.for_organizer(user))

    def unfinished(self) -> "UploadQuerySet":
        """Those that wait to be read or for an answer, or are being read."""
        return self.filter(finished_at=None)

    def waiting(self) -> "UploadQuerySet":
        """Those of them that a reader can go on with."""
        return self.unfinished().exclude(status=Upload.Status.ASKED)


class Upload(models.Model):
    """A recording that came in as files: it waits, is read, and becomes a session or is refused.

    Its files are kept until it is finished, and itself for a day more. `engagement.uploads` says who changes it.
    """

    class Status(models.TextChoices):
        WAITING = "waiting"
        READING = "reading"
        ASKED = "asked"
        DONE = "done"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="uploads")
    title = models.CharField(max_length=MAX_TEXT)
    zone = models.CharField(max_length=100, help_text="That of times which name none.")
    date_order = models.CharField(max_length=20, blank=True, default="", help_text="Of 03/04, where somebody said it.")
    columns = models.JSONField(default=dict, help_text="What a table's columns hold, where somebody said it.")
    question = models.JSONField(default=dict, help_text="What only a person can say, until it is answered.")
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    file_names = ArrayField(models.TextField(), help_text="What messages call the files, until they are read.")
    size = models.BigIntegerField(help_text="Bytes of all its files.")
    uploaded_at = models.DateTimeField()
    status = models.CharField(max_length=20, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often somebody began to read it.")
    reading_at = models.DateTimeField(null=True, help_text="When somebody last did.")
    finished_at = models.DateTimeField(null=True)
    refused_field = models.CharField(max_length=20, blank=True, default="", help_text="Of the form.")
    refusal = models.TextField(blank=True, default="", help_text="Why it was refused, in words for people.")
    # No foreign key, as the session may be erased before this is forgotten.
    session_id = models.UUIDField(null=True, help_text="What became of it.")
    report = models.JSONField(default=dict, help_text="What was read, and what could not be used.")

    objects = UploadQuerySet.as_manager()

    class Meta:
        ordering = ["uploaded_at"]
        indexes = [
            # The next one to be read; few at any time.
            models.Index(fields=["uploaded_at"], condition=models.Q(finished_at=None), name="upload_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.status} upload {self.id}"


class UploadPart(models.Model):
    """A part of one file of an upload, of bounded size, so that nobody holds or sends a whole one at once."""

    id = models.BigAutoField(primary_key=True)
    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="parts", db_index=False)
    file = models.PositiveSmallIntegerField(help_text="Its place in `file_names`.")
    place = models.PositiveIntegerField(help_text="Of the part in its file.")
    content = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "file", "place"], name="unique_upload_part")]

    def __str__(self) -> str:
        return f"part {self.place} of file {self.file} of {self.upload_id}"


class ErasureQuerySet(models.QuerySet["Erasure"]):
    def unfinished(self) -> "ErasureQuerySet":
        return self.filter(finished_at=None)


class Erasure(models.Model):
    """That something was erased: it is gone for everybody when this is there, its rows when this is finished.

    `target` is no foreign key, as the fact outlives what it tells of.
    """

    class Kind(models.TextChoices):
        SESSION = "session", "A session"
        EVENT = "event", "An event"
        PERSON = "person", "A person of an event"
        RAW_EVENTS = "raw_events", "Raw events that a session kept for long enough"
        ROWS = "rows", "Rows that a session kept for long enough"
        ANOMALIES = "anomalies", "Anomalies that a session kept for long enough"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=Kind)
    target = models.UUIDField(help_text="The id of the session; that of the event, also where a person was erased.")
    user = models.CharField(
        max_length=MAX_TEXT, blank=True, default="", help_text="The person's pseudonym, until they are erased."
    )
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=MAX_TEXT, help_text="A login, a key, a command or the clock.")
    finished_at = models.DateTimeField(null=True)
    rows_erased = models.BigIntegerField(default=0, help_text="What was deleted, or lost a person's pseudonym.")
    done_until = models.UUIDField(null=True, help_text="Sessions up to this id know the person no more.")

    objects = ErasureQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at"]
        constraints = [
            # A person may come back, and be erased again.
            models.UniqueConstraint(fields=["target", "kind"], condition=~models.Q(kind="person"), name="erased_once"),
            models.CheckConstraint(
                condition=models.Q(finished_at=None) | models.Q(user=""), name="finished_erasure_knows_nobody"
            ),
        ]
        indexes = [
            models.Index(fields=["requested_at"], condition=models.Q(finished_at=None), name="erasure_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.target}"

    def advance(self, rows: int, finished_at: datetime | None) -> None:
        """Keep what one step did; the pseudonym goes with the last one."""
        self.rows_erased += rows
        if finished_at is not None:
            self.finished_at, self.user, self.done_until = finished_at, "", None
        self.save(update_fields=["rows_erased", "finished_at", "user", "done_until"])
