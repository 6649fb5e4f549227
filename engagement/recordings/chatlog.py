"""Read chat logs: YouTube's live chat (yt-dlp), Twitch's (chat downloaders, JSON), and plain text with times. Pure."""

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from engagement.moments import EPOCH
from engagement.recordings.dates import Undated, read_clock, read_date
from engagement.recordings.jsonl import read_object
from engagement.recordings.recording import BadRecording, Gathering
from engagement.recordings.source import LINE_HEAD, Source

PIECE = 64 * 1024
MAX_ITEM = 1024 * 1024
COUNTS_FROM_START = "counts its times from the start: give the planned start"

YOUTUBE = "replayChatItemAction"
MESSAGES = {
    "liveChatTextMessageRenderer",
    "liveChatPaidMessageRenderer",
    "liveChatPaidStickerRenderer",
    "liveChatMembershipItemRenderer",
}
COMMENTS = re.compile(r'"comments"\s*:\s*\[')
BETWEEN = re.compile(r"[\s,]*")

# [0:01:02] name: …   [2026-03-02 18:21:17 UTC] name: …   (0:12) name: …   0:12 | name: …
LINE = re.compile(r"[\[(]?((?:\d{4}-\d\d-\d\d[T ])?(?:\d{1,3}:)?\d{1,2}:\d\d[^\])|]{0,16}?)(?:[\])]| ?\|) ?(.*)")
AUTHOR = re.compile(r"(?:\([^()]*\) )?<?([^\s:<>][^:<>]{0,60})(?:>|:)(?:\s|$)")


def is_line(line: str) -> bool:
    """Tell whether a line is one of a plain chat log.

    >>> is_line("[0:01:02] guest_one: hello"), is_line("Dear all: hello")
    (True, False)
    """
    return _split(line) is not None


def read_youtube(source: Source, gathering: Gathering) -> None:
    """Gather the messages of a live chat as yt-dlp stores it: an action, or several of one moment, a line."""
    undated_at = _Offsets(gathering)
    for line in source.lines():
        if not line.strip():
            continue
        action = read_object(source, line).get(YOUTUBE)
        if not isinstance(action, dict):
            gathering.skip("lines that are no chat")
            continue
        actions = action.get("actions")
        for each in actions if isinstance(actions, list) else []:
            try:
                _gather_youtube(each, action.get("videoOffsetTimeMsec"), undated_at, gathering)
            except ValueError as error:
                raise source.wrong(str(error)) from None


def _gather_youtube(action: object, offset: object, undated_at: "_Offsets", gathering: Gathering) -> None:
    kind, message = _renderer(action)
    if kind not in MESSAGES:
        gathering.skip("notices of the platform")
        return
    message_id = message.get("id")
    if gathering.is_repeat(message_id if isinstance(message_id, str) else None):
        return
    sent = _number(message.get("timestampUsec"))
    at = _at(sent / 1e6) if sent else undated_at.place(None if (ms := _number(offset)) is None else ms / 1000)
    name = message.get("authorName")
    gathering.add("chat", at, _person(gathering, message.get("authorExternalChannelId") or _get(name, "simpleText")))


def _renderer(action: object) -> tuple[str, dict[str, object]]:
    item = _get(_get(action, "addChatItemAction"), "item")
    kind, message = next(iter(item.items()), ("", {})) if isinstance(item, dict) else ("", {})
    return kind, message if isinstance(message, dict) else {}


def read_comments(source: Source, gathering: Gathering) -> None:
    """Gather the comments of a chat downloader's document: an array, or an object that holds one as `comments`."""
    undated_at = _Offsets(gathering)
    for number, comment in enumerate(_items(source), start=1):
        try:
            _gather_comment(comment, undated_at, gathering)
        except ValueError as error:
            raise BadRecording(f"{source.name}, message {number}: {error}") from None


def _gather_comment(comment: dict[str, object], undated_at: "_Offsets", gathering: Gathering) -> None:
    comment_id = comment.get("_id") or comment.get("message_id")
    if gathering.is_repeat(comment_id if isinstance(comment_id, str) else None):
        return
    if "message" not in comment:
        gathering.skip("notices of the platform")
        return
    created, stamp = comment.get("created_at"), _number(comment.get("timestamp"))
    at = read_date(created, UTC) if isinstance(created, str) else _at(stamp / 1e6) if stamp else None
    if at is None:
        seconds = comment.get("content_offset_seconds", comment.get("time_in_seconds"))
        at = undated_at.place(_number(seconds))
    author = comment.get("commenter") or comment.get("author")
    keys = ("_id", "id", "name", "display_name")
    gathering.add("chat", at, _person(gathering, next((key for name in keys if (key := _get(author, name))), None)))


