"""What Zoom signs and tells, as it is read."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.platforms import zoom
from conductor.platforms.told import Act, Told, Unreadable
from conductor.tests.platforms.payloads import TOKEN, Webinar

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
BODY = b'{"event": "webinar.started"}'


def signed(at: datetime, body: bytes = BODY, secret: str = TOKEN) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-zm-request-timestamp": stamp, "x-zm-signature": f"v0={digest}"}


def read(body: bytes) -> Told:
    [told] = zoom.read(body)
    return told


def test_signature_is_of_the_secret_the_moment_and_the_body():
    headers = signed(START)
    assert zoom.is_signed(headers, BODY, TOKEN, START)
    assert not zoom.is_signed(headers, BODY + b" ", TOKEN, START)
    assert not zoom.is_signed(headers, BODY, "another", START)
    assert not zoom.is_signed(headers | {"x-zm-request-timestamp": "1772442001"}, BODY, TOKEN, START)


@pytest.mark.parametrize(("seconds", "is_taken"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_signature_has_a_bounded_age(seconds, is_taken):
    assert zoom.is_signed(signed(START), BODY, TOKEN, START + timedelta(seconds=seconds)) is is_taken


@pytest.mark.parametrize("stamp", ["", "now", "-1", "1e9", "٣", "9" * 40])
def test_moment_that_is_none_is_refused(stamp):
    assert not zoom.is_signed(signed(START) | {"x-zm-request-timestamp": stamp}, BODY, TOKEN, START)


@pytest.mark.parametrize("signature", ["", "v0=", "v0=é", "v1=abc", "v0=" + "0" * 64])
def test_signature_that_is_none_is_refused(signature):
    assert not zoom.is_signed(signed(START) | {"x-zm-signature": signature}, BODY, TOKEN, START)


def test_validation_is_answered_with_the_token_and_its_digest():
    asked = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}})
    digest = hmac.new(TOKEN.encode(), b"qgg8vlvZRS6UYooatFL8Aw", hashlib.sha256).hexdigest()
    proof = {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": digest}
    assert zoom.answer_validation(asked.encode(), TOKEN) == proof
    assert zoom.answer_validation(BODY, TOKEN) is None


@pytest.mark.parametrize("payload", [{}, {"plainToken": ""}, {"plainToken": 7}, {"plainToken": "x" * 501}, [],
                                     {"plainToken": "\ud800"}])  # fmt: skip
def test_validation_without_a_token_is_refused(payload):
    asked = json.dumps({"event": "endpoint.url_validation", "payload": payload}).encode()
    with pytest.raises(Unreadable, match="no token"):
        zoom.answer_validation(asked, TOKEN)


@pytest.mark.parametrize("kind", ["meeting", "webinar"])
def test_begin_and_end(kind):
    webinar = Webinar(kind)
    begin, end = read(webinar.start(START)), read(webinar.end(START + timedelta(hours=1)))
    assert (begin.name, begin.act, begin.at, begin.title) == (f"{kind}.started", Act.BEGIN, START, "Spring keynote")
    assert (end.act, end.at) == (Act.END, START + timedelta(hours=1))
    assert begin.meeting == end.meeting == "96641234567:b0p1qF/mTzyzQy1wZ3c1Ag=="


@pytest.mark.parametrize("kind", ["meeting", "webinar"])
def test_who_comes_and_goes(kind):
    webinar = Webinar(kind)
    connection, body = webinar.join("ada", START + timedelta(milliseconds=400))
    join, leave = read(body), read(webinar.leave("ada", connection, START + timedelta(seconds=9)))
    assert (join.act, join.at, join.person, join.connection) == (
        "join", START, "mail ada@example.org", f"user_id {connection}",
    )  # fmt: skip
    assert (leave.act, leave.at) == ("leave", START + timedelta(seconds=9, milliseconds=999))
    assert (leave.person, leave.connection) == (join.person, join.connection)
    assert join.id != leave.id


def test_who_comes_and_goes_within_a_second_was_there():
    webinar = Webinar()
    connection, body = webinar.join("ada", START)
    assert read(body).at < read(webinar.leave("ada", connection, START)).at


@pytest.mark.parametrize(
    ("told", "person"),
    [
        ({"email": ""}, "id id-of-ada"),
        ({"email": "", "id": "", "registrant_id": "r-1"}, "registrant_id r-1"),
        ({"email": "", "id": "", "participant_user_id": "u-1"}, "participant_user_id u-1"),
        ({"email": "", "id": ""}, ""),
        ({"email": " Ada@Example.org "}, "mail ada@example.org"),
    ],
)
def test_person_is_what_lasts_longest(told, person):
    assert read(Webinar().join("ada", START, **told)[1]).person == person


def test_that_the_host_ended_it_is_no_exit():
    reason = "ada left the webinar.<br>Reason: Host ended the webinar."
    told = read(Webinar().leave("ada", 7, START, leave_reason=reason))
    assert (told.act, told.name) == (Act.NOTHING, "webinar.participant_left")


def test_chat_to_everyone_is_chat_and_no_other():
    webinar = Webinar()
    told = read(webinar.chat("ada", 7, START, 3))
    assert (told.act, told.at, told.connection, told.id) == ("chat", START, "user_id 7", "chat m-3")
    assert read(webinar.chat("ada", 7, START, 3, recipient_type="host")).act == Act.NOTHING


@pytest.mark.parametrize(
    "body",
    [b'{"event": "user.created", "payload": {"object": {"id": 1}}}', b'{"event": "meeting.started", "payload": 1}',
     b'{"event": "meeting.started", "payload": {"object": {"id": 1}}}', Webinar().tell("participant_joined", START),
     Webinar().tell("registration_created", START)],
)  # fmt: skip
def test_what_is_of_no_use_is_told_by_its_name(body):
    told = read(body)
    assert (told.act, told.name) == (Act.NOTHING, json.loads(body)["event"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"event": 7}', b"\xff", b"[" * 100_000])
def test_what_zoom_never_sends_is_unreadable(body):
    with pytest.raises(Unreadable):
        zoom.read(body)


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.floats(), lambda each: st.lists(
    each) | st.dictionaries(st.sampled_from(["id", "uuid", "participant", "user_id", "join_time", "chat_message",
                                            "message_id", "recipient_type", "topic", "email"]), each))  # fmt: skip


@given(
    st.sampled_from(["started", "ended", "participant_joined", "participant_left", "chat_message_sent"]), json_values
)
def test_any_object_is_read(what, found):
    document = {"event": f"meeting.{what}", "event_ts": found, "payload": {"object": found}}
    [told] = zoom.read(json.dumps(document).encode())
    assert told.name == f"meeting.{what}"
