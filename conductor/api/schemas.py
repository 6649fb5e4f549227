"""What REST takes: every field, its bounds, its meaning."""

import re
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from anomalies.life import MAX_SNOOZE_MINUTES, Action, Tried
from anomalies.models import Anomaly
from conductor.models import MAX_TARGET
from conductor.sites import read_origin
from conductor.telling.channels import TYPES
from engagement.limits import (
    FIRST_YEAR,
    LAST_YEAR,
    LATENESS_SECONDS,
    MAX_ACTIVITIES,
    MAX_BATCH,
    MAX_BATCH_OF_MANY,
    MAX_BREAKS,
    MAX_LATENESS_SECONDS,
    MAX_ORIGIN,
    MAX_ORIGINS,
    MAX_TEXT,
)
from engagement.many import SessionName
from engagement.models import Session
from engagement.moments import is_rfc3339, read_moment
from engagement.readings import MEASURED, MOST, Reading, SignalKind
from engagement.room import EVENT_TYPES
from engagement.scoring import LEVELS
from engagement.signs import SWITCHES
from engagement.visits import Activity, Report, VisitState
from engagement.windows import RawEvent

NAMED_TYPES = ("join", "leave", "focus", "blur", *SWITCHES)  # these are of a person, or of nobody and so nothing
CLOCK_BOUNDS = f"Not before the year {FIRST_YEAR}, nor more than five minutes ahead of the server's clock."
EXAMPLE_AT = "2026-03-02T09:00:05Z"
EXAMPLE_ID = "6f1c2e3a-5b7d-4c8e-9f00-1a2b3c4d5e6f"

BUCKET = re.compile(r"(\d{1,4})([smhd])", re.ASCII)
BUCKET_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _read_moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and is_rfc3339(value):
        with suppress(ValueError):
            return read_moment(value)
    raise PydanticCustomError(
        "moment", "Input should be a date and time with an offset, such as {at}", {"at": EXAMPLE_AT}
    )


def _be_of_our_century(at: datetime) -> datetime:
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise PydanticCustomError("far_moment", f"Input should lie between the years {FIRST_YEAR} and {LAST_YEAR}")
    return at


def _read_whole(value: object) -> object:
    """JSON knows one kind of number: 50.0 is 50."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _be_storable(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul", "Input should not hold the character U+0000")
    if not text.strip():
        raise PydanticCustomError("blank", "Input should not be blank")
    return text


def _read_bucket(value: object) -> timedelta:
    if isinstance(value, str) and (found := BUCKET.fullmatch(value)):
        width = timedelta(**{BUCKET_UNITS[found[2]]: int(found[1])})
        if timedelta(seconds=1) <= width <= timedelta(days=1):
            return width
    raise PydanticCustomError("bucket", "Input should be a width from 1s to 1d, such as 30s, 5m or 1h")


Moment = Annotated[datetime, BeforeValidator(_read_moment)]
PlannedMoment = Annotated[Moment, AfterValidator(_be_of_our_century)]
Bucket = Annotated[
    timedelta,
    BeforeValidator(_read_bucket),
    WithJsonSchema({"type": "string", "pattern": f"^{BUCKET.pattern}$"}),
]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=MAX_TEXT), AfterValidator(_be_storable)]
PerMinute = Annotated[float, Field(strict=True, ge=0, le=MOST[SignalKind.RATE], allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=MOST[SignalKind.SHARE], allow_inf_nan=False)]
People = Annotated[int, BeforeValidator(_read_whole), Field(strict=True, ge=0, le=MOST[SignalKind.PEOPLE])]
Seconds = Annotated[int, BeforeValidator(_read_whole), Field(strict=True, ge=0, le=MAX_LATENESS_SECONDS)]
if TYPE_CHECKING:  # mypy does not compute a Literal
    AnomalyType: TypeAlias = str
    AnomalyStatus: TypeAlias = str
    Severity: TypeAlias = str
    SessionStatus: TypeAlias = str
    DetectorState: TypeAlias = str
    EventType: TypeAlias = str
    Level: TypeAlias = str
    ActionName: TypeAlias = str
    TriedName: TypeAlias = str
    WebhookType: TypeAlias = str
else:
    AnomalyType = Literal[*Anomaly.Type.values]
    AnomalyStatus = Literal[*Anomaly.Status.values]
    Severity = Literal[*Anomaly.Severity.values]
    SessionStatus = Literal[*Session.Status.values]
    DetectorState = Literal[*Session.DetectorState.values]
    EventType = Literal[*EVENT_TYPES]
    Level = Literal[*(name for name, _ in LEVELS)]
    ActionName = Literal[*map(str, Action)]
    TriedName = Literal[*map(str, Tried)]
    WebhookType = Literal[*TYPES]


class Taken(BaseModel):
    """A body of a request: what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid")


