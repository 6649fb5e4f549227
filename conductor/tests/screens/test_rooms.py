import re
from datetime import timedelta

import pytest

from anomalies.models import Actor, Anomaly
from conductor.screens.rooms import CALM, Lesson, RoomKind, SparkMark, list_rooms, show_lesson, show_rooms
from conductor.screens.standing import Choice, Section
from conductor.tests import stage
from engagement.models import ApiKey, Event, Session

pytestmark = pytest.mark.django_db


def test_rooms_are_worst_first(event):
    calm = stage.live_session(event, "calm")
    stage.incident(stage.live_session(event, "warned"), "WARNING")
    stage.incident(stage.live_session(event, "critical"), "CRITICAL")
    Session.objects.create(event=event, title="scheduled")
    for title, changes in {
        "silent": {"detector_state": "UNKNOWN", "heard_at": stage.NOW - timedelta(minutes=2)},
        "frozen": {"detector_state": "UNKNOWN"},
        "ended": {"status": "ended", "ended_at": stage.NOW},
    }.items():
        made = stage.live_session(event, title)
        Session.objects.filter(id=made.id).update(**changes)
    low = stage.live_session(event, "low", rows=3)
    low.rows.update(engagement_score=0.1)
    stage.incident(calm, resolved_at=stage.NOW, status=Anomaly.Status.RESOLVED)
    screen = show_rooms(Session.objects.all(), Choice(), stage.NOW)
    assert [room.session.title for room in screen.rooms] == [
        "critical", "warned", "frozen", "silent", "low", "calm", "scheduled", "ended",
    ]  # fmt: skip
    assert screen.left_out == 0


def test_room_is_shown_as_its_newest_row_says(event):
    session = stage.live_session(event, rows=3)
    session.rows.filter(timestamp=session.judged_until).update(total_users=41, engagement_score=0.7)
    [room] = show_rooms(Session.objects.all(), Choice(), stage.NOW).rooms
    assert (room.kind, room.audience, room.score, room.level) == (RoomKind.LIVE, 41, 0.7, "HIGH")


def test_calm_rooms_stand_by_level_and_title_so_that_they_keep_still(event):
    for title, value in {"b": 0.71, "a": 0.62, "low": 0.3, "d": 0.5}.items():
        stage.live_session(event, title).rows.update(engagement_score=value)
    Session.objects.filter(title="a").update(detector_state="INSUFFICIENT_DATA")
    rooms = show_rooms(Session.objects.all(), Choice(), stage.NOW).rooms
    assert [room.session.title for room in rooms] == ["low", "d", "a", "b"]
    assert rooms[2].kind == RoomKind.LEARNING


def test_room_is_marked_by_its_worst_incident_and_knows_the_others(session):
    critical = stage.incident(session, "CRITICAL", seconds=10)
    dismissed = stage.incident(session, "CRITICAL", seconds=30, status=Anomaly.Status.DISMISSED)
    warnings = [stage.incident(session, "WARNING", seconds=seconds) for seconds in (20, 15)]
    [room] = show_rooms(Session.objects.all(), Choice(), stage.NOW).rooms
    assert (room.kind, room.incident, room.others) == (RoomKind.CRITICAL, critical, [*warnings, dismissed])


def test_room_is_quiet_while_somebody_is_on_each_of_its_incidents(session):
    first = stage.incident(session, "CRITICAL", seconds=10)

    def look(at=stage.NOW):
        [room] = show_rooms(Session.objects.all(), Choice(), at).rooms
        return room.incident, room.is_quiet, room.kind

    assert look() == (first, False, RoomKind.CRITICAL)
    first.acknowledge(Actor("mara"), stage.NOW)
    assert look() == (first, True, RoomKind.CRITICAL)
    second = stage.incident(session, "WARNING", seconds=20)
    assert look() == (second, False, RoomKind.WARNING)
    second.snooze(stage.NOW + timedelta(minutes=5), Actor("mara"), stage.NOW)
    assert look() == (first, True, RoomKind.CRITICAL)
    assert look(stage.NOW + timedelta(minutes=5)) == (second, False, RoomKind.WARNING)


