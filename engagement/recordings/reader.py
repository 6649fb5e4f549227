"""Open a recording: find its format by its content, and read it. Pure."""

import io
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from engagement.recordings import bigbluebutton, chatlog, jsonl, zoom
from engagement.recordings.recording import BadRecording, Gathering, Recording
from engagement.recordings.source import Source

LOOKED_AT = 100  # lines of a text, until one says what it is
ARRAY = re.compile(r"\[\s*[{\]]")  # a chat log may begin with a bracket, too
KNOWN = "JSON Lines, BigBlueButton's events.xml, Zoom's attendee report or chat, or a chat log of YouTube or Twitch"


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its name for people, its reader, and whether the others of a session must be read before it."""

    name: str
    read: Callable[[Source, Gathering], None]
    may_lack_dates: bool = False


JSON_LINES = Format("JSON Lines", jsonl.read)
BIG_BLUE_BUTTON = Format("BigBlueButton events", bigbluebutton.read)
ZOOM_ATTENDEES = Format("Zoom attendee report", zoom.read_attendees)
ZOOM_CHAT = Format("Zoom chat", zoom.read_chat, may_lack_dates=True)
YOUTUBE_CHAT = Format("YouTube live chat", chatlog.read_youtube, may_lack_dates=True)
TWITCH_CHAT = Format("Twitch chat", chatlog.read_comments, may_lack_dates=True)
CHAT_LOG = Format("chat log", chatlog.read_log, may_lack_dates=True)


def open_recording(
    source: Path | bytes | BinaryIO, name: str = "", *, starts_at: datetime | None = None, zone: tzinfo = UTC
) -> Recording:
    """Return what a recording of any known format holds, packed with gzip or not.

    `name` is what messages call it. `starts_at` dates a log that has only times of the day or since the start;
    times that name no zone are of `zone`. Raises `OSError`, or `BadRecording` with words for people.

    >>> open_recording(b"[2026-03-02 09:00:00 UTC] guest_one: hello", "log").events
    [RawEvent(type='chat', timestamp=datetime.datetime(2026, 3, 2, 9, 0, tzinfo=datetime.timezone.utc), user='u1', \
id='683376c8.0', poll=None)]
    """
    return open_recordings([(source, name)], starts_at=starts_at, zone=zone)


def open_recordings(
    sources: Sequence[tuple[Path | bytes | BinaryIO, str]], *, starts_at: datetime | None = None, zone: tzinfo = UTC
) -> Recording:
    """Return what the files of one session hold together, such as who attended and what was chatted."""
    gathering = Gathering(starts_at, zone)
    formats: dict[str, None] = {}
    digest = sha256()
    with ExitStack() as files:
        opened = [Source(_file(source, files), name or _name(source)) for source, name in sources]
        found = [(find_format(source), source) for source in opened]
        for format_, source in sorted(found, key=lambda each: each[0].may_lack_dates):  # the dated ones date the others
            format_.read(source, gathering)
            formats[format_.name] = None
            digest.update(source.digest)
    names = " and ".join(source.name for source in opened)
    return gathering.finish(names, formats, digest.hexdigest()[:8])


def find_format(source: Source) -> Format:
    """Return the format of a file by the look of its first bytes. Raises `BadRecording`."""
    head = source.head
    if not head.strip():
        raise BadRecording(f"{source.name} is empty")
    if head.startswith(b"PK\x03\x04"):
        raise BadRecording(f"{source.name} is a zip archive: unpack it and choose the files in it")
    text = _text(head)
    start = text.lstrip()
    if start.startswith("<"):
        return BIG_BLUE_BUTTON
    if start.startswith("{") or ARRAY.match(start):
        return _find_json(start)
    for line in text.splitlines()[:LOOKED_AT]:
        if zoom.is_attendee_header(line):
            return ZOOM_ATTENDEES
        if zoom.is_chat_line(line):
            return ZOOM_CHAT
        if chatlog.is_line(line):
            return CHAT_LOG
    raise BadRecording(f"{source.name} is no recording that we know: choose {KNOWN}")


def _find_json(start: str) -> Format:
    first, has_end, _ = start.partition("\n")
    if chatlog.COMMENTS.search(start) or start.startswith("["):
        return TWITCH_CHAT
    if chatlog.YOUTUBE in first:
        return YOUTUBE_CHAT
    if first.strip() == "{" or (not has_end and not first.rstrip().endswith("}")):  # a document, and no lines
        return TWITCH_CHAT
    return JSON_LINES


def _text(head: bytes) -> str:
    is_utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return head.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")


def _file(source: Path | bytes | BinaryIO, files: ExitStack) -> BinaryIO:
    if isinstance(source, Path):
        return files.enter_context(source.open("rb"))
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _name(source: Path | bytes | BinaryIO) -> str:
    return str(source) if isinstance(source, Path) else "the file"
