"""Read what chat downloaders store, of Twitch, YouTube and others, and Twitch's own answers. Pure."""

import re

from engagement.recordings.documents import JsonObject, is_lines
from engagement.recordings.messages import (
    Offsets,
    chat_format,
    get,
    is_repeat,
    number,
    person,
    read_stamp,
)
from engagement.recordings.recording import Gathering

COMMENTS = re.compile(r'"comments"\s*:\s*\[')
SECONDS = ("content_offset_seconds", "contentOffsetSeconds", "time_in_seconds")
AUTHOR_IDS = ("_id", "id", "name", "login", "display_name", "displayName")
NOTICES = {
    "viewer_engagement_message", "mode_change", "mode_change_message", "auto_moderation_message", "banner", "poll",
    "ban_user", "clear_chat", "delete_message", "room_state", "user_state", "notice", "host_target", "raid", "unraid",
    "placeholder_item", "remove_chat_item", "ticker_paid_message_item", "ticker_sponsor_item", "reconnect",
    "join_channel", "leave_channel", "successful_login", "capabilities_acknowledged", "enable_r9k", "disable_r9k",
}  # fmt: skip


def take(item: JsonObject, offsets: Offsets, gathering: Gathering) -> None:
    """Gather a message or comment; what has no message is a notice."""
    if is_repeat(gathering, item.get("_id") or item.get("message_id") or (item.get("id") if _is_own(item) else None)):
        return
    if "message" not in item or str(item.get("message_type")) in NOTICES:
        gathering.skip("notices of the platform")
        return
    at = read_stamp(item.get("created_at") or item.get("createdAt") or item.get("timestamp"))
    seconds = number(next((item[name] for name in SECONDS if name in item), None))
    author = item.get("commenter") or item.get("author")
    if isinstance(author, dict):
        user = person(gathering, *(get(author, name) for name in AUTHOR_IDS))
    else:
        user = person(gathering, item.get("author_id"), author)
    if at is not None and seconds is not None:
        offsets.keep(seconds, at, user)
    else:
        gathering.add("chat", at or offsets.place(seconds), user)


def _is_own(item: JsonObject) -> bool:
    """Tell whether it is a comment as Twitch itself answers it."""
    return "contentOffsetSeconds" in item


def _is_comment(item: JsonObject) -> bool:
    return "content_offset_seconds" in item or _is_own(item) or ("commenter" in item and "message" in item)


def _is_message(item: JsonObject) -> bool:
    is_message = "message" in item and ("author" in item or "author_id" in item)
    return is_message or "action_type" in item or "time_in_seconds" in item or "message_type" in item


TWITCH = chat_format(
    "Twitch chat",
    "Twitch",
    "The chat as a downloader such as TwitchDownloader stores it, or as Twitch answers it (JSON).",
    _is_comment,
    take,
    knows_else=lambda look: COMMENTS.search(look.text) is not None,
    lacks_dates=True,
)
CHAT_DOWNLOADER = chat_format(
    "chat-downloader chat",
    "chat-downloader",
    "The chat of Twitch, YouTube and others as it stores it: JSON, JSON Lines, or text with times.",
    _is_message,
    take,
    # One whose first message lies behind too much else, or breaks off, is read as what most are.
    knows_else=lambda look: not look.items and not is_lines(look.start),
    lacks_dates=True,
)
