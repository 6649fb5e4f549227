"""What REST answers: every field and its meaning. The values themselves are made in `payloads`."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from conductor.api.schemas import (
    ActionName,
    AnomalyStatus,
    AnomalyType,
    Break,
    DetectorState,
    Level,
    Moment,
    SessionStatus,
    Severity,
    TriedName,
    WebhookType,
)


class Session(BaseModel):
    """A live session."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    event_id: UUID
    title: str
    external_id: str | None
    status: SessionStatus = Field(description="`scheduled` until the first row, then `live`.")
    detector_state: DetectorState = Field(
        description="`INSUFFICIENT_DATA`: too few rows to judge; `UNKNOWN`: rows have stopped, or cannot be trusted."
    )
    starts_at: Moment | None
    ends_at: Moment | None
    breaks: list[Break]
    lateness_seconds: int
    url: str = Field(description="The dashboard.")


class Recorded(BaseModel):
    """What became of a batch; it is taken whole or not at all."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"accepted": 3, "duplicates": 0, "late": 0}]}
    )

    accepted: int = Field(description="Rows stored now, the late ones among them.")
    duplicates: int = Field(description="Rows that were there already; they changed nothing.")
    late: int = Field(
        description="Those of the accepted that are older than one the detector has seen: on the chart, not judged."
    )


class RecordedEvents(BaseModel):
    """What became of a batch of raw events; it is taken whole or not at all."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"accepted": 3, "duplicates": 0, "late": 0}]}
    )

    accepted: int = Field(description="Events stored now, the late ones among them.")
    duplicates: int = Field(description="Events whose id was there already; they changed nothing.")
    late: int = Field(description="Those of the accepted that came after their window had closed: they change no row.")


class EngagementRow(BaseModel):
    """One engagement row and its score; null where unknown."""

    model_config = ConfigDict(extra="forbid")

    timestamp: Moment
    engagement_score: float | None = Field(
        ge=0, le=1, description="Final as soon as the row is judged: before, polls count in it as if they were old."
    )
    level: Level | None
    late: bool = Field(description="Came after the detector had seen a newer row, and was not judged.")
    chat_msgs_per_min: float | None
    poll_participation: float | None
    active_users: int | None
    total_users: int | None
    reactions_per_min: float | None
    user_leave_rate: float | None
    chatters: int | None = Field(description="People who wrote in the last 60 s.")
    hands_raised: int | None
    mics_on: int | None
    cameras_on: int | None
    talk_share: float | None = Field(description="Part of the last 60 s in which anybody talked.")
    speakers: int | None = Field(description="People who talked in the last 60 s.")
    questions_per_min: float | None
    question_votes_per_min: float | None


class EngagementBucket(EngagementRow):
    """The means of the rows of one bucket, each over the rows that know the signal."""

    model_config = ConfigDict(extra="forbid")

    timestamp: Moment = Field(description="When the bucket starts. Buckets without rows are left out.")
    late: bool = Field(description="Whether any of its rows was late.")
    active_users: float | None  # type: ignore[assignment]  # the mean of whole numbers is none
    total_users: float | None  # type: ignore[assignment]
    chatters: float | None  # type: ignore[assignment]
    hands_raised: float | None  # type: ignore[assignment]
    mics_on: float | None  # type: ignore[assignment]
    cameras_on: float | None  # type: ignore[assignment]
    speakers: float | None  # type: ignore[assignment]
    rows: int = Field(description="How many rows it holds.")


class IncidentAction(BaseModel):
    """One thing that a person did with an incident."""

    model_config = ConfigDict(extra="forbid")

    at: Moment
    by: str = Field(description="A name, as it was then.")
    action: ActionName
    note: str | None
    tried: TriedName | None = Field(description="What was done to win the audience back.")
    is_undone: bool


