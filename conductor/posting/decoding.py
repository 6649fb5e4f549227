"""Bodies of posts as values, where they are surely right. What is wrong with one, the schemas of the API say.

They decide what is taken. Here are the same names and bounds, read by a quicker decoder, and whatever it does not take
is handed to them. A test holds both to the same answers.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from conductor.api.cloudevents import make_id, read_type
from conductor.api.schemas import ACTIVITY_TYPES, MAX_NUMBER, MAX_SECONDS_AGO, NAMED_TYPES, PERSON
from engagement.events import RefusedEvent, check_events
from engagement.groups import Place
from engagement.ingest import RefusedReading, check_readings
from engagement.limits import MAX_ACTIVITIES, MAX_BATCH, MAX_BATCH_OF_MANY, MAX_TEXT
from engagement.moments import is_rfc3339, read_moment
from engagement.readings import BY_NAME, MEASURED, MOST, Reading, SignalKind
from engagement.room import EVENT_TYPES
from engagement.visits import Activity, Report, VisitState
from engagement.windows import RawEvent

KINDS = frozenset(EVENT_TYPES)

assert [field.name for field in fields(Reading)][: 1 + len(MEASURED)] == ["timestamp", *MEASURED]

Items = Sequence[Reading] | Sequence[RawEvent] | Sequence[Report]
Decoded = tuple[Sequence[Place], Items]  # of each item its session, and the items
Decode = Callable[[bytes, UUID | None, datetime], Decoded]  # the session of the address, where it names one


class NotSure(ValueError):
    """The body is wrong, or so odd that it is not said here what it means."""


def _bounded(kind: SignalKind) -> Any:
    most = MOST[kind]
    if kind is SignalKind.PEOPLE:  # JSON knows one kind of number: 50.0 is 50
        return Annotated[int, Meta(ge=0, le=int(most))] | Annotated[float, Meta(ge=0, le=most)] | None
    return Annotated[float, Meta(ge=0, le=most)] | None


Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)] | None
SIGNALS = [("timestamp", str | None, None), *((name, _bounded(BY_NAME[name].kind), None) for name in MEASURED)]
EVENT = [
    ("type", Literal[EVENT_TYPES]),
    ("timestamp", str),
    ("user", Text, None),
    ("id", Text, None),
    ("poll", Text, None),
]
Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
ACTIVITY = [
    ("number", Number),
    ("type", Literal[ACTIVITY_TYPES]),
    ("seconds_ago", Annotated[float, Meta(ge=0, le=MAX_SECONDS_AGO)], 0.0),
]
NAME = [("session_id", UUID | None, None), ("external_id", Text, None)]


def _taken(name: str, fields: Sequence[Any]) -> Any:
    return msgspec.defstruct(name, fields, forbid_unknown_fields=True, kw_only=True, gc=False)


def _list(item: Any, most: int, least: int = 1) -> Any:
    return Annotated[list[item], Meta(min_length=least, max_length=most)]


_Signals, _Event = _taken("Signals", SIGNALS), _taken("RawEvent", EVENT)
_signals = msgspec.json.Decoder(_Signals | _list(_Signals, MAX_BATCH))
_events = msgspec.json.Decoder(_list(_Event, MAX_BATCH))
_signals_of_many = msgspec.json.Decoder(_list(_taken("NamedSignals", [*NAME, *SIGNALS]), MAX_BATCH_OF_MANY))
_events_of_many = msgspec.json.Decoder(_list(_taken("NamedRawEvent", [*NAME, *EVENT]), MAX_BATCH_OF_MANY))
REPORT = [
    ("person", str),
    ("number", Number),
    ("state", Literal[tuple(state.value for state in VisitState)]),
    ("events", _list(_taken("Activity", ACTIVITY), MAX_ACTIVITIES, least=0), []),
]
EVENT_DATA = [("user", Text, None), ("poll", Text, None)]


def _cloud_event(data: Any) -> Any:
    """Return what is looked at of a CloudEvent; others' attributes are let be."""
    fields: list[Any] = [
        ("specversion", Literal["1.0"]),
        ("id", Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]),
        ("source", Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]),
        ("type", str),
        ("time", str),
        ("data", data),
        ("datacontenttype", Literal["application/json"] | None, None),
        ("data_base64", None, None),
    ]
    return msgspec.defstruct("CloudEvent", fields, kw_only=True, gc=False)


_cloud_events = msgspec.json.Decoder(_list(_cloud_event(_taken("Data", EVENT_DATA)), MAX_BATCH))
_cloud_events_of_many = msgspec.json.Decoder(
    _list(_cloud_event(_taken("NamedData", [*NAME, *EVENT_DATA])), MAX_BATCH_OF_MANY)
)
_report = msgspec.json.Decoder(_taken("VisitReport", REPORT))
_person = re.compile(PERSON, re.ASCII)

_measured = attrgetter(*MEASURED)
PEOPLE = [place for place, name in enumerate(MEASURED) if BY_NAME[name].kind is SignalKind.PEOPLE]
ACTIVE, TOTAL = MEASURED.index("active_users"), MEASURED.index("total_users")