def read_log(source: Source, gathering: Gathering) -> None:
    """Gather the lines of a plain log: a time, a name, a colon, and words that we do not look at."""
    undated: Undated | None = None
    for line in source.lines("replace"):
        found = _split(line)
        if found is None:
            if line.strip():
                gathering.skip("lines that are no message")
            continue
        time, author = found
        clock = read_clock(time)
        if clock is None:
            at = read_date(time, gathering.zone)
        else:
            if undated is None:
                if gathering.anchor is None:
                    raise source.wrong(COUNTS_FROM_START)
                undated = Undated(gathering.anchor, gathering.zone)
            at = undated.place(clock)
        try:
            if at is None:
                raise ValueError("a time cannot be read")
            gathering.add("chat", at, _person(gathering, author))
        except ValueError as error:
            raise source.wrong(str(error)) from None


def _split(line: str) -> tuple[str, str] | None:
    """Return the time and the author of a line, or None where it is no message.

    >>> _split("[2026-03-02 18:21:17 UTC] guest_one: hello"), _split("0:12 | (Member) Guest Two: hello")
    (('2026-03-02 18:21:17 UTC', 'guest_one'), ('0:12', 'Guest Two'))
    """
    found = LINE.match(line[:LINE_HEAD])
    author = AUTHOR.match(found[2]) if found else None
    return (found[1].strip(), author[1]) if found and author else None


class _Offsets:
    """Seconds since the start of the stream; what was written before it is of its start."""

    def __init__(self, gathering: Gathering):
        self._gathering = gathering
        self._anchor: datetime | None = None

    def place(self, seconds: float | None) -> datetime:
        if seconds is None or not -1e6 < seconds < 1e6:
            raise ValueError("a message has no time")
        if self._anchor is None:
            self._anchor = self._gathering.anchor
            if self._anchor is None:
                raise ValueError(COUNTS_FROM_START)
        return self._anchor + timedelta(seconds=max(0.0, seconds))


def _items(source: Source) -> Iterator[dict[str, object]]:
    """Yield the objects of the array one by one, however large the document is."""
    text = io.TextIOWrapper(source._bytes, "utf-8-sig")
    decoder = json.JSONDecoder()
    buffer, place = _find_array(source, text)
    while True:
        between = BETWEEN.match(buffer, place)
        place = between.end() if between else place
        if buffer[place : place + 1] == "]":
            return
        try:
            item, place = decoder.raw_decode(buffer, place)
        except RecursionError:
            raise BadRecording(f"{source.name}: is nested too deeply") from None
        except ValueError:
            with source.blame():
                piece = text.read(PIECE)
            buffer, place = buffer[place:] + piece, 0
            if not piece or len(buffer) > MAX_ITEM:
                raise BadRecording(f"{source.name}: is not JSON, or breaks off") from None
            continue
        if not isinstance(item, dict):
            raise BadRecording(f"{source.name}: holds a list, but not of messages")
        yield item


def _find_array(source: Source, text: io.TextIOWrapper) -> tuple[str, int]:
    """Return a piece of the text and where in it the array has begun."""
    buffer = ""
    while True:
        with source.blame():
            piece = text.read(PIECE)
        if not piece:
            raise BadRecording(f"{source.name}: is JSON, but no recording: it has no comments")
        buffer += piece
        if buffer.lstrip().startswith("["):
            return buffer, buffer.index("[") + 1
        if found := COMMENTS.search(buffer):
            return buffer, found.end()
        buffer = buffer[-LINE_HEAD:] if not buffer.isspace() else ""


def _get(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _person(gathering: Gathering, key: object) -> str | None:
    return gathering.person(("name", key)) if isinstance(key, str) and key else None


def _number(value: object) -> float | None:
    """Return a number, also one that is written as text, as YouTube does; None where it is none."""
    if isinstance(value, str) and len(value) <= 20:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e18 else None


def _at(seconds: float) -> datetime:
    try:
        return EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise ValueError("a message has no time") from None