class Break(Taken):
    """A planned break; no incident opens in it."""

    starts_at: PlannedMoment = Field(description="When the break starts.")
    ends_at: PlannedMoment = Field(description="When it ends: after its start, not after the next one's.")


Breaks = Annotated[list[Break], Field(max_length=MAX_BREAKS, description="In time order, inside the session.")]


class NewSession(Taken):
    """A session to make."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Opening keynote",
                    "external_id": "room-1/keynote",
                    "starts_at": "2026-03-02T09:00:00Z",
                    "ends_at": "2026-03-02T10:30:00Z",
                    "breaks": [{"starts_at": "2026-03-02T09:45:00Z", "ends_at": "2026-03-02T09:55:00Z"}],
                }
            ]
        }
    )

    title: Text = Field(description="What the organizer sees.")
    external_id: Text | None = Field(
        None, description="Your own name of the session, unique in your event: the second POST finds the first's."
    )
    starts_at: PlannedMoment | None = Field(None, description="When it is planned to start.")
    ends_at: PlannedMoment | None = Field(
        None, description="When it is planned to end; from then on no incident opens. It does not end the session."
    )
    breaks: Breaks = []
    lateness_seconds: Seconds = Field(
        LATENESS_SECONDS, description="How long a raw event may be under way and still count."
    )


class SessionChanges(Taken):
    """What to change; what is absent stays. null clears `starts_at` and `ends_at`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ends_at": "2026-03-02T10:45:00Z"}]})

    title: Text = Field(default_factory=str, description="What the organizer sees.")
    starts_at: PlannedMoment | None = Field(None, description="When it is planned to start.")
    ends_at: PlannedMoment | None = Field(None, description="When it is planned to end.")
    breaks: Breaks = Field(default_factory=list)


class Signals(Taken):
    """One engagement row. A signal that is absent or null is unknown, never zero; one at least must be known."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "timestamp": EXAMPLE_AT,
                    "chat_msgs_per_min": 12,
                    "poll_participation": None,
                    "active_users": 180,
                    "total_users": 240,
                    "reactions_per_min": 6.5,
                    "user_leave_rate": 0.01,
                    "chatters": 9,
                    "hands_raised": 2,
                    "mics_on": 3,
                    "cameras_on": 41,
                    "talk_share": 0.85,
                    "speakers": 2,
                    "questions_per_min": 1,
                    "question_votes_per_min": 14,
                }
            ]
        }
    )

    timestamp: Moment | None = Field(
        None,
        description=f"When it was measured; default: now. {CLOCK_BOUNDS} It identifies the row: rows of a batch that "
        "leave it out are duplicates.",
    )
    chat_msgs_per_min: PerMinute | None = Field(None, description="Chat messages in the last 60 s.")
    poll_participation: Share | None = Field(
        None,
        description="Share of those who could vote that did; null when no poll is open. Counts beside what a poll "
        "of its age can have: as old as the unbroken run of rows with participation before.",
    )
    total_users: People | None = Field(None, description="People in the session.")
    active_users: People | None = Field(None, description="Those of them that are active; at most `total_users`.")
    reactions_per_min: PerMinute | None = Field(None, description="Reactions in the last 60 s.")
    user_leave_rate: Share | None = Field(None, description="Share of the audience that left in the last 60 s.")
    chatters: People | None = Field(None, description="People who wrote in the chat in the last 60 s.")
    hands_raised: People | None = Field(None, description="People whose hand is up.")
    mics_on: People | None = Field(None, description="People whose microphone is on.")
    cameras_on: People | None = Field(None, description="People whose camera is on.")
    talk_share: Share | None = Field(None, description="Part of the last 60 s in which anybody talked.")
    speakers: People | None = Field(None, description="People who talked in the last 60 s.")
    questions_per_min: PerMinute | None = Field(None, description="Questions asked in the last 60 s.")
    question_votes_per_min: PerMinute | None = Field(None, description="Votes for questions in the last 60 s.")

    @field_validator("active_users")
    @classmethod
    def _be_part_of_all(cls, active: int | None, info: ValidationInfo) -> int | None:
        total = info.data.get("total_users")  # declared before, so it is checked by now
        if active is not None and total is not None and active > total:
            raise PydanticCustomError("active_above_total", "Input should not be greater than total_users")
        return active

    def reading(self, now: datetime) -> Reading:
        """Return the row as a value; `now` stands in for a timestamp that was left out."""
        return Reading(self.timestamp or now, **{name: getattr(self, name) for name in MEASURED})


class RawEventBody(Taken):
    """A raw event: one thing that happened. No message's text is taken, let alone kept."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "chat", "timestamp": EXAMPLE_AT, "user": "u-17", "id": "m-4711"}]}
    )

    type: EventType = Field(
        description="For platforms that know it: `focus` and `blur` (the person's page came to the front, or went "
        "away), hands, microphones, cameras, who talks, and questions."
    )
    timestamp: Moment = Field(description=f"When it happened. {CLOCK_BOUNDS}")
    user: Text | None = Field(
        None,
        validate_default=True,
        description="Who did it: any opaque string, not a name. Needed for who comes, goes and looks, for hands, "
        "microphones, cameras and who talks; a message, reaction, question or vote without one counts as one by "
        "nobody.",
    )
    id: Text | None = Field(
        None, description="Your own id of the event, unique in the session: what is repeated counts once."
    )
    poll: Text | None = Field(None, description="Which poll; where it is left out, the newest that is open.")

    @field_validator("user")
    @classmethod
    def _be_named(cls, user: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("type")  # declared before, so it is checked by now
        if user is None and kind in NAMED_TYPES:
            raise PydanticCustomError("nobody", "A {kind} needs a user", {"kind": kind})
        return user

    def event(self) -> RawEvent:
        """Return it as a value."""
        return RawEvent(self.type, self.timestamp, self.user, self.id, self.poll)


RawEventBodies = Annotated[list[RawEventBody], Field(min_length=1, max_length=MAX_BATCH)]


class _Named(Taken):
    """What says which session an item is of: one of the two."""

    session_id: UUID | None = Field(None, description="The session's id; or `external_id`.")
    external_id: Text | None = Field(None, description="Your own name of the session; or `session_id`.")

    @model_validator(mode="after")
    def _name_one(self) -> Self:
        if (self.session_id is None) == (self.external_id is None):
            raise PydanticCustomError("unnamed", "Input should name its session by session_id or by external_id")
        return self

    @property
    def session_name(self) -> SessionName:
        return SessionName(self.session_id, self.external_id)


class NamedSignals(_Named, Signals):
    """One engagement row of a session that it names."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"session_id": EXAMPLE_ID, "timestamp": EXAMPLE_AT, "active_users": 180, "total_users": 240}]
        }
    )


class NamedRawEvent(_Named, RawEventBody):
    """A raw event of a session that it names."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"external_id": "room-1/keynote", "type": "chat", "timestamp": EXAMPLE_AT, "user": "u-17"}]
        }
    )


