"""Read a day of a channel as Slack exports it. Pure."""

from engagement.recordings.documents import JsonObject
from engagement.recordings.messages import Offsets, chat_format, get, person, read_stamp, skip_reactions
from engagement.recordings.recording import Gathering

# Messages are those without a subtype, and these.
SPOKEN = {"", "me_message", "thread_broadcast", "file_share", "file_comment", "reply_broadcast"}


def _looks(item: JsonObject) -> bool:
    return item.get("type") == "message" and isinstance(item.get("ts"), str)


def _take(item: JsonObject, offsets: Offsets, gathering: Gathering) -> None:
    subtype = str(item.get("subtype") or "")
    if subtype == "bot_message" or (item.get("bot_id") and not item.get("user")):
        gathering.skip("messages of bots")
    elif item.get("type") != "message" or subtype not in SPOKEN:
        gathering.skip("notices of the platform")
    else:
        at = read_stamp(item.get("ts")) or offsets.place(None)
        gathering.add(
            "chat", at, person(gathering, item.get("user"), item.get("username"), get(item, "user_profile", "name"))
        )
        skip_reactions(item, gathering)


FORMAT = chat_format(
    "Slack export",
    "Slack",
    "A day of a channel out of the workspace’s export, ….json.",
    _looks,
    _take,
)
