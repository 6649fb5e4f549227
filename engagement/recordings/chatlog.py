"""Read chat logs that are text: a line for each message, with its time and its author. Pure."""

import re

from engagement.recordings.dates import read_clock, read_date
from engagement.recordings.formats import Format
from engagement.recordings.messages import COUNTS_FROM_START
from engagement.recordings.recording import Gathering
from engagement.recordings.source import LINE_HEAD, Source
from engagement.recordings.undated import RunsBack, Undated

# [0:01:02] name: …   [2026-03-02 18:21:17 UTC] name: …   (0:12) name: …   0:12 | name: …
LINE = re.compile(r"[\[(]?((?:\d{4}-\d\d-\d\d[T ])?(?:\d{1,3}:)?\d{1,2}:\d\d[^\])|]{0,16}?)(?:[\])]| ?\|) ?(.*)")
AUTHOR = re.compile(r"(?:\([^()]*\) )?<?([^\s:<>][^:<>]{0,60})(?:>|:)(?:\s|$)")


def is_line(line: str) -> bool:
    """Tell whether a line is one of a plain chat log.

    >>> is_line("[0:01:02] guest_one: hello"), is_line("Dear all: hello")
    (True, False)
    """
    return _split(line) is not None


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
        if clock is not None and undated is None:
            if gathering.anchor is None:
                raise source.wrong(COUNTS_FROM_START)
            undated = Undated(gathering.anchor, gathering.zone)
        try:
            at = read_date(time, gathering.zone) if undated is None or clock is None else undated.place(clock)
            if at is None:
                raise ValueError("a time cannot be read")
            gathering.add("chat", at, gathering.person(("name", author)))
        except RunsBack as error:
            raise source.wrong(f"{error}: split the file before it") from None
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


FORMAT = Format(
    name="chat log",
    platform="Text with times",
    export="A line for each message: a time, a name, a colon or <angles>, and the words.",
    knows=lambda look: any(map(is_line, look.lines)),
    read=read_log,
    may_lack_dates=True,
)
