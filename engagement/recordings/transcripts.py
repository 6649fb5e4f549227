"""Read transcripts and captions (WebVTT, SubRip): who spoke when. Pure."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import webvtt
from webvtt.errors import MalformedCaptionError, MalformedFileError

from engagement.recordings.formats import Format, Look
from engagement.recordings.messages import COUNTS_FROM_START
from engagement.recordings.recording import BadRecording, Gathering
from engagement.recordings.source import Source

MAX_LINES = 500_000  # the parser holds them all
GOES_ON = timedelta(seconds=1)  # so long one may pause and still speak
TIMES = re.compile(r"\s*(?:\d{1,3}:)?\d{1,2}:\d{2}[.,]\d{1,3}\s+-->\s+(?:\d{1,3}:)?\d{1,2}:\d{2}[.,]\d{1,3}")
SPEAKER = re.compile(r"(?:>> ?|\[)?([^\s:<>\]][^:<>\]\n]{0,60})\]?:\s")


def is_transcript(look: Look) -> bool:
    return look.start.startswith("WEBVTT") or any(map(TIMES.match, look.lines[:3]))


def read(source: Source, gathering: Gathering) -> None:
    """Gather when each person began to speak and stopped; their words are looked at for a name, and dropped."""
    anchor = gathering.anchor
    if anchor is None:
        raise source.wrong(COUNTS_FROM_START)
    spoken: dict[str, tuple[datetime, datetime]] = {}
    try:
        for caption in _read_captions(source):
            name = _speaker(caption)
            if name is None:
                gathering.skip("words of nobody")
                continue
            user = gathering.person(("name", name))
            begin, end = anchor + _ahead(caption.start_time), anchor + _ahead(caption.end_time)
            _speak(user, begin, end, spoken, gathering)
        for user, (begin, end) in spoken.items():
            _add(user, begin, end, gathering)
    except (ValueError, OverflowError) as error:
        raise BadRecording(f"{source.name}: {error}") from None


def _read_captions(source: Source) -> Iterator[webvtt.Caption]:
    is_vtt = source.head.decode("utf-8", "replace").lstrip("\ufeff\n\r ").startswith("WEBVTT")
    try:
        yield from webvtt.WebVTT.from_buffer(_bounded(source), "vtt" if is_vtt else "srt").captions
    except (MalformedFileError, MalformedCaptionError):
        raise source.wrong("is no transcript, or breaks off") from None


def _bounded(source: Source) -> Iterator[str]:
    for line in source.lines("replace"):
        if source.where > MAX_LINES:
            raise source.wrong(f"more than {MAX_LINES:,} lines: split the recording")
        yield line


def _speaker(caption: webvtt.Caption) -> str | None:
    """Return who speaks: Teams says it by a tag, Zoom before a colon."""
    if caption.voice:
        return str(caption.voice)
    found = SPEAKER.match(caption.text)
    return found[1].strip() if found else None


def _ahead(time: webvtt.models.Timestamp) -> timedelta:
    return timedelta(hours=time.hours, minutes=time.minutes, seconds=time.seconds, milliseconds=time.milliseconds)


def _speak(
    user: str, begin: datetime, end: datetime, spoken: dict[str, tuple[datetime, datetime]], gathering: Gathering
) -> None:
    """Take that somebody spoke, as one with what they said just before."""
    before = spoken.get(user)
    if before is not None and begin - before[1] > GOES_ON:
        _add(user, *before, gathering)
        before = None
    spoken[user] = (before[0], max(before[1], end)) if before else (begin, max(begin, end))


def _add(user: str, begin: datetime, end: datetime, gathering: Gathering) -> None:
    gathering.add("talk_started", begin, user)
    gathering.add("talk_stopped", end, user)


FORMAT = Format(
    name="transcript",
    platform="Transcripts",
    export=(
        "The transcript of a recording by Zoom, Teams, Webex or Meet (.vtt, .srt): who spoke when. It counts from the "
        "start: give that."
    ),
    knows=is_transcript,
    read=read,
    may_lack_dates=True,
)
