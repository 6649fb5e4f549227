"""What BigBlueButton signs and tells, mapped and raw, as it is read."""

import hashlib
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.platforms import bigbluebutton
from conductor.platforms.told import Act, Told, Unreadable
from conductor.tests.platforms.payloads import SHARED, Classroom, form, milliseconds, user

START = datetime(2026, 3, 2, 9, 0, 0, 250_000, tzinfo=UTC)
ADDRESS = "https://live.example.org/api/v1/platforms/1"
ROOM = Classroom()
BODY = form([ROOM.mapped("user-joined", START, user("w_1", "ada"))], START)


def read(event: object) -> Told:
    [told] = bigbluebutton.read(form([event], START))
    return told


def checksum(signed: bytes, algorithm: str = "sha1", address: str = ADDRESS, secret: str = SHARED) -> str:
    return hashlib.new(algorithm, address.encode() + signed + secret.encode()).hexdigest()


def is_signed(given: str, body: bytes = BODY, bearer: str | None = None) -> bool:
    return bigbluebutton.is_signed(["http://inside/", ADDRESS], given, bearer, body, SHARED)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_checksum_is_of_the_address_the_body_and_the_secret(algorithm):
    assert is_signed(checksum(BODY, algorithm))
    assert not is_signed(checksum(BODY, algorithm), BODY + b"&")
    assert not is_signed(checksum(BODY, algorithm, secret="another"))
    assert not is_signed(checksum(BODY, algorithm, address="https://elsewhere.example.org/"))


def test_checksum_of_older_servers_is_of_the_fields_as_json():
    event = json.dumps([{"data": {"id": "user-joined", "name": "Zoë"}}], ensure_ascii=False, separators=(",", ":"))
    fields = {"event": event, "timestamp": 1772442000250, "domain": "class.example.org"}
    signed = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    assert is_signed(checksum(signed), urlencode(fields).encode())
    assert not is_signed(checksum(signed), urlencode(fields | {"event": "[]"}).encode())


def test_checksum_that_leaves_the_body_out_is_refused():
    assert not is_signed(checksum(b"{}"))
    assert not is_signed(checksum(b""))


@pytest.mark.parametrize("given", ["", "0", "é" * 40, "0" * 40, "0" * 64])
def test_checksum_that_is_none_is_refused(given):
    assert not is_signed(given)


def test_bearer_of_the_secret_is_taken_and_no_other():
    assert is_signed("", bearer=SHARED)
    assert not is_signed(checksum(BODY), bearer="another")
    assert not is_signed(checksum(BODY), bearer="")


def test_registration_is_what_the_server_checks():
    call = urlsplit(bigbluebutton.write_registration(ADDRESS, SHARED))
    assert call.path == "/bigbluebutton/api/hooks/create"
    query, _, given = call.query.rpartition("&checksum=")
    assert given == hashlib.sha256(f"hooks/create{query}{SHARED}".encode()).hexdigest()
    assert parse_qs(query) == {"callbackURL": [ADDRESS]}
    assert SHARED not in call.geturl()


ADA = {"person": "external ada", "connection": "w_1"}
USER = user("w_1", "ada")
CHAT = {"id": "m-1", "message": "secret words", "sender": user("w_1", "ada") | {"time": milliseconds(START)}}
CHAT_ID = {"chat-id": "MAIN-PUBLIC-GROUP-CHAT"}
BOTH = {
    "joined": (("user-joined", USER), ("UserJoinedMeetingEvtMsg", {"intId": "w_1", "extId": "ada"}), "join", ADA),
    "left": (("user-left", USER), ("UserLeftMeetingEvtMsg", {"intId": "w_1"}), "leave", {"connection": "w_1"}),
    "hand": (
        ("user-raise-hand-changed", USER | {"raise-hand": True}),
        ("UserRaiseHandChangedEvtMsg", {"userId": "w_1", "raiseHand": True}), "hand_raised", {"connection": "w_1"}),
    "hand down": (
        ("user-raise-hand-changed", USER | {"raise-hand": False}),
        ("UserRaiseHandChangedEvtMsg", {"userId": "w_1", "raiseHand": False}), "hand_lowered", {"connection": "w_1"}),
    "emoji": (
        ("user-emoji-changed", USER | {"emoji": "applause"}),
        ("UserReactionEmojiChangedEvtMsg", {"userId": "w_1", "reactionEmoji": "applause"}), Act.EMOJI,
        {"emoji": "applause"}),
    "voice": (
        ("user-audio-voice-enabled", USER | {"listening-only": False, "muted": False}),
        ("UserJoinedVoiceConfToClientEvtMsg", {"intId": "w_1", "muted": False, "listenOnly": False}), "mic_on", {}),
    "listens": (
        ("user-audio-voice-enabled", USER | {"listening-only": True, "muted": False}),
        ("UserJoinedVoiceConfToClientEvtMsg", {"intId": "w_1", "muted": False, "listenOnly": True}), "mic_off", {}),
    "muted": (
        ("user-audio-muted", USER | {"muted": True}), ("UserMutedVoiceEvtMsg", {"intId": "w_1", "muted": True}),
        "mic_off", {}),
    "unmuted": (
        ("user-audio-unmuted", USER | {"muted": False}), ("UserMutedVoiceEvtMsg", {"intId": "w_1", "muted": False}),
        "mic_on", {}),
    "hangs up": (
        ("user-audio-voice-disabled", USER | {"muted": True}), ("UserLeftVoiceConfToClientEvtMsg", {"intId": "w_1"}),
        "mic_off", {}),
    "camera": (
        ("user-cam-broadcast-start", USER), ("UserBroadcastCamStartedEvtMsg", {"userId": "w_1"}), "camera_on", {}),
    "camera off": (
        ("user-cam-broadcast-end", USER), ("UserBroadcastCamStoppedEvtMsg", {"userId": "w_1"}), "camera_off", {}),
}  # fmt: skip