def test_card_of_a_quiet_room_says_why_and_asks_for_nothing(event, session):
    snoozed = stage.incident(session)
    mara = stage.organizer("mara", event)

    def card():
        listing = list_rooms(mara, Choice(), stage.NOW, "/")
        return listing.cards[session.id], listing.marks[session.id]

    loud, told = card()
    snoozed.snooze(stage.NOW + timedelta(minutes=5), Actor("mara"), stage.NOW)
    quiet, told_of_quiet = card()
    assert "data-quiet" not in loud
    assert "room-action" in loud
    assert "data-quiet" in quiet
    assert "quiet until" in quiet
    assert "room-action" not in quiet
    assert told != told_of_quiet


def test_sparklines_of_rooms_that_go_on_end_now_whenever_their_newest_row_was(event):
    long, cut = stage.live_session(event, "long", rows=192), stage.live_session(event, "cut", rows=144)
    now = stage.reading(191).timestamp + timedelta(seconds=4)
    rooms = {room.session: room for room in show_rooms(Session.objects.all(), Choice(), now).rooms}
    across = {session: [int(x) for x in re.findall(r"[Ml](\d+)", room.spark)] for session, room in rooms.items()}
    assert (len(across[long]), sum(across[long])) == (60, 597)
    assert (len(across[cut]), sum(across[cut])) == (44, 437)


def test_sparkline_of_a_room_that_is_over_is_of_its_last_minutes(event):
    session = stage.live_session(event, rows=192)
    Session.objects.filter(id=session.id).update(status="ended", ended_at=stage.NOW)
    [room] = show_rooms(Session.objects.all(), Choice(), stage.NOW + timedelta(days=1)).rooms
    across = [int(x) for x in re.findall(r"[Ml](\d+)", room.spark)]
    assert (len(across), sum(across)) == (60, 600)


def test_sparkline_stays_the_same_for_a_step_where_nothing_comes(event):
    stage.live_session(event, "long", rows=192)
    newest = stage.reading(191).timestamp  # five seconds before the end of its step
    seen = [
        show_rooms(Session.objects.all(), Choice(), newest + timedelta(seconds=later)).rooms[0].spark
        for later in (0, 5, 6, 20)
    ]
    assert (seen[0] == seen[1], seen[2] == seen[3], seen[1] != seen[2]) == (True, True, True)


def test_sparkline_is_marked_where_each_incident_began(event):
    session = stage.live_session(event, rows=192)
    now = stage.START + timedelta(minutes=16)
    over = {"status": Anomaly.Status.RESOLVED, "resolved_at": now}
    for minutes, fields in {0.5: over, 4: over, 7: {"status": Anomaly.Status.DISMISSED}, 13: {}}.items():
        stage.incident(session, "WARNING", seconds=60 * minutes, **fields)
    [room] = show_rooms(Session.objects.all(), Choice(), now).rooms
    assert room.marks == [SparkMark(20.0, ""), SparkMark(80.0, "WARNING")]


def test_dismissed_incident_does_not_mark_its_room(session):
    stage.incident(session, status=Anomaly.Status.DISMISSED)
    [room] = show_rooms(Session.objects.all(), Choice(), stage.NOW).rooms
    assert (room.kind, room.incident) == (RoomKind.LIVE, None)


def test_of_sessions_that_are_over_the_newest_are_shown_unless_they_are_asked_for(event):
    for number in range(14):
        ended_at = stage.NOW + timedelta(minutes=number)
        Session.objects.create(event=event, title=f"{number}", status="ended", ended_at=ended_at)
    screen = show_rooms(Session.objects.all(), Choice(), stage.NOW)
    assert [room.session.title for room in screen.rooms] == [f"{number}" for number in range(13, 1, -1)]
    assert screen.left_out == 2
    whole = show_rooms(Session.objects.all(), Choice(section=Section.OVER), stage.NOW)
    assert (len(whole.rooms), whole.left_out) == (14, 0)


def test_worst_room_is_first_however_old_and_however_many_there_are(event, django_assert_num_queries):
    oldest = stage.live_session(event, "Zen garden")
    many = [
        Session(event=event, title=f"Room {number:04}", status="live", judged_until=stage.NOW) for number in range(300)
    ]
    Session.objects.bulk_create(many)
    stage.incident(oldest)
    with django_assert_num_queries(6):
        screen = show_rooms(Session.objects.all(), Choice(), stage.NOW)
    assert screen.rooms[0].session == oldest
    assert [(group.section, len(group.rooms)) for group in screen.groups] == [("needs-you", 1), ("live", 99)]
    assert (screen.pages, screen.counts[Section.LIVE], screen.is_many) == (4, 300, True)


