"""CloudEvents 1.0 as a JSON batch: raw events in the envelope that event buses write."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from conductor.api.problems import Problem, wrong_values
from conductor.api.schemas import NAMED_TYPES, EventType, Moment, Taken, Text
from engagement.limits import MAX_BATCH, MAX_BATCH_OF_MANY, MAX_TEXT

BATCH = "application/cloudevents-batch+json"


def read_type(text: object) -> object:
    """Return which raw event a type names: all of it, or what stands behind its last dot.

    >>> read_type("org.example.live.chat"), read_type("chat"), read_type(7)
    ('chat', 'chat', 7)
    """
    return text.rpartition(".")[2] if isinstance(text, str) else text


def make_id(source: str, id: str) -> str:
    """Return the id of an event: in CloudEvents one is unique with its source only."""
    return f"{source} {id}"


class _Data(Taken):
    user: Text | None = None
    poll: Text | None = None


class _NamedData(_Data):
    session_id: UUID | None = None
    external_id: Text | None = None

    @model_validator(mode="after")
    def _name_one(self) -> Self:
        if (self.session_id is None) == (self.external_id is None):
            raise PydanticCustomError("unnamed", "Input should name its session by session_id or by external_id")
        return self


class _CloudEvent(BaseModel):
    """What is looked at of one; attributes of others are let be, as the specification has it."""

    model_config = ConfigDict(extra="ignore")

    specversion: Literal["1.0"]
    id: Text
    source: Text
    type: Annotated[EventType, BeforeValidator(read_type)]
    time: Moment
    datacontenttype: Literal["application/json"] | None = None
    data_base64: None = None
    data: _Data | None = None

    @model_validator(mode="after")
    def _be_whole(self) -> Self:
        if len(make_id(self.source, self.id)) > MAX_TEXT:
            raise PydanticCustomError("long", "Input should have a source and an id of {n} characters", {"n": MAX_TEXT})
        if self.type in NAMED_TYPES and (self.data is None or self.data.user is None):
            raise PydanticCustomError("nobody", "A {kind} needs data with a user", {"kind": self.type})
        return self

    def body(self) -> dict[str, Any]:
        """Return it as REST takes a raw event."""
        own = {"type": self.type, "timestamp": self.time, "id": make_id(self.source, self.id)}
        return own | (self.data.model_dump(exclude_none=True) if self.data else {})


class _NamedCloudEvent(_CloudEvent):
    data: _NamedData


_batch: TypeAdapter[list[_CloudEvent]] = TypeAdapter(
    Annotated[list[_CloudEvent], Field(min_length=1, max_length=MAX_BATCH)]
)
_batch_of_many: TypeAdapter[list[_NamedCloudEvent]] = TypeAdapter(
    Annotated[list[_NamedCloudEvent], Field(min_length=1, max_length=MAX_BATCH_OF_MANY)]
)


def read_batch(content: object, *, of_many: bool) -> list[dict[str, Any]]:
    """Return a batch as REST takes raw events. Raises `Problem`, whose pointers lead into the batch as it came."""
    try:
        events = (_batch_of_many if of_many else _batch).validate_python(content)
    except ValidationError as error:
        if any(each["type"] == "too_long" and not each["loc"] for each in error.errors()):
            raise Problem(413) from error
        raise wrong_values((each["loc"], each["msg"]) for each in error.errors()) from error
    return [event.body() for event in events]