SignalsOfMany = Annotated[list[NamedSignals], Field(min_length=1, max_length=MAX_BATCH_OF_MANY)]
RawEventsOfMany = Annotated[list[NamedRawEvent], Field(min_length=1, max_length=MAX_BATCH_OF_MANY)]

# Where an error is, Pydantic says with the tag of the branch it took; these two are no names of fields.
OBJECT, ARRAY = "{}", "[]"
OneOrMany = Annotated[
    Annotated[Signals, Tag(OBJECT)] | Annotated[list[Signals], Field(min_length=1, max_length=MAX_BATCH), Tag(ARRAY)],
    Discriminator(
        lambda body: ARRAY if isinstance(body, list) else OBJECT if isinstance(body, dict) else None,
        custom_error_type="one_or_many",
        custom_error_message="Input should be an object or an array of objects",
    ),
]


PERSON = r"[A-Za-z0-9_-]{16,64}"
MAX_NUMBER = 2**31 - 1  # the column is an int4
MAX_SECONDS_AGO = 86_400
ACTIVITY_TYPES = ("chat", "reaction")
Number = Annotated[int, BeforeValidator(_read_whole), Field(strict=True, ge=0, le=MAX_NUMBER)]


class ReportedActivity(Taken):
    """A chat message, of which nothing but that it was is told, or a reaction."""

    number: Number = Field(description="Unique among those of this `person`: what is repeated counts once.")
    type: Literal[ACTIVITY_TYPES] = Field(description="What happened.")  # type: ignore[valid-type]
    seconds_ago: Annotated[float, Field(strict=True, ge=0, le=MAX_SECONDS_AGO, allow_inf_nan=False)] = Field(
        0.0, description="How long before it was sent. What is older than half a minute changes no row."
    )


