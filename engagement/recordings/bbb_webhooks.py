"""Read what BigBlueButton's webhooks tell of a meeting: their mapped events, as many as were kept. Pure."""

from collections.abc import Callable
from datetime import datetime

from engagement.classroom import HAND, NO_REACTION, PUBLIC_CHAT, name_hand, name_microphone
from engagement.recordings.documents import JsonObject
from engagement.recordings.messages import Offsets, chat_format, get, get_text, read_stamp
from engagement.recordings.recording import Gathering


def _looks(item: JsonObject) -> bool:
    return get(item, "data", "type") == "event" and isinstance(get(item, "data", "id"), str)


def _take(item: JsonObject, offsets: Offsets, gathering: Gathering) -> None:
    event = get(item, "data")
    take = TAKERS.get(get_text(event, "id"))
    if take is None:
        gathering.skip("events of other kinds")
        return
    at = read_stamp(get(event, "event", "ts"))
    if at is None:
        raise ValueError("an event has no timestamp")
    take(event, at, gathering)


def _person(event: object, gathering: Gathering) -> str | None:
    """Return the pseudonym of whom an event tells. Who joins again has another internal id; chat knows only that."""
    internal = get_text(event, "attributes", "user", "internal-user-id")
    external = get_text(event, "attributes", "user", "external-user-id")
    sender = get_text(event, "attributes", "chat-message", "sender", "internal-user-id")
    if external:
        aliases = [("bbb", internal)] if internal else []
        return gathering.person(("bbb-person", external), *aliases)
    known = internal or sender
    return gathering.person(("bbb", known)) if known else None


def _come_or_go(*, comes: bool) -> "Take":
    def take(event: object, at: datetime, gathering: Gathering) -> None:
        user = _person(event, gathering)
        connection = get_text(event, "attributes", "user", "internal-user-id")
        if user is None:
            gathering.skip("joins of nobody" if comes else "leaves of nobody")
        elif comes:
            gathering.connect(user, connection, at)
        else:
            gathering.disconnect(user, connection, at)

    return take


def _switch(kind: str) -> "Take":
    def take(event: object, at: datetime, gathering: Gathering) -> None:
        user = _person(event, gathering)
        if user is None:
            gathering.skip("hands, microphones and cameras of nobody")
        else:
            gathering.add(kind, at, user)

    return take


def _chat(event: object, at: datetime, gathering: Gathering) -> None:
    if get_text(event, "attributes", "chat-id") not in ("", PUBLIC_CHAT):
        gathering.skip("private messages")
    else:
        gathering.add("chat", at, _person(event, gathering))


def _raise_hand(event: object, at: datetime, gathering: Gathering) -> None:
    is_up = get(event, "attributes", "user", "raise-hand")
    _switch(name_hand(is_up in (True, "true")))(event, at, gathering)


def _react(event: object, at: datetime, gathering: Gathering) -> None:
    emoji = get_text(event, "attributes", "user", "emoji")
    if emoji == HAND:
        _switch("hand_raised")(event, at, gathering)
    elif emoji in NO_REACTION:
        gathering.skip("changes of status that are no reaction")
    else:
        gathering.add("reaction", at, _person(event, gathering))


def _connect_voice(event: object, at: datetime, gathering: Gathering) -> None:
    """Take that somebody is connected by voice; who only listens has no microphone."""
    user = get(event, "attributes", "user")
    is_off = get(user, "listening-only") is True or get(user, "muted") is True
    _switch(name_microphone(is_off))(event, at, gathering)


def _open_poll(event: object, at: datetime, gathering: Gathering) -> None:
    gathering.add("poll_opened", at, poll=gathering.poll(get_text(event, "attributes", "poll", "id")))


def _vote(event: object, at: datetime, gathering: Gathering) -> None:
    """Take that somebody votes, and nobody knows who: the event names the presenter as whoever voted."""
    gathering.add("poll_vote", at, poll=gathering.poll(get_text(event, "attributes", "poll", "id")))


def _end(event: object, at: datetime, gathering: Gathering) -> None:
    gathering.ended_at = at


Take = Callable[[object, datetime, Gathering], None]
TAKERS: dict[str, Take] = {
    "user-joined": _come_or_go(comes=True),
    "user-left": _come_or_go(comes=False),
    "chat-group-message-sent": _chat,
    "user-emoji-changed": _react,
    "user-raise-hand-changed": _raise_hand,
    "user-audio-voice-enabled": _connect_voice,
    "user-audio-voice-disabled": _switch("mic_off"),
    "user-audio-muted": _switch("mic_off"),
    "user-audio-unmuted": _switch("mic_on"),
    "user-cam-broadcast-start": _switch("camera_on"),
    "user-cam-broadcast-end": _switch("camera_off"),
    "poll-started": _open_poll,
    "poll-responded": _vote,
    "meeting-ended": _end,
}
FORMAT = chat_format(
    "BigBlueButton webhooks",
    "BigBlueButton",
    "The events of its webhooks in their mapped form, one JSON object a line or an array of them.",
    _looks,
    _take,
)
