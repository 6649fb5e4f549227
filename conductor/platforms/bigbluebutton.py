"""BigBlueButton's webhooks: whether a server that knows the secret sent them, and what they tell. Pure.

`bbb-webhooks` sends events in words of its own ("mapped"), or, where a hook asks for it, the server's messages as they
are ("raw"). Both are read. Mapped ones tell neither who talks nor when a poll ends, and name the presenter as whoever
voted: so a vote is one more voter there, and nobody's.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from conductor.platforms.told import Act, Told, Unreadable, find, from_milliseconds, text
from engagement.classroom import PUBLIC_CHAT, name_hand, name_microphone, name_voice

ALGORITHMS = {40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}  # by the length of what they give
MOST_EVENTS = 1_000  # of one request
NOBODY = "not-used"  # as the server calls itself


def is_signed(addresses: Iterable[str], checksum: str, bearer: str | None, body: bytes, secret: str) -> bool:
    """Tell whether whoever sent this knows the server's secret: by a checksum, or as the bearer of it.

    `addresses` are those under which we may have been registered. What was counted without the body, as some releases
    of bbb-webhooks before 3.4 do, tells nothing of it, and is refused.
    """
    if bearer is not None:
        return hmac.compare_digest(bearer.encode("utf-8", "replace"), secret.encode())
    if (algorithm := ALGORITHMS.get(len(checksum))) is None or not checksum.isascii():
        return False
    expected = [
        hashlib.new(algorithm, address.encode() + signed + secret.encode()).hexdigest()
        for address in addresses
        for signed in _signed_forms(body)
    ]
    return any(hmac.compare_digest(each, checksum.lower()) for each in expected)


def _signed_forms(body: bytes) -> list[bytes]:
    """Return what the checksum may be of: the form as it is sent, or, by older servers, the JSON of its fields."""
    try:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=10))
    except ValueError:
        return [body]
    stamp = fields.get("timestamp", "")
    document = fields | {"timestamp": int(stamp)} if stamp.isascii() and stamp.isdigit() else fields
    return [body, json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")]


def write_registration(address: str, secret: str) -> str:
    """Return the call that registers us, to be put behind a server's address: it holds the secret's digest only."""
    query = urlencode({"callbackURL": address})
    checksum = hashlib.sha256(f"hooks/create{query}{secret}".encode()).hexdigest()
    return f"/bigbluebutton/api/hooks/create?{query}&checksum={checksum}"


def read(body: bytes) -> list[Told]:
    """Return what a request tells, in its order. Raises `Unreadable`."""
    events = _events(body)
    if len(events) > MOST_EVENTS:
        raise Unreadable(f"it has more than {MOST_EVENTS:,} events")
    return [_read(event) for event in events]


def _events(body: bytes) -> list[object]:
    try:
        whole = body.decode()
        form = whole if whole.lstrip().startswith("[") else dict(parse_qsl(whole, max_num_fields=10)).get("event", "")
        events = json.loads(form)
    except (ValueError, RecursionError):
        raise Unreadable("it is no form with events as JSON") from None
    if not isinstance(events, list):
        raise Unreadable("its events are no list")
    return events


@dataclass(frozen=True, slots=True)
class _Event:
    """An event of either form, as far as we look at it."""

    name: str
    at: datetime | None
    meeting: str
    title: str
    internal: str  # of a connection: another one after every reload of the page
    external: str  # of a person
    poll: str
    detail: Mapping[str, object]  # its other fields, by their raw names
    is_raw: bool

    @property
    def told(self) -> Told:
        """What can be said of it before it is known what it is."""
        return Told(self.name, at=self.at, meeting=self.meeting, title=self.title)

    def act(self, act: str, about: object = "") -> Told:
        """Return that a person did something; `about` tells it from others of their moment."""
        id_ = f"{self.name} {self.at} {self.internal} {about}"
        person = "" if self.external in ("", self.internal) else f"external {self.external}"
        return replace(self.told, act=act, person=person, connection=self.internal, id=id_, poll=self.poll)


def _read(event: object) -> Told:
    read = _read_raw(event) if isinstance(event, dict) and "envelope" in event else _read_mapped(event)
    take = TAKERS.get(read.name)
    if take is None or not read.meeting:
        return read.told
    return take(read)


def _read_mapped(event: object) -> _Event:
    meeting, user = find(event, "data", "attributes", "meeting"), find(event, "data", "attributes", "user")
    message, attributes = find(event, "data", "attributes", "chat-message"), find(event, "data", "attributes")
    return _Event(
        name=text(event, "data", "id"),
        at=from_milliseconds(find(message, "sender", "time") or find(event, "data", "event", "ts")),
        meeting=text(meeting, "internal-meeting-id"),
        title=text(meeting, "name"),
        internal=text(user, "internal-user-id") or text(message, "sender", "internal-user-id"),
        external=text(user, "external-user-id") or text(message, "sender", "external-user-id"),
        poll=text(attributes, "poll", "id"),
        detail={
            "chatId": find(attributes, "chat-id"),
            "messageId": find(message, "id"),
            "emoji": find(user, "emoji"),
            "raiseHand": find(user, "raise-hand"),
            "muted": find(user, "muted"),
            "listenOnly": find(user, "listening-only"),
            "answerIds": find(attributes, "poll", "answerIds"),
        },
        is_raw=False,
    )


def _read_raw(event: object) -> _Event:
    header, body = find(event, "core", "header"), find(event, "core", "body")
    created = find(body, "props", "meetingProp")
    message = find(body, "msg")
    # Whom the header names may be the presenter, to whom the message goes.
    internal = text(body, "intId") or text(body, "userId") or text(message, "sender", "id") or text(header, "userId")
    return _Event(
        name=text(event, "envelope", "name"),
        at=from_milliseconds(find(message, "timestamp") or find(event, "envelope", "timestamp")),
        meeting=text(header, "meetingId") or text(created, "intId") or text(body, "meetingId"),
        title=text(created, "name"),
        internal="" if internal == NOBODY else internal,
        external=text(body, "extId"),
        poll=text(body, "pollId") or text(body, "poll", "id"),
        detail={
            "chatId": find(body, "chatId"),
            "messageId": find(message, "id"),
            "emoji": find(body, "emoji") or find(body, "reactionEmoji"),
            "raiseHand": find(body, "raiseHand"),
            "muted": find(body, "muted"),
            "listenOnly": find(body, "listenOnly"),
            "talking": find(body, "talking"),
            "answerIds": find(body, "answerIds"),
        },
        is_raw=True,
    )


def _begin(event: _Event) -> Told:
    return replace(event.told, act=Act.BEGIN)


def _end(event: _Event) -> Told:
    return replace(event.told, act=Act.END)


def _by_person(act: str) -> Callable[[_Event], Told]:
    """Return what reads that somebody did something; of nobody it is nothing."""
    return lambda event: event.act(act) if event.internal else event.told


def _chat(event: _Event) -> Told:
    """Read that something was written to everybody; its text is not looked at."""
    id_ = event.detail["messageId"]
    if event.detail["chatId"] != PUBLIC_CHAT or not id_:
        return event.told
    return replace(event.act("chat"), id=f"chat {id_}")


def _emoji(event: _Event) -> Told:
    emoji = str(event.detail["emoji"])[:100]
    return replace(event.act(Act.EMOJI, emoji), emoji=emoji) if event.internal else event.told


def _hand(event: _Event) -> Told:
    is_up = event.detail["raiseHand"]
    return event.act(name_hand(is_up), is_up) if event.internal and isinstance(is_up, bool) else event.told


def _hear(event: _Event) -> Told:
    """Read that somebody is connected by voice, or mutes themselves; who only listens has no microphone."""
    is_off = event.detail["muted"] is True or event.detail["listenOnly"] is True
    return event.act(name_microphone(is_off), is_off) if event.internal else event.told


def _talk(event: _Event) -> Told:
    is_talking = event.detail["talking"]
    return (
        event.act(name_voice(is_talking), is_talking) if event.internal and isinstance(is_talking, bool) else event.told
    )


def _poll(act: str) -> Callable[[_Event], Told]:
    return lambda event: (
        replace(event.told, act=act, poll=event.poll, id=f"{act} {event.poll}") if event.poll else event.told
    )


def _vote(event: _Event) -> Told:
    if not event.poll:
        return event.told
    vote = event.act("poll_vote", f"{event.poll} {event.detail['answerIds']}")
    return vote if event.is_raw else replace(vote, person="", connection="")


TAKERS: dict[str, Callable[[_Event], Told]] = {
    "meeting-created": _begin,
    "meeting-ended": _end,
    "user-joined": _by_person("join"),
    "user-left": _by_person("leave"),
    "chat-group-message-sent": _chat,
    "user-emoji-changed": _emoji,
    "user-raise-hand-changed": _hand,
    "user-audio-voice-enabled": _hear,
    "user-audio-muted": _hear,
    "user-audio-unmuted": _hear,
    "user-audio-voice-disabled": _by_person("mic_off"),
    "user-cam-broadcast-start": _by_person("camera_on"),
    "user-cam-broadcast-end": _by_person("camera_off"),
    "poll-started": _poll("poll_opened"),
    "poll-responded": _vote,
    "MeetingCreatedEvtMsg": _begin,
    "MeetingDestroyedEvtMsg": _end,
    "UserJoinedMeetingEvtMsg": _by_person("join"),
    "UserLeftMeetingEvtMsg": _by_person("leave"),
    "GroupChatMessageBroadcastEvtMsg": _chat,
    "UserEmojiChangedEvtMsg": _emoji,
    "UserReactionEmojiChangedEvtMsg": _emoji,
    "UserRaiseHandChangedEvtMsg": _hand,
    "UserJoinedVoiceConfToClientEvtMsg": _hear,
    "UserMutedVoiceEvtMsg": _hear,
    "UserLeftVoiceConfToClientEvtMsg": _by_person("mic_off"),
    "UserTalkingVoiceEvtMsg": _talk,
    "UserBroadcastCamStartedEvtMsg": _by_person("camera_on"),
    "UserBroadcastCamStoppedEvtMsg": _by_person("camera_off"),
    "PollStartedEvtMsg": _poll("poll_opened"),
    "PollStoppedEvtMsg": _poll("poll_closed"),
    "UserRespondedToPollRespMsg": _vote,
    "UserRespondedToPollRecordMsg": _vote,
}