def decode_signals(body: bytes, session_id: UUID | None, now: datetime) -> Decoded:
    """Return the rows of a session; `now` stands in for a timestamp that was left out. Raises `NotSure`."""
    assert session_id
    found = _decode(_signals, body)
    rows = found if isinstance(found, list) else [found]
    return [session_id] * len(rows), _readings(rows, now)


def decode_events(body: bytes, session_id: UUID | None, now: datetime) -> Decoded:
    """Return the raw events of a session. Raises `NotSure`."""
    assert session_id
    events = _decode(_events, body)
    return [session_id] * len(events), _raw_events(events, now)


def decode_signals_of_many(body: bytes, _: UUID | None, now: datetime) -> Decoded:
    """Return rows that name their sessions. Raises `NotSure`."""
    rows = _decode(_signals_of_many, body)
    return [_place(row) for row in rows], _readings(rows, now)


def decode_events_of_many(body: bytes, _: UUID | None, now: datetime) -> Decoded:
    """Return raw events that name their sessions. Raises `NotSure`."""
    events = _decode(_events_of_many, body)
    return [_place(event) for event in events], _raw_events(events, now)


def decode_cloud_events(body: bytes, session_id: UUID | None, now: datetime) -> Decoded:
    """Return the raw events of a session that CloudEvents tell. Raises `NotSure`."""
    assert session_id
    events = _decode(_cloud_events, body)
    return [session_id] * len(events), _told_by_cloud_events(events, now)


def decode_cloud_events_of_many(body: bytes, _: UUID | None, now: datetime) -> Decoded:
    """Return raw events that CloudEvents tell and that name their sessions. Raises `NotSure`."""
    events = _decode(_cloud_events_of_many, body)
    return [_place(event.data) for event in events], _told_by_cloud_events(events, now)


def _told_by_cloud_events(bodies: Sequence[Any], now: datetime) -> list[RawEvent]:
    return _checked([_told_by_cloud_event(body) for body in bodies], now)


def _told_by_cloud_event(body: Any) -> RawEvent:
    kind, source, id_ = read_type(body.type), _text(body.source), _text(body.id)
    if kind not in KINDS or (body.data.user is None and kind in NAMED_TYPES) or source is None or id_ is None:
        raise NotSure
    if len(key := make_id(source, id_)) > MAX_TEXT:
        raise NotSure
    return RawEvent(str(kind), _moment(body.time), _text(body.data.user), key, _text(body.data.poll))


def decode_report(body: bytes, session_id: UUID | None, now: datetime) -> Decoded:
    """Return what one tab reports. Raises `NotSure`."""
    assert session_id
    found = _decode(_report, body)
    if not _person.fullmatch(found.person) or (found.events and found.state == VisitState.HERE):
        raise NotSure
    activities = [Activity(each.number, each.type, each.seconds_ago) for each in found.events]
    return [session_id], [Report(found.person, found.number, VisitState(found.state), activities)]


def _decode(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as error:  # also where it is no UTF-8
        raise NotSure from error


def _place(item: Any) -> Place:
    session_id: UUID | None = item.session_id
    name = _text(item.external_id)
    if session_id is not None and name is None:
        return session_id
    if session_id is None and name is not None:
        return name
    raise NotSure


def _readings(rows: Sequence[Any], now: datetime) -> list[Reading]:
    readings = [_reading(row, now) for row in rows]
    try:
        check_readings(readings, now)
    except RefusedReading as error:
        raise NotSure from error
    return readings


def _reading(row: Any, now: datetime) -> Reading:
    values = list(_measured(row))
    for place in PEOPLE:
        if isinstance(values[place], float):
            values[place] = _whole(values[place])
    active, total = values[ACTIVE], values[TOTAL]
    if active is not None and total is not None and active > total:
        raise NotSure
    return Reading(now if row.timestamp is None else _moment(row.timestamp), *values)


def _whole(number: float) -> int:
    if not number.is_integer():
        raise NotSure
    return int(number)


def _raw_events(bodies: Sequence[Any], now: datetime) -> list[RawEvent]:
    return _checked([_raw_event(body) for body in bodies], now)


def _checked(events: list[RawEvent], now: datetime) -> list[RawEvent]:
    try:
        check_events(events, now)
    except RefusedEvent as error:
        raise NotSure from error
    return events


def _raw_event(body: Any) -> RawEvent:
    if body.user is None and body.type in NAMED_TYPES:
        raise NotSure
    return RawEvent(body.type, _moment(body.timestamp), _text(body.user), _text(body.id), _text(body.poll))


def _moment(text: str) -> datetime:
    if not is_rfc3339(text):
        raise NotSure
    try:
        return read_moment(text)
    except ValueError as error:
        raise NotSure from error


def _text(text: str | None) -> str | None:
    if text is not None and ("\0" in text or not text.strip()):
        raise NotSure
    return text
