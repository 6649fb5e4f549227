"""Read and write recordings in JSON Lines: one signals object or one raw event a line, gzipped or not."""

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from engagement.moments import read_moment, write_moment
from engagement.readings import BY_NAME, MEASURED, MOST, OPTIONAL, Reading, SignalKind
from engagement.recordings.documents import is_lines, read_object
from engagement.recordings.formats import Format
from engagement.recordings.recording import MAX_SPAN, Gathering, check_year
from engagement.recordings.source import Source
from engagement.room import EVENT_TYPES
from engagement.windows import RawEvent

PEOPLE = tuple(name for name in MEASURED if BY_NAME[name].kind is SignalKind.PEOPLE)
MAX_ROWS = MAX_SPAN // timedelta(seconds=1)


def read(source: Source, gathering: Gathering) -> None:
    """Gather readings or raw events, whichever the lines are; their order does not matter.

    Raises `BadRecording` where a line is neither, or both are mixed.
    """
    has_events = False
    for line in source.lines():
        if not line.strip():
            continue
        record = read_object(source, line)
        try:
            if "type" in record:
                has_events = True
                _gather_event(raw_event(record), gathering)
            else:
                row = reading(record)
                check_year(row.timestamp)
                gathering.rows.append(row)
                if len(gathering.rows) > MAX_ROWS:
                    raise ValueError(f"more than {MAX_ROWS:,} rows: split the recording")
        except ValueError as error:
            raise source.wrong(str(error)) from None
        if has_events and gathering.rows:
            raise source.wrong("raw events and signals objects are mixed")


def _gather_event(event: RawEvent, gathering: Gathering) -> None:
    if not gathering.is_repeat(event.id):
        user = None if event.user is None else gathering.person(event.user)
        poll = None if event.poll is None else gathering.poll(event.poll)
        gathering.add(event.type, event.timestamp, user, poll)


def reading(record: Mapping[str, object]) -> Reading:
    """Return the reading that a signals object describes. Raises ValueError for what REST refuses."""
    numbers = {name: _number(record, name) for name in MEASURED if record.get(name) is not None}
    if not numbers:
        raise ValueError("has neither a type nor a known signal")
    people = {name: _people(name, numbers.pop(name)) for name in PEOPLE if name in numbers}
    if people.keys() >= {"active_users", "total_users"} and people["active_users"] > people["total_users"]:
        raise ValueError("active_users is above total_users")
    return replace(Reading(find_moment(record, "timestamp"), **people), **numbers)  # type: ignore[arg-type]


def raw_event(record: Mapping[str, object]) -> RawEvent:
    """Return the raw event that an object describes, without anything else it holds.

    Raises ValueError for what REST refuses; its words never quote the object.
    """
    if not isinstance(record["type"], str) or record["type"] not in EVENT_TYPES:
        raise ValueError("unknown event type")
    texts: dict[str, str] = {}
    for name in ("user", "id", "poll"):
        value = record.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise ValueError(f"{name} is not a string")
            texts[name] = value
    return RawEvent(str(record["type"]), find_moment(record, "timestamp"), **texts)


def signals_object(row: Reading) -> dict[str, object]:
    """Return a reading as the JSON object that the REST endpoint takes, without optional signals that are unknown."""
    signals = {name: getattr(row, name) for name in MEASURED}
    known = {name: value for name, value in signals.items() if value is not None or name not in OPTIONAL}
    return {"timestamp": write_stamp(row.timestamp)} | known


def event_object(event: RawEvent) -> dict[str, object]:
    """Return a raw event as its JSON object, without what it does not know."""
    fields = {name: getattr(event, name) for name in ("id", "type", "user", "poll")}
    known = {name: value for name, value in fields.items() if value is not None}
    return {"timestamp": write_stamp(event.timestamp)} | known


def write_stamp(at: datetime) -> str:
    """Return a moment as recordings have it: to the microsecond where it has one, else to the millisecond."""
    return write_moment(at, "microseconds" if at.microsecond % 1000 else "milliseconds")


def write_lines(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    """Write objects to a file, gzipped where its name ends in .gz. The same objects give the same bytes."""
    with path.open("wb") as file:
        text = (json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                packed.writelines(text)
        else:
            file.writelines(text)


def find_moment(record: Mapping[str, object], name: str) -> datetime:
    """Return the moment that a field holds, in UTC. Raises ValueError where it is missing, no moment or naive."""
    value = record.get(name)
    if not isinstance(value, str):
        raise ValueError(f"has no {name}")
    try:
        return read_moment(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _number(record: Mapping[str, object], name: str) -> float:
    value = record[name]
    most = MOST[BY_NAME[name].kind]
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"{name} is no number of 0 or more")
    if value > most:
        raise ValueError(f"{name} is above {most:,.0f}")
    return float(value)


def _people(name: str, value: float) -> int:
    if value != int(value):
        raise ValueError(f"{name} is not whole")
    return int(value)


FORMAT = Format(
    name="JSON Lines",
    platform="JSON Lines",
    export="One raw event or one signals object a line, as the REST endpoint takes them.",
    knows=lambda look: look.is_json and is_lines(look.start),
    read=read,
)
