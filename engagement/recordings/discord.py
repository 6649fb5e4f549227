"""Read a channel as DiscordChatExporter stores it. Pure."""

from engagement.recordings.documents import JsonObject
from engagement.recordings.messages import Offsets, chat_format, get, is_repeat, person, read_stamp
from engagement.recordings.recording import Gathering

SPOKEN = {"Default", "Reply", "ChatInputCommand", "ThreadStarterMessage", "0", "19", "20", "21"}


def _looks(item: JsonObject) -> bool:
    return isinstance(item.get("timestamp"), str) and "content" in item and isinstance(item.get("author"), dict)


def _take(item: JsonObject, offsets: Offsets, gathering: Gathering) -> None:
    if is_repeat(gathering, item.get("id")):
        return
    if str(item.get("type", "Default")) not in SPOKEN:
        gathering.skip("notices of the platform")
    elif get(item, "author", "isBot") is True:
        gathering.skip("messages of bots")
    else:
        at = read_stamp(item.get("timestamp")) or offsets.place(None)
        gathering.add("chat", at, person(gathering, get(item, "author", "id"), get(item, "author", "name")))
        reactions = item.get("reactions")
        for each in reactions if isinstance(reactions, list) else []:
            count = get(each, "count")
            gathering.skip("reactions that tell no time", count if isinstance(count, int) and count > 0 else 1)


FORMAT = chat_format(
    "Discord export",
    "Discord",
    "A channel as DiscordChatExporter stores it (JSON).",
    _looks,
    _take,
)
