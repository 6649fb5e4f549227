"""Read BigBlueButton's `events.xml`: who came and went, chatted and talked, hands, cameras, polls, the end. Pure."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from xml.parsers import expat

from engagement.classroom import HAND, NO_REACTION, name_hand, name_microphone, name_voice
from engagement.moments import EPOCH, read_moment
from engagement.recordings.formats import Format, Look
from engagement.recordings.recording import Gathering
from engagement.recordings.source import Source

OF_EXCEL = "urn:schemas-microsoft-com:office"  # a spreadsheet may be XML, too
HTML = ("<!doctype html", "<html")
MAX_DEPTH = 32
MAX_TAG = 1024 * 1024  # the parser reads a tag again from its start with every piece that comes
MAX_FIELD = 200  # of a field that we read; what is longer is none of them
FIELDS = {
    "userId", "externalUserId", "senderId", "sender", "status", "value", "pollId", "timestampUTC", "date",
    "participant", "muted", "talking", "stream", "filename",
}  # fmt: skip
EMOJI_STATUS = {"emojiStatus", "reactionEmoji", "emoji", "mood"}
CAMERA_OF = re.compile(r"(?:^|-)(\w_\w+)-")  # a stream's name says whose it is: low-w_abc123-1772442000


def read(source: Source, gathering: Gathering) -> None:
    """Gather the events. Raises `BadRecording` for what is no such file, or for one that breaks off."""
    events = _Events(source, gathering)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = events.start
    parser.EndElementHandler = events.end
    parser.CharacterDataHandler = events.text
    # Without a DTD there are no entities: none that grow, none that fetch a file.
    parser.StartDoctypeDeclHandler = events.refuse_doctype
    fed = 0
    try:
        for piece in source.pieces():
            parser.Parse(piece, False)
            fed += len(piece)
            source.where = parser.CurrentLineNumber
            if fed - parser.CurrentByteIndex > MAX_TAG:
                raise source.wrong("holds something longer than a megabyte")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        source.where = error.lineno
        raise source.wrong("is not XML, or breaks off") from None
    except (ValueError, LookupError) as error:  # an encoding that nobody knows, or our own words
        source.where = parser.CurrentLineNumber
        raise source.wrong(str(error) if isinstance(error, _Wrong) else "is not XML that can be read") from None


class _Wrong(ValueError):
    """Our own words about what is wrong."""


class _Events:
    """What the parser meets: an `event` has attributes, and fields as its children."""

    def __init__(self, source: Source, gathering: Gathering):
        self._source, self._gathering = source, gathering
        self._path: list[str] = []
        self._event: dict[str, str] | None = None
        self._field: str | None = None
        self._external: dict[str, str] = {}  # a person has another userId after every reload of the page
        self._hands: set[str | None] = set()  # up as an emoji, which any other one lowers
        self._cameras: dict[str | None, set[str]] = {}  # the streams of each person
        self._created: int | None = None
        self._first: int | None = None

    def refuse_doctype(self, *_: object) -> None:
        raise _Wrong("declares a document type, which no events.xml does")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        depth = len(self._path)
        if depth > MAX_DEPTH:
            raise _Wrong("is nested too deeply")
        if depth == 1:
            if name != "recording":
                raise _Wrong("is XML, but no events.xml of BigBlueButton")
            self._note_creation(attributes.get("meeting_id", ""))
        elif depth == 2 and name == "event":
            self._event = {key: attributes.get(key, "") for key in ("timestamp", "module", "eventname")}
        elif depth == 3 and self._event is not None and name in FIELDS:
            self._field = name
            self._event[name] = ""

    def text(self, text: str) -> None:
        if self._field is not None and self._event is not None:
            self._event[self._field] = (self._event[self._field] + text)[:MAX_FIELD]

    def end(self, name: str) -> None:
        self._path.pop()
        self._field = None
        if len(self._path) == 1 and self._event is not None:
            event, self._event = self._event, None
            try:
                self._take({key: value.strip() for key, value in event.items()})
            except ValueError as error:
                raise _Wrong(str(error)) from None

    def _note_creation(self, meeting_id: str) -> None:
        """The id of a meeting ends with the moment it was created: older servers date nothing else."""
        digits = meeting_id.rpartition("-")[2]
        self._created = int(digits) if digits.isascii() and digits.isdigit() and len(digits) == 13 else None

    def _take(self, event: dict[str, str]) -> None:
        take = TAKERS.get((event["module"], event["eventname"]))
        at = self._moment(event)
        if take is not None:
            take(self, event, at)
        else:
            self._gathering.skip(UNUSED.get(event["module"], "events of other kinds"))

    def _moment(self, event: dict[str, str]) -> datetime:
        """`timestamp` counts milliseconds since the server started; newer servers add the moment itself."""
        stamp = _milliseconds(event["timestamp"])
        if self._first is None:
            self._first = stamp
        if event.get("timestampUTC"):
            return _at(_milliseconds(event["timestampUTC"]))
        if event.get("date"):
            try:
                return read_moment(event["date"])
            except ValueError:
                raise ValueError("an event's date cannot be read") from None
        if self._created is None:
            raise ValueError("neither the event nor the meeting says when it was")
        return _at(self._created + stamp - self._first)

    def _person(self, user_id: str) -> str | None:
        """Return the pseudonym of an internal id, or None where there is none."""
        return self._gathering.person(self._external.get(user_id, user_id)) if user_id else None

    def _join(self, event: dict[str, str], at: datetime) -> None:
        self._external[event.get("userId", "")] = event.get("externalUserId") or event.get("userId", "")
        if (user := self._person(event.get("userId", ""))) is None:
            self._gathering.skip("joins of nobody")
        else:
            self._gathering.connect(user, event["userId"], at)

    def _leave(self, event: dict[str, str], at: datetime) -> None:
        if (user := self._person(event.get("userId", ""))) is None:
            self._gathering.skip("leaves of nobody")
        else:
            self._gathering.disconnect(user, event["userId"], at)

    def _chat(self, event: dict[str, str], at: datetime) -> None:
        user = self._person(event.get("senderId") or event.get("userId") or event.get("sender", ""))
        self._gathering.add("chat", at, user)

    def _status(self, event: dict[str, str], at: datetime) -> None:
        status, value = event.get("status", ""), event.get("value", "")
        user = self._person(event.get("userId", ""))
        if status == HAND:
            self._switch(name_hand(value == "true"), at, user)
        elif status in EMOJI_STATUS and value == HAND:
            self._switch("hand_raised", at, user)
            self._hands.add(user)
        else:
            self._take_emoji(value if status in EMOJI_STATUS else "", at, user)

    def _take_emoji(self, value: str, at: datetime, user: str | None) -> None:
        is_lowered = bool(value) and user in self._hands
        if is_lowered:
            self._switch("hand_lowered", at, user)
            self._hands.discard(user)
        if value not in NO_REACTION:
            self._gathering.add("reaction", at, user)
        elif not is_lowered:
            self._gathering.skip("changes of status that are no reaction")

    def _switch(self, kind: str, at: datetime, user: str | None) -> None:
        """Take what a person has up or on; of nobody it is nothing."""
        if user is None:
            self._gathering.skip("hands, microphones and cameras of nobody")
        else:
            self._gathering.add(kind, at, user)

    def _hear(self, event: dict[str, str], at: datetime) -> None:
        """Take that somebody is connected by voice, or mutes themselves."""
        self._switch(name_microphone(event.get("muted", "") == "true"), at, self._person(event.get("participant", "")))

    def _hang_up(self, event: dict[str, str], at: datetime) -> None:
        self._switch("mic_off", at, self._person(event.get("participant", "")))

    def _talk(self, event: dict[str, str], at: datetime) -> None:
        self._switch(name_voice(event.get("talking") == "true"), at, self._person(event.get("participant", "")))

    def _start_camera(self, event: dict[str, str], at: datetime) -> None:
        stream, user = self._stream(event)
        streams = self._cameras.setdefault(user, set())
        if not streams:
            self._switch("camera_on", at, user)
        streams.add(stream)

    def _stop_camera(self, event: dict[str, str], at: datetime) -> None:
        """Take the end of a stream; the camera goes off with a person's last one."""
        stream, user = self._stream(event)
        streams = self._cameras.setdefault(user, set())
        streams.discard(stream)
        if not streams:
            self._switch("camera_off", at, user)

    def _stream(self, event: dict[str, str]) -> tuple[str, str | None]:
        """Return a webcam's stream, and whose it is."""
        stream = event.get("stream") or event.get("filename", "")
        owner = CAMERA_OF.search(stream.rpartition("/")[2])
        return stream, self._person(event.get("userId") or (owner[1] if owner else ""))

    def _open_poll(self, event: dict[str, str], at: datetime) -> None:
        self._gathering.add("poll_opened", at, poll=self._gathering.poll(event.get("pollId", "")))

    def _vote(self, event: dict[str, str], at: datetime) -> None:
        poll = self._gathering.poll(event.get("pollId", ""))
        self._gathering.add("poll_vote", at, self._person(event.get("userId", "")), poll)

    def _close_poll(self, event: dict[str, str], at: datetime) -> None:
        self._gathering.add("poll_closed", at, poll=self._gathering.poll(event.get("pollId", "")))

    def _end_meeting(self, event: dict[str, str], at: datetime) -> None:
        self._gathering.ended_at = at


