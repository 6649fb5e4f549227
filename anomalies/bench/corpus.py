"""Read and write labelled corpora: rows, labels, sessions and, if wanted, raw events, in one folder."""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import IO, TextIO, TypeVar, cast

from anomalies.detector.timetables import Timetable
from engagement.readings import Reading
from engagement.recordings.jsonl import event_object, find_moment, raw_event, reading, signals_object, write_stamp
from engagement.recordings.recording import BadRecording
from engagement.windows import RawEvent

Span = tuple[datetime, datetime]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Label:
    """An incident by its type, or, where the type is None, a stretch that must stay quiet and `why`."""

    type: str | None
    start: datetime
    end: datetime
    why: str = ""
    snr: float | None = None  # how far it stands out, in standard deviations, where somebody worked that out


@dataclass(frozen=True, slots=True)
class LabelledSession:
    """A session as its platform told it, and the truth about it; rows and events are in time order."""

    name: str
    rows: list[Reading]
    labels: list[Label]
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    breaks: tuple[Span, ...] = ()
    kind: str = ""
    audience: int | None = None
    emits: str = ""
    events: list[RawEvent] = field(default_factory=list)

    @property
    def timetable(self) -> Timetable:
        """What the detector is told of the plan."""
        return Timetable(self.starts_at, self.ends_at, self.breaks)


class CorpusWriter:
    """Write sessions one by one: `with CorpusWriter(folder) as corpus: corpus.write(session)`.

    Rows and events are gzipped without a timestamp, so the same sessions give the same bytes.
    """

    def __init__(self, folder: Path, with_events: bool = False):
        self.folder = folder
        self.with_events = with_events
        self._files = ExitStack()

    def __enter__(self) -> "CorpusWriter":
        self._rows = self._create("rows.jsonl.gz")
        self._labels = self._create("labels.jsonl")
        self._sessions = self._create("sessions.jsonl")
        if self.with_events:
            self._events = self._create("events.jsonl.gz")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def write(self, session: LabelledSession) -> None:
        name = {"session": session.name}
        for row in session.rows:
            _write(self._rows, name | signals_object(row))
        for label in session.labels:
            _write(self._labels, name | _label_object(label))
        _write(self._sessions, name | _session_object(session))
        if self.with_events:
            for event in session.events:
                _write(self._events, name | event_object(event))

    def _create(self, name: str) -> IO[bytes]:
        file = self._files.enter_context((self.folder / name).open("wb"))
        if not name.endswith(".gz"):
            return file
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
        self._files.callback(packed.close)
        return cast(IO[bytes], packed)


def read_corpus(folder: Path) -> list[LabelledSession]:
    """Return the sessions of a corpus, without their raw events, in the order of its sessions file.

    Raises `FileNotFoundError` where rows, labels or sessions are missing, `BadRecording` for a bad line.
    """
    sessions = _by_session(folder, "sessions", _read_session)
    rows = _by_session(folder, "rows", reading)
    labels = _by_session(folder, "labels", _read_label)
    for stray in sorted((set(rows) | set(labels)) - set(sessions)):
        raise BadRecording(f"{folder}: session {stray!r} is not in the sessions file")
    return [
        replace(described[-1], rows=sorted(rows[name], key=attrgetter("timestamp")), labels=labels[name])
        for name, described in sessions.items()
    ]


def read_events(folder: Path) -> dict[str, list[RawEvent]]:
    """Return the raw events of each session of a corpus. Raises as `read_corpus` does."""
    return _by_session(folder, "events", raw_event)


def _by_session(folder: Path, name: str, read: Callable[[Mapping[str, object]], Item]) -> defaultdict[str, list[Item]]:
    """Return what one file of a corpus, gzipped or not, holds of each session."""
    path = next((path for path in (folder / f"{name}.jsonl.gz", folder / f"{name}.jsonl") if path.exists()), None)
    if path is None:
        raise FileNotFoundError(f"{folder} holds no {name}.jsonl")
    found: defaultdict[str, list[Item]] = defaultdict(list)
    for number, record in _read_lines(path):
        try:
            found[_name(record)].append(read(record))
        except ValueError as error:
            raise BadRecording(f"{path}, line {number}: {error}") from None
    return found


def _read_lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the number and the object of each line that is not blank; a corpus is our own, and may be of any size."""
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
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError):
        raise BadRecording(f"{path}, after line {number}: is damaged, or no text in UTF-8") from None


def _open_to_read(path: Path) -> TextIO:
    return (
        cast(TextIO, gzip.open(path, "rt", encoding="utf-8")) if path.suffix == ".gz" else path.open(encoding="utf-8")
    )


def _name(record: Mapping[str, object]) -> str:
    if not isinstance(record.get("session"), str):
        raise ValueError("names no session")
    return str(record["session"])


def _read_label(record: Mapping[str, object]) -> Label:
    kind = record.get("type")
    if kind is not None and not isinstance(kind, str):
        raise ValueError("type is no text")
    return Label(kind, find_moment(record, "start"), find_moment(record, "end"), str(record.get("why") or ""))


def _read_session(record: Mapping[str, object]) -> LabelledSession:
    """Return a session without its rows and labels. A break is a pair of moments or names them."""
    breaks = record.get("breaks") or []
    audience = record.get("audience")
    if not isinstance(breaks, list):
        raise ValueError("breaks is no array")
    return LabelledSession(
        name=_name(record),
        rows=[],
        labels=[],
        starts_at=find_moment(record, "starts_at") if record.get("starts_at") else None,
        ends_at=find_moment(record, "ends_at") if record.get("ends_at") else None,
        breaks=tuple(_read_break(pause) for pause in breaks),
        kind=str(record.get("kind") or ""),
        audience=audience if isinstance(audience, int) else None,
        emits=str(record.get("emits") or ""),
    )


def _read_break(pause: object) -> Span:
    if isinstance(pause, list) and len(pause) == 2:
        pause = {"starts_at": pause[0], "ends_at": pause[1]}
    if not isinstance(pause, dict):
        raise ValueError("a break is a pair of moments")
    return find_moment(pause, "starts_at"), find_moment(pause, "ends_at")


def _write(file: IO[bytes], record: Mapping[str, object]) -> None:
    file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")


def _label_object(label: Label) -> dict[str, object]:
    known: dict[str, object] = {"type": label.type, "start": write_stamp(label.start), "end": write_stamp(label.end)}
    if label.why:
        known["why"] = label.why
    if label.snr is not None:
        known["snr"] = label.snr
    return known


def _session_object(session: LabelledSession) -> dict[str, object]:
    return {
        "kind": session.kind,
        "audience": session.audience,
        "emits": session.emits,
        "starts_at": session.starts_at and write_stamp(session.starts_at),
        "ends_at": session.ends_at and write_stamp(session.ends_at),
        "breaks": [[write_stamp(start), write_stamp(end)] for start, end in session.breaks],
    }
