"""Open a recording: find its format by its content, and read it. Pure."""

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from engagement.recordings import (
    attendance,
    bbb_webhooks,
    bigbluebutton,
    chatlog,
    discord,
    downloaded,
    irc,
    jsonl,
    learning_dashboard,
    slack,
    transcripts,
    youtube,
    zoom_chat,
)
from engagement.recordings.date_order import DateOrder
from engagement.recordings.formats import Format, Look
from engagement.recordings.recording import BadRecording, Gathering, Hints, Recording
from engagement.recordings.source import Source
from engagement.recordings.strangers import say_what_it_seems, say_what_objects_seem

# All that can be read. The first one that knows a file reads it; an addition is its module and its row here.
FORMATS: tuple[Format, ...] = (
    attendance.report_of("zoom"),
    zoom_chat.FORMAT,
    attendance.report_of("teams"),
    attendance.report_of("webex"),
    attendance.report_of("meet"),
    attendance.report_of("gotowebinar"),
    bigbluebutton.FORMAT,
    learning_dashboard.FORMAT,
    attendance.report_of("bigbluebutton"),
    bbb_webhooks.FORMAT,
    youtube.STORED,
    youtube.ANSWERED,
    youtube.PYTCHAT,
    downloaded.TWITCH,
    discord.FORMAT,
    discord.TABLE,
    slack.FORMAT,
    downloaded.CHAT_DOWNLOADER,
    transcripts.FORMAT,
    irc.FORMAT,
    chatlog.FORMAT,
    attendance.OTHER,
    jsonl.FORMAT,
)
OTHERS = attendance.OTHER.platform
STARTED_IN_THE_NAME = re.compile(r"GMT(\d{8})-(\d{6})")  # so Zoom names the files of a cloud recording


def open_recording(
    source: Path | bytes | BinaryIO,
    name: str = "",
    *,
    starts_at: datetime | None = None,
    zone: tzinfo = UTC,
    date_order: DateOrder | None = None,
    columns: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Recording:
    """Return what a recording of any known format holds, packed with gzip or not.

    `name` is what messages call it; `Hints` says what the others are. Raises `OSError`, or `BadRecording` with words
    for people: `UnknownColumns` where they could help.

    >>> open_recording(b"[2026-03-02 09:00:00 UTC] guest_one: hello", "log").events
    [RawEvent(type='chat', timestamp=datetime.datetime(2026, 3, 2, 9, 0, tzinfo=datetime.timezone.utc), user='u1', \
id='683376c8.0', poll=None)]
    """
    hints = Hints(starts_at, zone, date_order, columns or {}, now)
    return open_recordings([(source, name)], hints)


def open_recordings(sources: Sequence[tuple[Path | bytes | BinaryIO, str]], hints: Hints | None = None) -> Recording:
    """Return what the files of one session hold together, such as who attended and what was chatted."""
    formats: dict[str, None] = {}
    digest = sha256()
    with ExitStack() as files:
        opened = [Source(_file(source, files), name or _name(source)) for source, name in sources]
        gathering = Gathering(_start_by_name(opened, hints or Hints()))
        found = [(find_format(source), source) for source in opened]
        for format_, source in sorted(found, key=lambda each: each[0].may_lack_dates):  # the dated ones date the others
            format_.read(source, gathering)
            formats[format_.name] = None
            digest.update(source.digest)
    if jsonl.FORMAT.name not in formats:  # who writes our own format can say when it ends
        gathering.end_with_the_last()
    names = " and ".join(source.name for source in opened)
    return gathering.finish(names, formats, digest.hexdigest()[:8])


def find_format(source: Source) -> Format:
    """Return the format of a file by the look of its first bytes. Raises `BadRecording`."""
    look = Look(source)
    if not look.bytes.strip():
        raise BadRecording(f"{source.name} is empty")
    found = next((format_ for format_ in FORMATS if format_.knows(look)), None)
    if found is not None and found is not jsonl.FORMAT:
        return found
    # Our own format takes all JSON Lines, and its words about a line would not help with another's.
    words = say_what_it_seems(look) if found is None else say_what_objects_seem(look)
    if words:
        raise BadRecording(f"{source.name} {words}")
    if found is not None:
        return found
    if look.is_json:
        raise BadRecording(f"{source.name}: is JSON, but no recording: it has no comments, messages, items or events")
    raise BadRecording(f"{source.name} is no recording that we know: choose {known()}")


def known() -> str:
    """Return what can be read, for people."""
    own = jsonl.FORMAT.platform
    *most, last = dict.fromkeys(format_.platform for format_ in FORMATS if format_.platform not in (own, OTHERS))
    return f"{own}, or an export of {', '.join(most)} or {last}"


def _start_by_name(sources: Sequence[Source], hints: Hints) -> Hints:
    """Return the hints with the start that the name of a file tells, where nobody gave one."""
    found = next((found for source in sources if (found := STARTED_IN_THE_NAME.search(source.name))), None)
    if hints.starts_at is not None or found is None:
        return hints
    try:
        start = datetime.strptime(found[1] + found[2], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return hints
    return replace(hints, starts_at=start)


def _file(source: Path | bytes | BinaryIO, files: ExitStack) -> BinaryIO:
    if isinstance(source, Path):
        return files.enter_context(source.open("rb"))
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _name(source: Path | bytes | BinaryIO) -> str:
    return str(source) if isinstance(source, Path) else "the file"
