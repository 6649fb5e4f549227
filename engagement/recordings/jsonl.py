"""Read and write recordings in JSON Lines: one signals object or one raw event a line, gzipped or not."""

import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, cast

from engagement.readings import SIGNALS, Reading
from engagement.windows import EVENT_TYPES, RawEvent

PEOPLE = ("active_users", "total_users")
SHARES = ("poll_participation", "user_leave_rate")


class BadRecording(Exception):
    """The file is no recording; the message names the file and, where there is one, the line."""


def read_recording(path: Path) -> list[Reading] | list[RawEvent]:
    """Return what a recording holds: readings, or raw events, whichever its first line is.

    Raises `FileNotFoundError`, or `BadRecording` where a line is neither, differs from the first, is older
    than the one before it, or where there is no line at all.
    """
    readings: list[Reading] = []
    events: list[RawEvent] = []
    last: datetime | None = None
    for number, record in read_lines(path):
        try:
            item = raw_event(record) if "type" in record else reading(record)
        except ValueError as error:
            raise BadRecording(f"{path}, line {number}: {error}") from None
        if (isinstance(item, RawEvent) and readings) or (isinstance(item, Reading) and events):
            raise BadRecording(f"{path}, line {number}: raw events and signals objects are mixed")
        if last is not None and item.timestamp < last:
            raise BadRecording(f"{path}, line {number}: is older than the line before it")
        last = item.timestamp
        if isinstance(item, RawEvent):
            events.append(item)
        else:
            readings.append(item)
    if last is None:
        raise BadRecording(f"{path} is empty")
    return readings or events


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the number and the object of each line that is not blank."""
    number = 0
    try:
        with _open_to_read(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise BadRecording(f"{path}, line {number}: is not a JSON object")
                    yield number, record
    except json.JSONDecodeError as error:
        raise BadRecording(f"{path}, line {number}: is not JSON ({error.msg})") from None
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError) as error:
        raise BadRecording(f"{path}, after line {number}: {error}") from None


def reading(record: Mapping[str, object]) -> Reading:
    """Return the reading that a signals object describes. Raises ValueError for what the contract refuses."""
    numbers = {name: _number(record, name) for name in SIGNALS if record.get(name) is not None}
    if not numbers:
        raise ValueError("has neither a type nor a known signal")
    for name in SHARES:
        if numbers.get(name, 0) > 1:
            raise ValueError(f"{name} is above 1")
    people = {name: _people(name, numbers.pop(name)) for name in PEOPLE if name in numbers}
    if len(people) == 2 and people["active_users"] > people["total_users"]:
        raise ValueError("active_users is above total_users")
    return replace(Reading(read_moment(record, "timestamp"), **people), **numbers)  # type: ignore[arg-type]


def raw_event(record: Mapping[str, object]) -> RawEvent:
    """Return the raw event that an object describes. Raises ValueError for what the contract refuses."""
    if record["type"] not in EVENT_TYPES:
        raise ValueError(f"unknown event type {record['type']!r}")
    texts: dict[str, str] = {}
    for name in ("user", "id", "poll"):
        value = record.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise ValueError(f"{name} is not a string")
            texts[name] = value
    return RawEvent(str(record["type"]), read_moment(record, "timestamp"), **texts)


def signals_object(row: Reading) -> dict[str, object]:
    """Return a reading as the JSON object that the REST endpoint takes."""
    return {"timestamp": moment(row.timestamp)} | {name: getattr(row, name) for name in SIGNALS}


def event_object(event: RawEvent) -> dict[str, object]:
    """Return a raw event as its JSON object, without what it does not know."""
    known = {name: getattr(event, name) for name in ("id", "type", "user", "poll")}
    return {"timestamp": moment(event.timestamp)} | {name: value for name, value in known.items() if value is not None}


def moment(at: datetime) -> str:
    """Write a moment as RFC 3339 in UTC, to the microsecond where it has one, else to the millisecond."""
    timespec = "microseconds" if at.microsecond % 1000 else "milliseconds"
    return at.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def write_lines(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    """Write objects to a file, gzipped where its name ends in .gz. The same objects give the same bytes."""
    with path.open("wb") as file:
        text = (json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                packed.writelines(text)
        else:
            file.writelines(text)


def _open_to_read(path: Path) -> TextIO:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"  # whatever the file is called
    return cast(TextIO, gzip.open(path, "rt", encoding="utf-8")) if is_gzip else path.open(encoding="utf-8")


def read_moment(record: Mapping[str, object], name: str) -> datetime:
    """Return the moment that a field holds, in UTC. Raises ValueError where it is missing, no moment or naive."""
    value = record.get(name)
    if not isinstance(value, str):
        raise ValueError(f"has no {name}")
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} {value!r} is no RFC 3339 timestamp") from None
    raise ValueError(f"{name} {value!r} has no offset")


def _number(record: Mapping[str, object], name: str) -> float:
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} is no number of 0 or more")
    return float(value)


def _people(name: str, value: float) -> int:
    if value != int(value):
        raise ValueError(f"{name} is not whole")
    return int(value)