class VisitReport(Taken):
    """What one tab says: how it is, and what was done in it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "person": "5d6f0c3a9b1e47d28c70aa41be9f3e12",
                    "number": 7,
                    "state": "focus",
                    "events": [{"number": 3, "type": "reaction", "seconds_ago": 0.4}],
                }
            ]
        }
    )

    person: Annotated[str, Field(strict=True, pattern=f"^{PERSON}$", max_length=64)] = Field(
        description="A random number that the tab has drawn, and that ends with it."
    )
    number: Number = Field(description="Of the report: one with a smaller number that comes later says nothing new.")
    state: Literal[*VisitState] = Field(  # type: ignore[valid-type]
        description="`focus`: the page is seen; `blur`: it is open and hidden; `here`: it is open, and its visitor "
        "wants no more to be known; `left`: it is closed."
    )
    events: Annotated[list[ReportedActivity], Field(max_length=MAX_ACTIVITIES)] = Field(
        default=[], validate_default=True, description="What was done since; none of one who is just `here`."
    )

    @field_validator("events")
    @classmethod
    def _be_silent(cls, events: list[ReportedActivity], info: ValidationInfo) -> list[ReportedActivity]:
        if events and info.data.get("state") == VisitState.HERE:  # declared before, so it is checked by now
            raise PydanticCustomError("private", "Input should be empty: of who is just here nothing else is told")
        return events

    def report(self) -> Report:
        """Return it as a value."""
        activities = [Activity(each.number, each.type, each.seconds_ago) for each in self.events]
        return Report(self.person, self.number, VisitState(self.state), activities)


def _be_an_origin(text: str) -> str:
    try:
        return read_origin(text)
    except ValueError as error:
        raise PydanticCustomError("origin", "Input {why}", {"why": str(error)}) from error


Origin = Annotated[str, Field(strict=True, min_length=1, max_length=MAX_ORIGIN), AfterValidator(_be_an_origin)]


class BeaconTokenWish(Taken):
    """A token to make for the beacon of a page."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Player", "origins": ["https://player.example.org"]}]}
    )

    name: Text = Field(max_length=100, description="In which page it is, for your own list.")
    origins: Annotated[list[Origin], Field(min_length=1, max_length=MAX_ORIGINS)] = Field(
        description="Of the pages that may use it: scheme, host and port."
    )


class PageQuery(BaseModel):
    cursor: str | None = Field(None, description="Where the page starts: take it from `next`.")


class SpanQuery(PageQuery):
    since: Moment | None = Field(None, description="Not before this moment. An offset's `+` is written `%2B`.")
    until: Moment | None = Field(None, description="Before this moment.")


class EngagementQuery(SpanQuery):
    bucket: Bucket | None = Field(
        None, description="Answer means over buckets of this width (`1s` to `1d`) instead of rows.", examples=["30s"]
    )


class AnomalyQuery(SpanQuery):
    severity: Severity | None = Field(None, description="Only of this severity.")
    anomaly_type: AnomalyType | None = Field(None, description="Only of this type.")


class AnomalyOfEventQuery(AnomalyQuery):
    status: AnomalyStatus | None = Field(None, description="Only those that stand there.")


class IncidentAction(Taken):
    """What somebody does with an incident."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"action": "acknowledge", "by": "Stage manager"}]})

    action: ActionName = Field(
        description="`acknowledge`: somebody is on it; `snooze`: quiet for so many `minutes`, or until the next "
        "planned break, unless it gets worse; `confirm`: it was real; `dismiss`: it was a false alarm; `tried`: "
        "something was done about it; `note`; `undo`: take the latest action back; `reopen`: as if nobody had "
        "acknowledged, snoozed or dismissed it."
    )
    by: Text | None = Field(None, description="Who does it, as people read it; else the name of the key.")
    note: Text | None = Field(None, validate_default=True, description="In words; kept with the action.")
    minutes: Annotated[int, BeforeValidator(_read_whole), Field(strict=True, ge=1, le=MAX_SNOOZE_MINUTES)] | None = (
        Field(None, description="Of a `snooze`.")
    )
    tried: TriedName | None = Field(None, validate_default=True, description="Of `tried`: what was done.")

    @field_validator("minutes", "tried")
    @classmethod
    def _belong(cls, value: object, info: ValidationInfo) -> object:
        action = Action.SNOOZE if info.field_name == "minutes" else Action.TRIED
        if value is not None and info.data.get("action", action) != action:
            raise PydanticCustomError("elsewhere", "Input belongs to the action {action}", {"action": str(action)})
        return value

    @field_validator("note", "tried")
    @classmethod
    def _be_told(cls, value: object, info: ValidationInfo) -> object:
        if value is None and info.data.get("action") == info.field_name:
            raise PydanticCustomError("untold", "Input should be there: it is what the action is about")
        return value


Url = Annotated[str, Field(strict=True, min_length=1, max_length=MAX_TARGET), AfterValidator(_be_storable)]


class WebhookWish(Taken):
    """A webhook to make."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://hooks.example.org/engagement",
                    "name": "Stage display",
                    "types": ["anomaly.detected", "anomaly.resolved"],
                    "least_severity": "CRITICAL",
                }
            ]
        }
    )

    url: Url = Field(description="Where to post: http or https, an address of the public internet, without a login.")
    name: Text | None = Field(None, description="What people see; else where it leads.")
    types: Annotated[list[WebhookType], Field(max_length=len(TYPES))] | None = Field(
        None, description="What it is told; absent or empty: everything."
    )
    least_severity: Severity = Field(
        Anomaly.Severity.WARNING.value, description="Incidents below it are not told, until they get worse."
    )
