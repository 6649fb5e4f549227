"""The objects of a JSON document or of JSON Lines, one by one, however large it is. Pure."""

import json
import re
from collections.abc import Iterator
from typing import TextIO

from engagement.recordings.recording import BadRecording
from engagement.recordings.source import LINE_HEAD, Source

PIECE = 64 * 1024
MAX_ITEM = 1024 * 1024
MOST_LOOKED_AT = 20
ARRAY = re.compile(r"\[\s*[{\]\[]")  # a chat log may begin with a bracket, too
NAMES = ("comments", "messages", "items", "edges", "events")
NAMED_ARRAY = re.compile(rf'"({"|".join(NAMES)})"\s*:\s*\[')
BETWEEN = re.compile(r"[\s,]*")
JsonObject = dict[str, object]


def is_json(start: str) -> bool:
    return start.startswith("{") or ARRAY.match(start) is not None


def is_lines(start: str) -> bool:
    """Tell whether a file that begins so is JSON Lines, an object a line, and not one document.

    >>> [is_lines(text) for text in ('{"a": 1}\\n{"b": 2}', '{"a": 1}', '{"items": [1]}', "{", "[{}]")]
    [True, True, False, False, False]
    """
    first, has_end, rest = start.partition("\n")
    if not start.startswith("{"):
        return False
    try:
        json.loads(first)
    except RecursionError:
        return False
    except ValueError:
        is_first = bool(has_end) and first.strip() != "{" and rest.lstrip().startswith("{")
        return is_first or first.rstrip().endswith("}")
    return bool(rest.strip()) or NAMED_ARRAY.search(first) is None


def first_items(start: str) -> list[JsonObject]:
    """Return the first whole objects of a file that begins so."""
    found: list[JsonObject] = []
    if is_lines(start):
        texts, place = start.split("\n", MOST_LOOKED_AT)[:MOST_LOOKED_AT], 0
        for text in texts:
            try:
                found += _unpack(json.loads(text))
            except (ValueError, RecursionError):
                break
        return found
    named = NAMED_ARRAY.search(start)
    place = 1 if start.startswith("[") else named.end() if named else len(start)
    decoder = json.JSONDecoder()
    while len(found) < MOST_LOOKED_AT:
        between = BETWEEN.match(start, place)
        try:
            item, place = decoder.raw_decode(start, between.end() if between else place)
        except (ValueError, RecursionError):
            break
        found += _unpack(item)
    return found


def read_items(source: Source) -> Iterator[JsonObject]:
    """Yield the objects of a document's array, or of its lines; `source.place` says where each one is.

    The array is the document itself, or what it holds as `comments`, `messages`, `items`, `edges` or `events`. Raises
    `BadRecording` for what is none of them.
    """
    start = source.head.decode(source.encoding, "replace").lstrip("\ufeff \t\r\n")
    if is_lines(start):
        for line in source.lines():
            if line.strip():
                yield from _unpack(read_object(source, line))
        return
    for number, item in enumerate(_read_array(source), start=1):
        source.place = f", message {number}"
        yield from item


def read_object(source: Source, line: str) -> JsonObject:
    """Return the object of a line. Raises `BadRecording`."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # also a number of 5,000 digits
        raise source.wrong("is not JSON, or breaks off") from None
    if not isinstance(record, dict):
        raise source.wrong("is not a JSON object")
    return record


def _unpack(item: object) -> list[JsonObject]:
    """Return the objects that one is or holds, as an answer of a REST endpoint holds a page of them."""
    if isinstance(item, list):
        return [each for one in item for each in _unpack(one)]
    if not isinstance(item, dict):
        return []
    if isinstance(item.get("node"), dict):
        return [item["node"]]
    if (page := _page_of_twitch(item)) is not None:
        return _unpack(page)
    for name in NAMES:
        if isinstance(item.get(name), list) and all(isinstance(each, dict) for each in item[name]):
            return [each for one in item[name] for each in _unpack(one)]
    return [item]


def _page_of_twitch(item: JsonObject) -> object:
    """Return a page of comments as Twitch answers it, None where it is none."""
    page: object = item
    for key in ("data", "video", "comments"):
        page = page.get(key) if isinstance(page, dict) else None
    return page


def _read_array(source: Source) -> Iterator[list[JsonObject]]:
    text = source.text()
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
        if not isinstance(item, dict | list):
            raise BadRecording(f"{source.name}: holds a list, but not of messages")
        yield _unpack(item)


def _find_array(source: Source, text: TextIO) -> tuple[str, int]:
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
        if found := NAMED_ARRAY.search(buffer):
            return buffer, found.end()
        buffer = buffer[-LINE_HEAD:] if not buffer.isspace() else ""