def test_every_room_is_on_one_page(event):
    Session.objects.bulk_create(
        [Session(event=event, title=f"{n}", status=s) for s in ("live", "scheduled") for n in range(90)]
    )
    Session.objects.create(event=event, title="over", status="ended", ended_at=stage.NOW)
    pages = [show_rooms(Session.objects.all(), Choice(page=page), stage.NOW).rooms for page in (1, 2)]
    assert sorted(room.session.id for rooms in pages for room in rooms) == sorted(
        Session.objects.values_list("id", flat=True)
    )
    assert [len(rooms) for rooms in pages] == [100, 81]
    assert show_rooms(Session.objects.all(), Choice(page=99), stage.NOW).page == 2


def test_rooms_are_found_by_words_of_their_titles_and_events(event):
    hall = Event.objects.create(name="Autumn fair")
    for place, title in ((event, "Keynote"), (hall, "Opening keynote"), (hall, "Panel")):
        Session.objects.create(event=place, title=title)

    def find(words, **more):
        choice = Choice(words, **more)
        return {room.session.title for room in show_rooms(Session.objects.all(), choice, stage.NOW).rooms}

    assert find("keynote") == {"Keynote", "Opening keynote"}
    assert find("KEYNOTE fair") == {"Opening keynote"}
    assert find("fair", section=Section.LIVE) == set()
    assert find("100%") == set()


@pytest.mark.parametrize(
    ("asked", "choice", "query"),
    [
        ({}, Choice(), ""),
        ({"q": "  a   b "}, Choice("a b"), "?q=a+b"),
        ({"section": "over", "page": "3"}, Choice("", Section.OVER, 3), "?section=over&page=3"),
        ({"section": "nowhere", "page": "-1"}, Choice(), ""),
        ({"page": "²"}, Choice(), ""),
        ({"page": "9" * 40}, Choice(), ""),
    ],
)
def test_address_says_what_is_shown(asked, choice, query):
    assert Choice.read(asked) == choice
    assert choice.query == query


def test_list_is_written_once_for_page_and_push(event):
    session = stage.live_session(event, rows=3)
    mara = stage.organizer("mara", event)
    listing = list_rooms(mara, Choice(), stage.NOW, "/")
    assert listing.cards[session.id] in listing.whole
    before = listing.marks[session.id]
    stage.incident(session)
    assert list_rooms(mara, Choice(), stage.NOW, "/").marks[session.id] != before


def test_lesson_names_a_key_that_works(event):
    mara = stage.organizer("mara", event)
    assert show_lesson(mara, "http://here/") == Lesson(event, None, "http://here/")
    key, _ = ApiKey.objects.issue(event, "Course platform")
    ApiKey.objects.issue(event, "Webinar bridge")[0].revoke(stage.NOW)
    assert show_lesson(mara, "http://here/") == Lesson(event, key, "http://here/")


def test_lesson_of_somebody_without_an_event_names_none(event):
    assert show_lesson(stage.User.objects.create_user("newcomer"), "/") == Lesson(None, None, "/")


def test_room_that_nobody_is_on_comes_before_a_worse_one_that_somebody_is_on(event):
    attended, warned, silent = (stage.live_session(event, title) for title in ("attended", "warned", "silent"))
    stage.incident(attended, "CRITICAL").acknowledge(Actor("mara"), stage.NOW)
    stage.incident(warned, "WARNING")
    Session.objects.filter(id=silent.id).update(detector_state="UNKNOWN")
    calm = stage.live_session(event, "calm")

    rooms = show_rooms(Session.objects.all(), Choice(), stage.NOW).rooms

    assert [room.session for room in rooms] == [warned, silent, attended, calm]


def test_mark_of_a_calm_room_says_that_nobody_has_to_look(session):
    [room] = show_rooms(Session.objects.all(), Choice(), stage.NOW).rooms
    assert room.mark == CALM
    stage.incident(session)
    [room] = show_rooms(Session.objects.all(), Choice(), stage.NOW).rooms
    assert room.mark != CALM
