"""Read YouTube's live chat: as yt-dlp stores it, as the API answers it, and as pytchat does. Pure."""

from engagement.recordings.documents import JsonObject
from engagement.recordings.messages import (
    Offsets,
    chat_format,
    get,
    get_text,
    is_repeat,
    number,
    person,
    read_stamp,
)
from engagement.recordings.recording import Gathering

REPLAY = "replayChatItemAction"
ADD = "addChatItemAction"
MESSAGES = {
    "liveChatTextMessageRenderer",
    "liveChatPaidMessageRenderer",
    "liveChatPaidStickerRenderer",
    "liveChatMembershipItemRenderer",
}
NOTICES = {
    "messageDeletedEvent", "messageRetractedEvent", "userBannedEvent", "chatEndedEvent", "sponsorOnlyModeStartedEvent",
    "sponsorOnlyModeEndedEvent", "tombstone",
}  # fmt: skip
API_MESSAGE = "youtube#liveChatMessage"
KINDS_OF_PYTCHAT = {"textMessage", "superChat", "superSticker", "newSponsor"}


def _take_stored(item: JsonObject, offsets: Offsets, gathering: Gathering) -> None:
    """Gather an action, or several of one moment, as yt-dlp stores them."""
    action = item if ADD in item else item.get(REPLAY)
    if not isinstance(action, dict):
        gathering.skip("lines that are no chat")
        return
    actions = [action] if ADD in action else action.get("actions")
    for each in actions if isinstance(actions, list) else []:
        _take_action(each, action.get("videoOffsetTimeMsec", item.get("videoOffsetTimeMsec")), offsets, gathering)


def _take_action(action: object, offset: object, offsets: Offsets, gathering: Gathering) -> None:
    found = get(action, ADD, "item")
    kind, message = next(iter(found.items()), ("", {})) if isinstance(found, dict) else ("", {})
    if kind not in MESSAGES:
        gathering.skip("notices of the platform")
        return
    if is_repeat(gathering, get(message, "id")):
        return
    milliseconds = number(offset)
    at = read_stamp(get(message, "timestampUsec"))
    at = at or offsets.place(None if milliseconds is None else milliseconds / 1000)
    author = person(gathering, get(message, "authorExternalChannelId"), get(message, "authorName", "simpleText"))
    gathering.add("chat", at, author)


def _take_answered(item: JsonObject, offsets: Offsets, gathering: Gathering) -> None:
    """Gather a message as the API's `liveChatMessages.list` answers it."""
    if is_repeat(gathering, item.get("id")):
        return
    if get_text(item, "snippet", "type") in NOTICES or item.get("kind") != API_MESSAGE:
        gathering.skip("notices of the platform")
        return
    at = read_stamp(get(item, "snippet", "publishedAt")) or offsets.place(None)
    channel = get(item, "authorDetails", "channelId") or get(item, "snippet", "authorChannelId")
    gathering.add("chat", at, person(gathering, channel, get(item, "authorDetails", "displayName")))


def _take_pytchat(item: JsonObject, offsets: Offsets, gathering: Gathering) -> None:
    if is_repeat(gathering, item.get("id")):
        return
    if get_text(item, "type") not in KINDS_OF_PYTCHAT:
        gathering.skip("notices of the platform")
        return
    at = read_stamp(item.get("timestamp")) or offsets.place(None)
    gathering.add("chat", at, person(gathering, get(item, "author", "channelId"), get(item, "author", "name")))


STORED = chat_format(
    "YouTube live chat",
    "YouTube",
    "The live chat as yt-dlp stores it, ….live_chat.json.",
    lambda item: REPLAY in item or ADD in item,
    _take_stored,
    lacks_dates=True,
)
ANSWERED = chat_format(
    "YouTube live chat (API)",
    "YouTube",
    "What the API's liveChatMessages.list answers (JSON), one page or several.",
    lambda item: item.get("kind") == API_MESSAGE or isinstance(get(item, "snippet", "liveChatId"), str),
    _take_answered,
)
PYTCHAT = chat_format(
    "YouTube live chat (pytchat)",
    "YouTube",
    "The live chat as pytchat stores it (JSON).",
    lambda item: "messageEx" in item or (get_text(item, "type") in KINDS_OF_PYTCHAT and "elapsedTime" in item),
    _take_pytchat,
)