class Anomaly(BaseModel):
    """One incident: it opens, may rise in severity or change to a more urgent type, and is resolved."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    session_id: UUID
    event_id: UUID
    timestamp: Moment = Field(description="The row that showed it.")
    anomaly_type: AnomalyType
    severity: Severity
    anomaly_score: float = Field(ge=0, le=1)
    current_engagement: float | None
    expected_engagement: float | None
    deviation: float | None = Field(description="(expected - current) / expected.")
    signals: dict[str, object] = Field(description="The row that showed it.")
    metadata: dict[str, object] = Field(
        description="The evidence: `hst_score`, `z_score`, what each signal did, the changes of the incident's life."
    )
    resolved_at: Moment | None
    status: AnomalyStatus
    description: str = Field(description="What happened, in one sentence.")
    acknowledged_at: Moment | None
    acknowledged_by: str | None = Field(description="Who is on it: a name, as it was then.")
    snoozed_until: Moment | None = Field(description="Quiet until then, unless it gets worse.")
    verdict: Literal["real", "false_alarm"] | None = Field(description="What a person found it to be.")
    actions: list[IncidentAction] = Field(description="What people did with it, oldest first.")


class Reached(BaseModel):
    """The mean of one minute."""

    model_config = ConfigDict(extra="forbid")

    value: float
    at: Moment = Field(description="When the minute began.")


class Move(BaseModel):
    """A moment at which the audience moved: mean scores of the three minutes before it and after."""

    model_config = ConfigDict(extra="forbid")

    at: Moment
    before: float
    after: float
    change: float


class Report(BaseModel):
    """How a session went, of the means of its minutes."""

    model_config = ConfigDict(extra="forbid")

    session: Session
    began_at: Moment | None = Field(description="When its first minute began.")
    seconds: float = Field(description="From then to the end of its last minute.")
    minutes: int = Field(description="In which there was a score.")
    mean_score: float | None = Field(description="Of all these minutes, each counting alike.")
    peak: Reached | None
    lowest: Reached | None
    mean_people: float | None
    most_people: Reached | None
    moves: list[Move] = Field(description="The largest three up and down, in the order of time.")
    incidents: list[Anomaly] = Field(description="Oldest first.")
    engagement: list[EngagementBucket] = Field(description="The minutes, as `bucket=1m` gives them.")


class Erasure(BaseModel):
    """That something was erased. It is gone for everybody; its rows go in the background."""

    model_config = ConfigDict(extra="forbid")

    id: UUID = Field(description="By which an administrator finds it.")
    kind: Literal["session", "person"]
    requested_at: Moment


class BeaconToken(BaseModel):
    """What a page's beacon writes with, into one session."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    session_id: UUID
    name: str
    origins: list[str] = Field(description="Of the pages that may use it.")
    created_at: Moment


class NewBeaconToken(BeaconToken):
    """A token that was made just now."""

    token: str = Field(description="Shown here and nowhere else; whoever opens your page can read it there.")


class BeaconTokenList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    items: list[BeaconToken]


class Webhook(BaseModel):
    """Where the event's incidents are posted."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    event_id: UUID
    url: str
    name: str
    types: list[WebhookType] = Field(description="What it is told; empty: everything.")
    least_severity: Severity
    created_at: Moment
    paused_at: Moment | None = Field(description="Since when it is told nothing.")
    pause_reason: str | None = Field(description="Why, where no person paused it.")


class NewWebhook(Webhook):
    """A webhook that was made just now."""

    secret: str = Field(description="What its messages are signed with: shown here and nowhere else.")


class WebhookList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    items: list[Webhook]


class DeliveryAttempt(BaseModel):
    """One attempt, and what came of it."""

    model_config = ConfigDict(extra="forbid")

    at: Moment
    milliseconds: int | None = Field(description="Null while it is under way, or where it broke off.")
    status: int | None = Field(description="Of the answer.")
    error: str | None = Field(description="In words; null: it was delivered, or is under way.")
    answer: str | None = Field(description="How the answer began.")


class Delivery(BaseModel):
    """One message, and every attempt to deliver it."""

    model_config = ConfigDict(extra="forbid")

    id: UUID = Field(description="Its `webhook-id`, the same at each attempt.")
    type: WebhookType | Literal["webhook.test"]
    session_id: UUID | None
    anomaly_id: UUID | None
    created_at: Moment
    delivered_at: Moment | None
    given_up_at: Moment | None
    given_up: str | None = Field(description="Why no further attempt is made.")
    next_attempt_at: Moment | None
    attempts: list[DeliveryAttempt] = Field(description="Oldest first.")


class _Page(BaseModel):
    model_config = ConfigDict(extra="forbid")

    next: str | None = Field(description="The whole address of the next page; null on the last.")


class SessionPage(_Page):
    items: list[Session]


class EngagementPage(_Page):
    items: list[EngagementRow] | list[EngagementBucket]


class AnomalyPage(_Page):
    items: list[Anomaly]


class DeliveryPage(_Page):
    items: list[Delivery]


class ProblemError(BaseModel):
    """One thing that is wrong."""

    detail: str
    pointer: str | None = Field(
        None, description="Where in the body: a JSON Pointer (RFC 6901), such as `/0/active_users`."
    )
    parameter: str | None = Field(None, description="Or which parameter of the query.")


class Problem(BaseModel):
    """Every error answers with one of these (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "1 value cannot be taken; nothing was stored.",
                    "errors": [
                        {"pointer": "/0/chat_msgs_per_min", "detail": "Input should be greater than or equal to 0"}
                    ],
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemError] | None = None