TAKERS: dict[tuple[str, str], Callable[[_Events, dict[str, str], datetime], None]] = {
    ("PARTICIPANT", "ParticipantJoinEvent"): _Events._join,
    ("PARTICIPANT", "ParticipantLeftEvent"): _Events._leave,
    ("PARTICIPANT", "ParticipantStatusChangeEvent"): _Events._status,
    ("PARTICIPANT", "EndAndKickAllEvent"): _Events._end_meeting,
    ("CHAT", "PublicChatEvent"): _Events._chat,
    ("VOICE", "ParticipantJoinedEvent"): _Events._hear,
    ("VOICE", "ParticipantMutedEvent"): _Events._hear,
    ("VOICE", "ParticipantLeftEvent"): _Events._hang_up,
    ("VOICE", "ParticipantTalkingEvent"): _Events._talk,
    ("WEBCAM", "StartWebcamShareEvent"): _Events._start_camera,
    ("WEBCAM", "StopWebcamShareEvent"): _Events._stop_camera,
    ("bbb-webrtc-sfu", "StartWebRTCShareEvent"): _Events._start_camera,
    ("bbb-webrtc-sfu", "StopWebRTCShareEvent"): _Events._stop_camera,
    ("POLL", "PollStartedRecordEvent"): _Events._open_poll,
    ("POLL", "UserRespondedToPollRecordEvent"): _Events._vote,
    ("POLL", "PollStoppedRecordEvent"): _Events._close_poll,
}
UNUSED = {
    "WHITEBOARD": "whiteboard events",
    "PRESENTATION": "presentation events",
    "VOICE": "voice events",
    "WEBCAM": "webcam events",
    "DESKSHARE": "screen sharing events",
    "bbb-webrtc-sfu": "webcam and screen sharing events",
}


def _milliseconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError("an event has no timestamp")
    return int(text)


def _at(milliseconds: int) -> datetime:
    try:
        return EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise ValueError("an event's time cannot be read") from None


def _knows(look: Look) -> bool:
    start = look.start[:2000].lower()
    return start.startswith("<") and not start.startswith(HTML) and OF_EXCEL not in start


FORMAT = Format(
    name="BigBlueButton events",
    platform="BigBlueButton",
    export="A recording’s events.xml, with hands, microphones, cameras and who talks.",
    knows=_knows,
    read=read,
)