@pytest.mark.parametrize(("mapped", "raw", "act", "fields"), BOTH.values(), ids=BOTH)
def test_mapped_and_raw_say_the_same(mapped, raw, act, fields):
    for told in (read(ROOM.mapped(mapped[0], START, mapped[1])), read(ROOM.raw(raw[0], START, "w_1", **raw[1]))):
        assert (told.act, told.at, told.meeting) == (act, START, ROOM.internal)
        assert {name: getattr(told, name) for name in fields} == fields


def test_meeting_begins_with_its_name_and_ends():
    begin, end = read(ROOM.mapped("meeting-created", START)), read(ROOM.mapped("meeting-ended", START))
    assert (begin.act, begin.title, end.act) == (Act.BEGIN, "Algebra", Act.END)
    props = {"meetingProp": {"intId": ROOM.internal, "name": "Algebra"}}
    created = {"envelope": {"name": "MeetingCreatedEvtMsg", "timestamp": milliseconds(START)},
               "core": {"header": {"name": "MeetingCreatedEvtMsg"}, "body": {"props": props}}}  # fmt: skip
    assert (read(created).act, read(created).title, read(created).meeting) == (Act.BEGIN, "Algebra", ROOM.internal)


def test_public_chat_is_chat_and_private_chat_is_not():
    told = read(ROOM.mapped("chat-group-message-sent", START, None, **{"chat-message": CHAT}, **CHAT_ID))
    assert (told.act, told.person, told.connection, told.id) == ("chat", "external ada", "w_1", "chat m-1")
    private = ROOM.mapped("chat-group-message-sent", START, None, **{"chat-message": CHAT, "chat-id": "private"})
    assert read(private).act == Act.NOTHING
    message = {"id": "m-1", "timestamp": milliseconds(START), "sender": {"id": "w_1"}}
    raw = ROOM.raw("GroupChatMessageBroadcastEvtMsg", START, "w_1", chatId="MAIN-PUBLIC-GROUP-CHAT", msg=message)
    assert (read(raw).act, read(raw).connection, read(raw).id) == ("chat", "w_1", "chat m-1")


def test_poll_is_told_by_its_id():
    opened = read(ROOM.mapped("poll-started", START, USER, poll={"id": "q/1"}))
    assert (opened.act, opened.poll, opened.connection) == ("poll_opened", "q/1", "")
    closed = read(ROOM.raw("PollStoppedEvtMsg", START, "w_1", pollId="q/1"))
    assert (closed.act, closed.poll) == ("poll_closed", "q/1")


def test_mapped_vote_names_the_presenter_so_it_is_nobodys():
    vote = read(ROOM.mapped("poll-responded", START, USER, poll={"id": "q/1", "answerIds": [2]}))
    assert (vote.act, vote.poll, vote.person, vote.connection) == ("poll_vote", "q/1", "", "")


def test_raw_vote_is_of_whom_its_body_names():
    vote = read(ROOM.raw("UserRespondedToPollRespMsg", START, "w_presenter", pollId="q/1", userId="w_2"))
    assert (vote.act, vote.connection) == ("poll_vote", "w_2")


def test_voice_is_told_by_raw_messages():
    on = read(ROOM.raw("UserTalkingVoiceEvtMsg", START, "w_1", intId="w_1", talking=True))
    off = read(ROOM.raw("UserTalkingVoiceEvtMsg", START, "w_1", intId="w_1", talking=False))
    assert (on.act, off.act) == ("talk_started", "talk_stopped")
    assert on.id != off.id


def test_who_has_no_id_of_their_own_is_their_connection():
    assert read(ROOM.mapped("user-joined", START, user("w_1"))).person == ""


@pytest.mark.parametrize("event", [{}, 7, [], {"data": 7}, {"envelope": 7}, {"data": {"id": "rap-published"}},
                                   {"data": {"id": "user-joined"}}, ROOM.mapped("user-joined", START, {}),
                                   ROOM.raw("UserTalkingVoiceEvtMsg", START, "w_1", talking="yes")])  # fmt: skip
def test_what_is_of_no_use_is_passed_over(event):
    assert read(event).act == Act.NOTHING


@pytest.mark.parametrize("body", [b"", b"event=", b"event=7", b"event={", b"event={}", b"\xff", b"event=[" + b"{}," * 9,
                                  b"event=" + b"[" * 100_000, b"a=b&" * 20])  # fmt: skip
def test_what_the_server_never_sends_is_unreadable(body):
    with pytest.raises(Unreadable):
        bigbluebutton.read(body)


def test_more_events_than_a_request_has_are_unreadable():
    with pytest.raises(Unreadable, match="more than 1,000"):
        bigbluebutton.read(form([{}] * 1_001, START))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda each: st.lists(each) | st.dictionaries(st.sampled_from(["data", "attributes", "user", "meeting", "poll",
        "internal-meeting-id", "internal-user-id", "chat-message", "core", "header", "body", "msg", "event", "ts"]),
        each),
)  # fmt: skip


@given(st.sampled_from(sorted(bigbluebutton.TAKERS)), json_values, st.booleans())
def test_any_event_is_read(name, found, is_raw):
    event = {"envelope": {"name": name}, "core": found} if is_raw else {"data": {"id": name, "attributes": found}}
    assert read(event).name == name
