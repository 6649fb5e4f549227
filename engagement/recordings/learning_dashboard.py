"""Read the data of BigBlueButton's learning dashboard: who came and went, reacted, raised a hand, voted. Pure."""

import json
from collections.abc import Iterator
from datetime import datetime

from engagement.classroom import HAND, NO_REACTION
from engagement.recordings.formats import Format, Look
from engagement.recordings.messages import get, get_list, get_text, number, read_stamp
from engagement.recordings.recording import BadRecording, Gathering
from engagement.recordings.source import Source
from engagement.recordings.stays import merge

MAX_BYTES = 16 * 1024 * 1024  # it is read at once; a thousand people take one of them


def _knows(look: Look) -> bool:
    return look.start.startswith("{") and '"intIds"' in look.text and '"users"' in look.text


def _read(source: Source, gathering: Gathering) -> None:
    document = _load(source)
    ended = _moment(get(document, "endedOn"))
    users = get(document, "users")
    for key, user in users.items() if isinstance(users, dict) else ():
        try:
            _gather_user(key, user, ended, gathering)
        except ValueError as error:
            raise BadRecording(f"{source.name}: {error}") from None
    polls = get(document, "polls")
    if isinstance(polls, dict) and polls:  # when each was opened is there, and nothing of when anybody voted
        gathering.skip("polls that tell nothing of when people voted", len(polls))
    gathering.ended_at = ended


def _load(source: Source) -> object:
    size, pieces = 0, []
    for piece in source.pieces():
        size += len(piece)
        if size > MAX_BYTES:
            raise BadRecording(f"{source.name} is larger than {MAX_BYTES // 2**20} MB, as no learning dashboard is")
        pieces.append(piece)
    try:
        return json.loads(b"".join(pieces))
    except (ValueError, RecursionError):
        raise BadRecording(f"{source.name}: is not JSON, or breaks off") from None


def _gather_user(key: str, user: object, ended: datetime | None, gathering: Gathering) -> None:
    person = gathering.person(("bbb-person", get_text(user, "extId") or get_text(user, "userKey") or key))
    spans = [(joined, left or ended) for joined, left in _sessions(user)]
    for joined, left in merge((joined, left) for joined, left in spans if left is not None and left >= joined):
        gathering.add("join", joined, person)
        gathering.add("leave", left, person)
    for begin, end in spans:
        if end is None:  # still there when the file was made
            gathering.add("join", begin, person)
    for each in (*get_list(user, "reactions"), *get_list(user, "emojis")):
        at, name = _moment(get(each, "sentOn")), get_text(each, "name")
        if at is None or name in {HAND, *NO_REACTION}:
            gathering.skip("changes of status that are no reaction")
        else:
            gathering.add("reaction", at, person)
    for each in get_list(user, HAND):
        at = _moment(each if not isinstance(each, dict) else get(each, "sentOn"))
        if at is not None:
            gathering.add("hand_raised", at, person)
    for each in get_list(user, "webcams"):
        started, stopped = _moment(get(each, "startedOn")), _moment(get(each, "stoppedOn")) or ended
        if started is not None:
            gathering.add("camera_on", started, person)
            if stopped is not None:
                gathering.add("camera_off", stopped, person)
    messages = number(get(user, "totalOfMessages"))
    if messages:
        gathering.skip("messages that tell no time", int(messages))
    answers = get(user, "answers")
    if isinstance(answers, dict) and answers:
        gathering.skip("votes that tell no time", len(answers))


def _sessions(user: object) -> Iterator[tuple[datetime, datetime | None]]:
    """Yield when a person was connected; older versions tell one time for each id."""
    ids = get(user, "intIds")
    for each in ids.values() if isinstance(ids, dict) else ():
        for session in get_list(each, "sessions") or [each]:
            joined = _moment(get(session, "registeredOn"))
            if joined is not None:
                yield joined, _moment(get(session, "leftOn"))


def _moment(value: object) -> datetime | None:
    """Return a moment in milliseconds; 0 stands for what did not happen."""
    return read_stamp(value) if number(value) else None


FORMAT = Format(
    name="BigBlueButton learning dashboard",
    platform="BigBlueButton",
    export=(
        "The learning dashboard’s data, learning_dashboard_data.json: who came and went, reacted, raised a hand, had a "
        "camera on."
    ),
    knows=_knows,
    read=_read,
)
