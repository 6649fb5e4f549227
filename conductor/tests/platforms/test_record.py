"""Meetings become sessions and people pseudonyms; repeats and other orders change nothing."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from django.conf import settings

from anomalies.models import Anomaly
from conductor import housekeeping
from conductor.models import Connection, Heard, Platform
from conductor.platforms import bigbluebutton, zoom
from conductor.platforms.record import record_told
from conductor.tests import sweeping
from conductor.tests.platforms.payloads import (
    Classroom,
    Requests,
    Webinar,
    form,
    make_platform,
    user,
    whole_class,
    whole_webinar,
)
from engagement.erasure import erase_events, erase_person, erase_sessions
from engagement.models import EngagementRow, Event, RawEventRow, Session
from engagement.readings import Reading

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("flags_down")]

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = START + timedelta(hours=2)
CLASS = Path(settings.BASE_DIR).parent / "shared" / "recordings" / "bbb-class.jsonl"
ROOM = Classroom()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def tell(platform: Platform, *bodies: bytes, now: datetime = LATER) -> Counter[str]:
    """Record what requests tell, and return what of it was ignored."""
    read = zoom.read if platform.kind == "zoom" else bigbluebutton.read
    ignored: Counter[str] = Counter()
    for body in bodies:
        ignored += record_told(platform, read(body), now)[0]
    return ignored


def event_of(*events: object) -> bytes:
    return form(list(events), START)


def joins(internal: str, external: str, seconds: float) -> bytes:
    return event_of(ROOM.mapped("user-joined", at(seconds), user(internal, external)))


def leaves(internal: str, external: str, seconds: float) -> bytes:
    return event_of(ROOM.mapped("user-left", at(seconds), user(internal, external)))


def told_of() -> list[tuple[str, float]]:
    """Return the types of all raw events in the order of their time, and the second of each."""
    rows = RawEventRow.objects.order_by("timestamp", "id")
    return [(row.type, (row.timestamp - START).total_seconds()) for row in rows]


def test_first_thing_that_is_heard_of_a_meeting_makes_its_session(by_zoom):
    tell(by_zoom, Webinar().start(START))
    session = Session.objects.get()
    assert (session.title, session.external_id) == ("Spring keynote", "zoom:96641234567:b0p1qF/mTzyzQy1wZ3c1Ag==")
    assert (session.event_id, session.status, session.lateness_seconds) == (by_zoom.event_id, "scheduled", 15)
    tell(by_zoom, Webinar().start(START), Webinar().join("ada", at(1))[1])
    assert Session.objects.get().status == "live"


def test_next_meeting_of_the_same_room_is_another_session(by_zoom):
    tell(by_zoom, Webinar().start(START), Webinar(uuid="next==").start(at(3_600)))
    assert Session.objects.count() == 2


def test_meeting_that_is_heard_of_while_it_goes_on_makes_its_session(by_zoom):
    tell(by_zoom, Webinar(topic="").chat("ada", 7, START, 1))
    assert Session.objects.get().title == "Stage"


def test_leave_or_end_makes_no_session(by_zoom):
    ignored = tell(by_zoom, Webinar().leave("ada", 7, START), Webinar().end(START))
    assert not Session.objects.exists()
    assert ignored == {"webinar.participant_left": 1, "webinar.ended": 1}


def test_session_ends_when_the_platform_says_so(by_zoom):
    webinar = Webinar()
    connection, body = webinar.join("ada", START)
    tell(by_zoom, body, webinar.end(at(600)))
    session = Session.objects.get()
    assert (session.status, session.ended_at) == ("ended", at(600))
    ignored = tell(by_zoom, webinar.leave("ada", connection, at(601)), webinar.end(at(700)))
    assert ignored == {"webinar.participant_left": 1}
    session.refresh_from_db()
    assert session.ended_at == at(600)


def test_name_of_a_meeting_that_is_longer_than_any_is_a_digest(by_zoom):
    tell(by_zoom, Webinar(uuid="x" * 300).start(START), Webinar(uuid="x" * 300).start(START))
    assert len(Session.objects.get().external_id) < 50


def test_title_that_no_database_takes_is_made_one(by_zoom):
    tell(by_zoom, Webinar(topic="Spring\0 \ud800 keynote", uuid="u\0\udfff").start(START))
    assert Session.objects.get().title == "Spring ? keynote"


def test_people_are_pseudonyms_and_nothing_of_them_is_stored(by_zoom):
    webinar = Webinar()
    connection, body = webinar.join("Ada of Paris", START)  # as no random text spells it
    tell(
        by_zoom,
        body,
        webinar.chat("Ada of Paris", connection, at(2), 123_456_789),
        webinar.leave("Ada of Paris", connection, at(9)),
    )
    rows = RawEventRow.objects.all()
    assert len({row.user for row in rows}) == 1
    stored = json.dumps([list(map(str, values)) for model in (RawEventRow, Connection, Heard, Session)
                         for values in model.objects.values_list()])  # fmt: skip
    assert not any(word in stored for word in ("Ada of", "example.org", str(connection), "123456789", "Hello from"))
    other = make_platform(by_zoom.event)
    tell(other, Webinar(uuid="other==").join("ada", START)[1])
    assert len(set(RawEventRow.objects.values_list("user", flat=True))) == 2


def test_same_person_has_one_pseudonym_in_all_meetings(by_zoom):
    tell(by_zoom, Webinar().join("ada", START)[1], Webinar(uuid="next==").join("ada", START)[1])
    assert len(set(RawEventRow.objects.values_list("user", flat=True))) == 1


def test_repeat_changes_nothing(by_zoom):
    webinar = Webinar()
    connection, body = webinar.join("ada", START)
    all_ = [
        webinar.start(START),
        body,
        webinar.chat("ada", connection, at(2), 1),
        webinar.leave("ada", connection, at(9)),
    ]
    tell(by_zoom, *all_)
    before = list(RawEventRow.objects.values())
    tell(by_zoom, *all_, *reversed(all_))
    assert list(RawEventRow.objects.values()) == before
    assert Session.objects.count() == 1


def test_who_reloads_the_page_is_here_all_the_time(by_class):
    tell(by_class, joins("w_1", "ada", 0), joins("w_2", "ada", 60), leaves("w_1", "ada", 62), leaves("w_2", "ada", 90))
    assert told_of() == [("join", 0), ("join", 60), ("leave", 90)]


def test_leave_that_is_told_before_the_join_after_it_is_no_leave(by_class):
    tell(by_class, joins("w_1", "ada", 0), leaves("w_1", "ada", 62), joins("w_2", "ada", 60))
    assert told_of() == [("join", 0), ("join", 60), ("leave", 62), ("join", 62.000001)]
    tell(by_class, joins("w_2", "ada", 60), leaves("w_1", "ada", 62))
    assert len(told_of()) == 4


def test_leave_that_is_told_last_is_that_of_the_last_connection(by_class):
    tell(by_class, joins("w_1", "ada", 0), joins("w_2", "ada", 5), leaves("w_2", "ada", 20), leaves("w_1", "ada", 11))
    assert told_of() == [("join", 0), ("join", 5), ("leave", 20)]
    tell(by_class, leaves("w_2", "ada", 20), leaves("w_1", "ada", 11))
    assert len(told_of()) == 3


def test_connection_that_comes_back_is_open_again(by_class):
    tell(by_class, joins("w_1", "ada", 0), leaves("w_1", "ada", 10), joins("w_1", "ada", 20), leaves("w_1", "ada", 30))
    assert told_of() == [("join", 0), ("leave", 10), ("join", 20), ("leave", 30)]


def test_leave_of_a_connection_whose_join_was_never_told_is_no_ones(by_class):
    tell(by_class, joins("w_1", "ada", 0), leaves("w_9", "bob", 10))
    assert len(set(RawEventRow.objects.values_list("user", flat=True))) == 2


def test_what_a_connection_does_is_its_persons(by_class):
    message = {"id": "m-1", "sender": {"internal-user-id": "w_1", "time": None}}
    chat = ROOM.mapped(
        "chat-group-message-sent", at(5), None, **{"chat-message": message, "chat-id": "MAIN-PUBLIC-GROUP-CHAT"}
    )
    talk = ROOM.raw("UserTalkingVoiceEvtMsg", at(6), "w_1", intId="w_1", talking=True)
    tell(by_class, joins("w_1", "ada", 0), event_of(chat, talk))
    assert told_of() == [("join", 0), ("chat", 5), ("talk_started", 6)]
    assert len(set(RawEventRow.objects.values_list("user", flat=True))) == 1


def emoji(value: str, seconds: float) -> dict:
    return ROOM.mapped("user-emoji-changed", at(seconds), user("w_1", "ada", emoji=value))


def test_hand_that_an_emoji_raised_is_lowered_by_the_next(by_class):
    tell(by_class, joins("w_1", "ada", 0), event_of(emoji("raiseHand", 1), emoji("happy", 2)))
    tell(by_class, event_of(emoji("raiseHand", 3)), event_of(emoji("none", 4)), event_of(emoji("none", 5)))
    kinds = ["join", "hand_raised", "hand_lowered", "reaction", "hand_raised", "hand_lowered"]
    assert [kind for kind, _ in told_of()] == kinds


def test_emoji_lowers_no_hand_that_was_raised_by_itself(by_class):
    hand = ROOM.mapped("user-raise-hand-changed", at(1), user("w_1", "ada") | {"raise-hand": True})
    ignored = tell(by_class, joins("w_1", "ada", 0), event_of(hand), event_of(emoji("none", 2), emoji("happy", 3)))
    assert [kind for kind, _ in told_of()] == ["join", "hand_raised", "reaction"]
    assert ignored == {"user-emoji-changed": 1}


def test_what_is_never_told_is_unknown_and_not_zero(by_zoom):
    webinar = Webinar()
    tell(by_zoom, *(webinar.join(f"p{number}", at(number))[1] for number in range(20)))
    sweeping.end(Session.objects.get().id, LATER)
    row = EngagementRow.objects.order_by("timestamp").last().reading
    assert (row.total_users, row.user_leave_rate) == (20, 0.0)
    unknown = (
        "chat_msgs_per_min", "reactions_per_min", "poll_participation", "active_users", "hands_raised", "mics_on",
        "cameras_on", "talk_share", "speakers", "questions_per_min", "chatters",
    )  # fmt: skip
    assert [name for name in unknown if getattr(row, name) is not None] == []


def test_time_of_another_century_is_ignored(by_zoom):
    early, late = datetime(1999, 1, 1, tzinfo=UTC), LATER + timedelta(minutes=6)
    ignored = tell(by_zoom, Webinar().join("ada", early)[1], Webinar().join("ada", late)[1])
    assert ignored == {"webinar.participant_joined": 2}
    assert not Session.objects.exists()


def test_session_that_is_told_of_by_signals_stays_so(by_zoom):
    tell(by_zoom, Webinar().start(START))
    Session.objects.update(status="live", source="signals")
    assert tell(by_zoom, Webinar().join("ada", at(1))[1]) == {"webinar.participant_joined": 1}
    assert not RawEventRow.objects.exists()


def test_what_was_heard_is_counted_by_name(by_zoom):
    webinar = Webinar()
    odd = json.dumps({"event": "a name with spaces", "payload": {}}).encode()
    body = webinar.join("ada", START)[1]
    tell(by_zoom, webinar.start(START), body, body, webinar.tell("registration_created", START), odd, now=at(5))
    tell(by_zoom, webinar.tell("registration_created", START), now=at(1))
    found = {each.name: (each.used, each.ignored, each.last_at) for each in Heard.objects.filter(platform=by_zoom)}
    assert found == {
        "webinar.started": (1, 0, at(5)),
        "webinar.participant_joined": (2, 0, at(5)),
        "webinar.registration_created": (0, 2, at(5)),
        "without a name": (0, 1, at(5)),
    }


def test_names_without_end_are_counted_together(by_class):
    for first in range(0, 400, 100):
        tell(by_class, event_of(*({"data": {"id": f"made-up-{number}"}} for number in range(first, first + 100))))
    assert Heard.objects.count() == 201
    assert Heard.objects.get(name="others").ignored == 200


def test_nobody_is_remembered_when_the_session_is_settled(by_class):
    tell(by_class, joins("w_1", "ada", 0), joins("w_2", "bob", 1))
    assert Connection.objects.count() == 2
    sweeping.end(Session.objects.get().id, LATER)
    assert not Connection.objects.exists()


def test_person_who_is_erased_goes_on_as_nobody(by_class):
    tell(by_class, joins("w_1", "ada", 0), joins("w_2", "bob", 1))
    name = RawEventRow.objects.earliest("timestamp").user
    erase_person(by_class.event_id, name, "a test", LATER)
    while housekeeping.step(LATER, 1):
        pass
    assert not Connection.objects.filter(user=name).exists()
    assert Connection.objects.count() == 2
    tell(by_class, leaves("w_1", "ada", 9))
    left = RawEventRow.objects.get(type="leave")
    assert left.user == RawEventRow.objects.get(type="join", timestamp=START).user != name


def test_session_and_event_that_are_erased_take_all_of_it_along(by_class):
    tell(by_class, joins("w_1", "ada", 0))
    erase_sessions([Session.objects.get().id], "a test", LATER)
    while housekeeping.step(LATER, 1):
        pass
    assert not Connection.objects.exists()
    assert tell(by_class, leaves("w_1", "ada", 9)) == {"user-left": 1}
    erase_events([by_class.event_id], "a test", LATER)
    while housekeeping.step(LATER, 1):
        pass
    assert not Heard.objects.exists()
    assert not Platform.objects.exists()


def kept(session: Session) -> tuple[list[Reading], list[dict]]:
    """Return the rows and the incidents of a session."""
    fields = ("timestamp", "anomaly_type", "severity", "anomaly_score", "resolved_at", "description", "metadata")
    rows = [row.reading for row in EngagementRow.objects.for_session(session).order_by("timestamp")]
    return rows, list(Anomaly.objects.for_session(session).order_by("timestamp").values(*fields))


def play_at_once(platform: Platform, requests: Iterable[tuple[datetime, bytes]]) -> Session:
    tell(platform, *(body for _, body in requests))
    sweeping.sweep_all(LATER)
    return Session.objects.get(event=platform.event_id)


def play_in_time(platform: Platform, requests: Requests) -> Session:
    """Tell it as the platform does, each request some time after its moment, while a tick comes every ten seconds."""
    random, wait = Random(3), 3.0
    arriving = sorted((moment + timedelta(seconds=random.uniform(0.1, wait)), body) for moment, body in requests)
    # What ends it comes after all else, as it is sent after all else.
    arriving[-1] = (max(moment for moment, _ in arriving) + timedelta(seconds=1), requests[-1][1])
    clock, waiting = requests[0][0], iter(arriving)
    due = next(waiting, None)
    while due is not None:
        while due is not None and due[0] <= clock:
            tell(platform, due[1], now=due[0])
            due = next(waiting, None)
        sweeping.tick(clock)
        clock += timedelta(seconds=10)
    sweeping.sweep_all(clock)
    return Session.objects.get(event=platform.event_id)


def new_platform(kind: str) -> Platform:
    return make_platform(Event.objects.create(name="Conference"), kind, pepper="ab" * 32)


def test_whole_webinar_is_the_same_in_its_time_at_once_and_in_any_order():
    requests = whole_webinar(START)
    live, at_once, doubled = (new_platform("zoom") for _ in range(3))
    rows, incidents = kept(play_in_time(live, requests))

    assert len(rows) > 12 * 10
    assert [incident["anomaly_type"] for incident in incidents] == ["MASS_EXIT"]
    assert (rows, incidents) == kept(play_at_once(at_once, requests))
    assert (rows, incidents) == kept(play_at_once(doubled, shaken(requests)))


def shaken(requests: Sequence[tuple[datetime, bytes]]) -> Requests:
    """Return requests that are told twice, some seconds too early or too late; the end last."""
    random = Random(5)
    twice = [(moment + timedelta(seconds=random.uniform(-3, 3)), body) for moment, body in [*requests[:-1]] * 2]
    return [requests[0], *sorted(twice), requests[-1]]


@pytest.mark.skipif(not CLASS.exists(), reason="the recorded class is not part of this project")
def test_whole_class_is_the_same_in_its_time_and_at_once_and_as_its_raw_events_are():
    events = [json.loads(line) for line in CLASS.read_text().splitlines()]
    requests = whole_class(events)
    rows, incidents = kept(play_in_time(new_platform("bigbluebutton"), requests))

    assert len(rows) > 100
    assert (rows, incidents) == kept(play_at_once(new_platform("bigbluebutton"), requests))
    assert Counter(RawEventRow.objects.values_list("type", flat=True)) == {
        kind: 2 * number for kind, number in Counter(event["type"] for event in events).items()
    }
