import json
from bisect import bisect_left
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.moments import to_microseconds
from engagement.people import CAMERA, HAND, MIC, VOICE
from engagement.polls import MAX_POLLS
from engagement.readings import OPTIONAL, Reading
from engagement.room import EVENT_TYPES, GRACE_SECONDS, RANK, Room
from engagement.signs import SWITCHES
from engagement.slots import ROW, row_end
from engagement.windows import Added, RawEvent, Windows

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATENESS_SECONDS = 4.0


def at(seconds: float) -> datetime:
    return NINE + timedelta(seconds=seconds)


def joins(count: int, second: float = 0.0) -> list[RawEvent]:
    return [RawEvent("join", at(second), f"u{number}") for number in range(count)]


def rows_of(events: list[RawEvent], until: float | None = None) -> dict[int, Reading]:
    """Return the rows by the second at which each ends."""
    windows = Windows()
    windows.add(events)
    rows = windows.finish(None if until is None else at(until))
    return {round((row.timestamp - NINE).total_seconds()): row for row in rows}


def test_windows_count_every_message_of_a_minute():
    chats = [RawEvent("chat", at(number * 0.3), "u1") for number in range(200)]
    rows = rows_of([*joins(1), *chats])
    assert list(rows) == list(range(5, 61, 5))
    assert rows[60].chat_msgs_per_min == 200


def test_silence_brings_every_rate_to_zero():
    events = [*joins(2), *(RawEvent(kind, at(1 + n), "u1") for n in range(3) for kind in ("chat", "reaction"))]
    rows = rows_of(events, until=65)
    assert [rows[60].chat_msgs_per_min, rows[60].reactions_per_min, rows[60].active_users] == [3, 3, 1]
    assert [rows[65].chat_msgs_per_min, rows[65].reactions_per_min, rows[65].active_users] == [0, 0, 0]


def test_a_window_holds_its_start_and_not_its_end():
    rows = rows_of([*joins(1), RawEvent("chat", at(5)), RawEvent("chat", at(64.999))])
    assert [rows[10].chat_msgs_per_min, rows[65].chat_msgs_per_min] == [1, 2]
    assert [rows[second].chat_count for second in (10, 15, 65)] == [1, 0, 1]


def test_what_a_platform_never_sent_is_unknown_and_from_the_first_on_silence_is_zero():
    rows = rows_of([*joins(3), RawEvent("reaction", at(7), "u1"), RawEvent("chat", at(11))], until=75)
    assert [rows[5].chat_msgs_per_min, rows[5].reactions_per_min, rows[5].active_users] == [None, None, None]
    assert [rows[5].chat_count, rows[5].reaction_count, rows[5].leave_count] == [0, 0, 0]
    assert [rows[10].chat_msgs_per_min, rows[10].reactions_per_min, rows[10].active_users] == [None, 1, 1]
    assert [rows[75].chat_msgs_per_min, rows[75].reactions_per_min, rows[75].active_users] == [0, 0, 0]


def test_who_sends_all_is_silent_from_the_start():
    windows = Windows(sends_all=True)
    windows.add(joins(3))
    [row] = windows.finish()
    assert [row.chat_msgs_per_min, row.reactions_per_min, row.active_users] == [0, 0, 0]


def test_the_leave_rate_is_the_share_that_left_and_falls_back():
    events = joins(100) + [RawEvent("leave", at(100 + number / 50), f"u{number}") for number in range(99)]
    rows = rows_of(events, until=165)
    assert [rows[100].user_leave_rate, rows[105].user_leave_rate, rows[160].user_leave_rate] == [0.0, 0.99, 0.99]
    assert [rows[165].user_leave_rate, rows[165].total_users] == [0.0, 1]


def test_a_leave_counts_at_once_and_is_taken_back_by_a_reconnect():
    events = [*joins(4), RawEvent("leave", at(11), "u1"), RawEvent("join", at(33), "u1")]
    rows = rows_of(events, until=80)
    assert {second: row.user_leave_rate for second, row in rows.items() if row.user_leave_rate} == dict.fromkeys(
        range(15, 35, 5), 0.25
    )
    assert [rows[30].total_users, rows[35].total_users] == [3, 4]


def test_who_comes_back_after_the_grace_time_did_leave():
    windows = Windows(grace_seconds=10)
    windows.add([*joins(4), RawEvent("leave", at(11), "u1"), RawEvent("join", at(33), "u1")])
    rows = {round((row.timestamp - NINE).total_seconds()): row.user_leave_rate for row in windows.finish(at(80))}
    assert [rows[30], rows[35], rows[70], rows[75]] == [0.25, 0.2, 0.2, 0.0]


def test_only_who_is_here_can_leave():
    events = [*joins(4), *(RawEvent("leave", at(11 + n), "u1") for n in range(3)), RawEvent("leave", at(12), "nobody")]
    rows = rows_of(events)
    assert [rows[15].user_leave_rate, rows[15].total_users] == [0.25, 3]


def test_coming_and_going_is_of_a_person_and_a_message_may_be_of_nobody():
    events = [*joins(1), *(RawEvent(kind, at(6)) for kind in ("join", "leave", "focus", "blur", "chat"))]
    row = rows_of(events)[10]
    assert [row.total_users, row.user_leave_rate, row.chat_msgs_per_min, row.active_users] == [1, 0, 1, 0]


def test_a_reconnect_is_taken_out_of_the_slot_in_which_it_left():
    events = [
        *joins(4),
        RawEvent("leave", at(11), "u1"),
        RawEvent("leave", at(12), "u2"),
        RawEvent("join", at(13), "u2"),
    ]
    rows = rows_of([*events, RawEvent("join", at(21), "u1")])
    assert [rows[15].leave_count, rows[15].user_leave_rate] == [1, 0.25]
    assert [rows[25].leave_count, rows[25].user_leave_rate] == [0, 0]


def test_who_looks_is_active_where_the_platform_knows_it():
    events = [*joins(4), RawEvent("chat", at(1), "u0")]
    assert rows_of(events)[5].active_users == 1
    looking = [RawEvent("focus", at(2), f"u{n}") for n in range(3)] + [RawEvent("blur", at(6), "u2")]
    rows = rows_of([*events, *looking, RawEvent("leave", at(11), "u1")])
    assert [rows[5].active_users, rows[10].active_users, rows[15].active_users] == [3, 2, 1]


def test_who_left_is_not_active():
    events = [*joins(2), RawEvent("chat", at(1), "u0"), RawEvent("chat", at(1), "u1"), RawEvent("leave", at(6), "u1")]
    rows = rows_of(events)
    assert [rows[5].active_users, rows[10].active_users] == [2, 1]


def test_without_joins_the_audience_is_unknown():
    row = rows_of(
        [RawEvent("chat", at(1), "ada"), RawEvent("poll_opened", at(1)), RawEvent("poll_vote", at(2), "ada")]
    )[5]
    assert [row.total_users, row.user_leave_rate, row.poll_participation, row.active_users] == [None, None, None, 1]


def test_poll_participation_is_the_share_of_those_who_could_vote_while_it_is_open():
    votes = [RawEvent("poll_vote", at(12), f"u{n}", poll="p") for n in (0, 1, 1)]
    late_comer = RawEvent("join", at(16), "u10")
    leaver = RawEvent("leave", at(21), "u9")
    opened, closed = RawEvent("poll_opened", at(11), poll="p"), RawEvent("poll_closed", at(26), poll="p")
    rows = rows_of([*joins(10), opened, *votes, late_comer, leaver, closed], until=30)
    assert [rows[second].poll_participation for second in (10, 15, 20, 25, 30)] == [None, 0.2, 2 / 11, 2 / 11, None]


def test_votes_without_a_person_are_a_voter_each_and_one_without_a_poll_is_for_the_newest():
    polls = [RawEvent("poll_opened", at(1), poll="p"), RawEvent("poll_opened", at(2), poll="q")]
    votes = [RawEvent("poll_vote", at(3)), RawEvent("poll_vote", at(3)), RawEvent("poll_vote", at(4), "u1", poll="p")]
    rows = rows_of(
        [*joins(4), *polls, *votes, RawEvent("poll_closed", at(6)), RawEvent("poll_closed", at(11))], until=15
    )
    assert [rows[5].poll_participation, rows[10].poll_participation, rows[15].poll_participation] == [0.5, 0.25, None]


def test_a_poll_that_opens_again_starts_anew():
    def vote(second: float) -> list[RawEvent]:
        return [RawEvent("poll_opened", at(second), poll="p"), RawEvent("poll_vote", at(second + 1), "u1", poll="p")]

    rows = rows_of([*joins(2), *vote(1), RawEvent("poll_closed", at(6), poll="p"), *vote(11)], until=15)
    assert [rows[5].poll_participation, rows[10].poll_participation, rows[15].poll_participation] == [0.5, None, 0.5]


def test_what_few_platforms_tell_is_unknown_until_it_is_told_and_zero_from_then_on():
    told = [
        RawEvent("hand_lowered", at(6), "u0"),  # there are hands here, and none is up
        RawEvent("mic_on", at(11), "u0"),
        RawEvent("camera_on", at(16), "u0"),
        RawEvent("talk_started", at(21), "u0"),
        RawEvent("talk_stopped", at(23), "u0"),
        RawEvent("question_asked", at(26)),
        RawEvent("question_vote", at(31)),
        RawEvent("chat", at(36)),
        RawEvent("chat", at(41), "u1"),
        RawEvent("mic_off", at(46), "u0"),
        RawEvent("camera_off", at(46), "u0"),
    ]
    windows = Windows(sends_all=True)
    windows.add([*joins(2), *told])
    rows = {round((row.timestamp - NINE).total_seconds()): row for row in windows.finish(at(105))}

    assert {name: getattr(rows[5], name) for name in OPTIONAL} == dict.fromkeys(OPTIONAL)
    first = {
        "hands_raised": 10, "mics_on": 15, "cameras_on": 20, "talk_share": 25, "speakers": 25,
        "questions_per_min": 30, "question_votes_per_min": 35, "chatters": 45,
    }  # fmt: skip
    for name, second in first.items():
        assert getattr(rows[second - 5], name) is None, name
        assert getattr(rows[second], name) == {"hands_raised": 0, "talk_share": 2 / 60}.get(name, 1), name
        assert getattr(rows[105], name) == 0, name


def test_signs_are_their_persons_and_told_twice_count_once():
    up = [RawEvent("hand_raised", at(1 + n), user) for n, user in enumerate(["u0", "u0", "u1", "stranger"])]
    rows = rows_of([*joins(3), *up, RawEvent("hand_raised", at(2)), RawEvent("hand_lowered", at(6), "u0")], until=15)
    assert [rows[5].hands_raised, rows[10].hands_raised] == [3, 2]


def test_what_somebody_shows_ends_when_they_leave_and_comes_back_as_it_is_told():
    on = [RawEvent(kind, at(1), "u1") for kind in ("hand_raised", "mic_on", "camera_on", "talk_started")]
    back = [RawEvent("mic_on", at(11.9), "u1"), RawEvent("join", at(12), "u1"), RawEvent("mic_on", at(13), "u1")]
    rows = rows_of([*joins(3), *on, RawEvent("leave", at(6), "u1"), *back], until=20)

    def showing(second: int) -> list[int | None]:
        row = rows[second]
        return [row.hands_raised, row.mics_on, row.cameras_on, row.speakers]

    assert [showing(5), showing(10), showing(15)] == [[1, 1, 1, 1], [0, 0, 0, 1], [0, 1, 0, 1]]
    assert rows[20].talk_share == 5 / 60


def test_what_is_told_of_somebody_who_is_away_counts_when_they_are_back():
    gone = [RawEvent("leave", at(6), "u1"), RawEvent("camera_on", at(8), "u1"), RawEvent("join", at(12), "u1")]
    rows = rows_of([*joins(3), RawEvent("camera_on", at(1), "u0"), *gone], until=15)
    assert [rows[5].cameras_on, rows[10].cameras_on, rows[15].cameras_on] == [1, 1, 2]


def test_who_leaves_and_never_came_did_talk():
    """As ever, a leave without a join makes nobody idle: it ends what they show."""
    events = [RawEvent("chat", at(1), "u0"), RawEvent("talk_started", at(2), "u0"), RawEvent("leave", at(8), "u0")]
    rows = rows_of(events, until=70)
    assert [rows[second].active_users for second in (5, 10, 65, 70)] == [1, 1, 1, 0]


def test_who_comes_back_with_their_voice_is_active_once():
    away = [RawEvent("leave", at(1), "u0"), RawEvent("talk_started", at(2), "u0"), RawEvent("chat", at(3), "u0")]
    rows = rows_of([*joins(3), *away, RawEvent("join", at(6), "u0")], until=10)
    assert [rows[5].active_users, rows[10].active_users] == [1, 1]


def test_hands_of_people_whose_joins_nobody_told_are_hands():
    rows = rows_of([RawEvent("hand_raised", at(1), "ada"), RawEvent("leave", at(6), "ada")], until=10)
    assert [rows[5].hands_raised, rows[10].hands_raised, rows[5].total_users] == [1, 0, None]


def test_talk_share_is_the_time_in_which_anybody_talked():
    talk = [
        RawEvent("talk_started", at(2), "u0"),
        RawEvent("talk_started", at(4), "u1"),  # both at once
        RawEvent("talk_stopped", at(8), "u0"),
        RawEvent("talk_stopped", at(12), "u1"),
        RawEvent("talk_started", at(20), "u0"),
        RawEvent("mic_off", at(23.5), "u0"),  # who mutes themselves talks no more
    ]
    rows = rows_of([*joins(3), *talk], until=90)
    assert [rows[second].talk_share for second in (5, 15, 25)] == [3 / 60, 10 / 60, 13.5 / 60]
    assert [rows[second].talk_share for second in (65, 70, 85)] == [10.5 / 60, 5.5 / 60, 0]
    assert [rows[second].speakers for second in (5, 70, 75, 80, 85)] == [2, 2, 1, 1, 0]


def test_who_goes_on_talking_is_active_for_as_long_and_a_voice_alone_tells_of_no_activity():
    lecture = [*joins(4), RawEvent("talk_started", at(1), "u0")]
    assert {row.active_users for row in rows_of(lecture, until=200).values()} == {None}

    rows = rows_of([*lecture, RawEvent("chat", at(2), "u0"), RawEvent("chat", at(2), "u1")], until=200)
    assert [rows[second].active_users for second in (5, 60, 65, 200)] == [2, 2, 1, 1]
    assert (rows[200].talk_share, rows[200].speakers, rows[200].chatters) == (1.0, 1, 0)
    stopped = rows_of([*lecture, RawEvent("chat", at(2), "u1"), RawEvent("talk_stopped", at(103), "u0")], until=200)
    assert [stopped[second].active_users for second in (100, 160, 165)] == [1, 1, 0]


def test_to_raise_a_hand_or_to_ask_is_to_do_something_and_a_device_is_not():
    doing = [
        RawEvent(kind, at(1), f"u{n}") for n, kind in enumerate(("hand_raised", "question_asked", "question_vote"))
    ]
    devices = [RawEvent(kind, at(1), "u4") for kind in ("mic_on", "camera_on", "hand_lowered")]
    assert rows_of([*joins(6), *devices])[5].active_users is None
    assert rows_of([*joins(6), *devices, *doing])[5].active_users == 3


def test_a_voice_that_begins_and_ends_all_the_time_makes_no_lively_room():
    """Else a film that is shown in a lecture would look like a source that has gone."""
    voice = [RawEvent(("talk_started", "talk_stopped")[n % 2], at(1 + n), "u0") for n in range(300)]
    rows = rows_of([*joins(3), *voice, RawEvent("chat", at(480), "u1")])
    assert list(rows) == list(range(5, 490, 5))
    assert [rows[400].talk_share, rows[400].speakers] == [0, 0]


def test_somebody_who_writes_twice_is_one_who_writes():
    chats = [RawEvent("chat", at(second), user) for second, user in ((1, "u0"), (2, "u0"), (8, "u1"), (31, "u0"))]
    rows = rows_of([*joins(3), *chats, RawEvent("leave", at(32), "u1")], until=95)
    assert [rows[second].chatters for second in (5, 10, 35, 65, 70, 90, 95)] == [1, 2, 2, 2, 1, 1, 0]


def test_polls_that_are_never_closed_do_not_pile_up():
    room, people = Room(), {}
    opened = [(number, RANK["poll_opened"], "", str(number)) for number in range(MAX_POLLS + 3)]
    room.advance([(0, RANK["join"], "ada", ""), *opened], people, ROW)
    assert list(room.polls.running) == [str(number) for number in range(3, MAX_POLLS + 3)]
    assert len(json.dumps(room.pack())) < 3_000


def lively(seconds: float, since: float = 0.0, every: float = 0.5) -> list[RawEvent]:
    """Return a room of ten that does something twice a second."""
    kinds = ("chat", "focus", "reaction", "blur")
    count = round(seconds / every)
    return [RawEvent(kinds[n % 4], at(since + n * every), f"u{n % 10}") for n in range(count)]


def test_a_silence_that_a_lively_room_does_not_know_has_no_rows_nor_has_the_minute_after_it():
    rows = rows_of([*joins(10), *lively(300), *lively(120, since=360)])
    assert list(rows) == [*range(5, 305, 5), *range(420, 485, 5)]
    assert rows[420].chat_msgs_per_min == 30


def test_a_short_silence_is_silence():
    rows = rows_of([*joins(10), *lively(300), *lively(60, since=308)])
    assert list(rows) == list(range(5, 375, 5))
    assert [rows[300].chat_count, rows[305].chat_count, rows[310].chat_count] == [2, 0, 1]


def test_a_room_that_goes_on_a_little_is_heard():
    """Chat and reactions stop, and of 120 events a minute 8 are left: people who look away and come back."""
    few = [RawEvent(("blur", "focus")[n % 2], at(300 + 8 * n), "u1") for n in range(30)]
    rows = rows_of([*joins(10), *lively(300), *few])
    assert list(rows) == list(range(5, 540, 5))
    assert rows[400].chat_msgs_per_min == 0


def test_ten_silent_minutes_of_a_room_that_was_lively_for_one_are_zero():
    rows = rows_of([*joins(10), *lively(60), RawEvent("chat", at(660), "u1")])
    assert list(rows) == list(range(5, 670, 5))
    assert {row.chat_msgs_per_min for second, row in rows.items() if 120 <= second < 665} == {0}


def test_the_clock_waits_where_silence_is_not_to_be_believed():
    windows = Windows(lateness_seconds=2)
    windows.add([*joins(10), *lively(300)])
    windows.advance()
    rows = windows.advance(at(330))
    assert rows[-1].timestamp == at(300)  # the newest event is at 299.5; 8 are missing after 4 s
    assert windows.add([RawEvent("chat", at(301), "u1")]) == Added(1, 0, 0)  # held back, but not late
    assert [row.timestamp for row in windows.advance(at(331))] == [at(305)]


def test_the_clock_closes_nothing_of_a_recording():
    windows = Windows(lateness_seconds=2)
    windows.add([RawEvent("chat", at(1))])
    assert windows.advance(at(301)) == []
    assert len(windows.advance(at(300.9))) == 59


def test_an_event_after_its_window_closed_is_late_and_changes_nothing():
    windows = Windows(lateness_seconds=2)
    assert windows.add([RawEvent("chat", at(4)), RawEvent("chat", at(6.999)), RawEvent("chat", at(3))]) == Added(
        3, 0, 0
    )
    assert windows.add([RawEvent("chat", at(7)), RawEvent("chat", at(4.5))]) == Added(1, 0, 1)
    assert [row.chat_msgs_per_min for row in windows.finish()] == [2, 4]


def test_the_clock_closes_windows_that_no_event_closes():
    windows = Windows(lateness_seconds=2)
    windows.add([RawEvent("chat", at(1))])
    assert windows.advance() == []
    assert windows.advance(at(6.9)) == []
    assert [row.timestamp for row in windows.advance(at(12))] == [at(5), at(10)]
    assert windows.add([RawEvent("chat", at(9.9)), RawEvent("chat", at(10))]) == Added(1, 0, 1)


def test_a_repeated_id_is_one_event():
    chat = RawEvent("chat", at(1), "ada", id="c1")
    windows = Windows()
    assert windows.add([chat, chat]) == Added(1, 1, 0)
    assert windows.add([chat]) == Added(0, 1, 0)
    assert windows.finish()[0].chat_msgs_per_min == 1


def test_an_endless_silence_makes_no_endless_rows():
    rows = rows_of([*joins(1), RawEvent("chat", at(30 * 24 * 3600), "u0")])
    assert len(rows) == 360 + 1
    assert rows[30 * 24 * 3600 + 5].total_users == 1


def test_an_unknown_type_is_refused():
    with pytest.raises(ValueError, match="unknown event type 'wave'"):
        Windows().add([RawEvent("wave", at(0))])


@st.composite
def conversations(draw) -> list[RawEvent]:
    """Two people who come and go, write, talk and switch what they have, so often that one thing follows another."""
    kinds = st.sampled_from(["join", "leave", "chat", "talk_started", "talk_stopped", *SWITCHES])
    moments = sorted(draw(st.lists(st.integers(0, 150), min_size=12, max_size=40)))
    return [
        RawEvent(draw(kinds), at(second), draw(st.sampled_from(["ada", "bob"])), str(number))
        for number, second in enumerate(moments)
    ]


@st.composite
def recordings(draw) -> list[RawEvent]:
    """Events of a few people over some minutes, in time order, each with an id."""
    moments = sorted(draw(st.lists(st.integers(0, 300_000), min_size=1, max_size=60)))
    kinds, polls = st.sampled_from(EVENT_TYPES), st.sampled_from("pq")
    people = st.sampled_from(["ada", "bob", "cleo", "dan", None])
    return [
        RawEvent(draw(kinds), at(moment / 1000), draw(people), str(number), draw(polls))
        for number, moment in enumerate(moments)
    ]


def all_rows(events: list[RawEvent]) -> list[Reading]:
    windows = Windows(LATENESS_SECONDS)
    windows.add(events)
    return windows.finish()


@given(st.one_of(recordings(), conversations()), st.data())
def test_order_within_the_lateness_bound_does_not_matter(events, data):
    delays = st.floats(0, LATENESS_SECONDS)
    arrivals = [(event.timestamp + timedelta(seconds=data.draw(delays)), event) for event in events]
    shuffled = [event for _, event in sorted(arrivals, key=lambda arrival: arrival[0])]
    windows = Windows(LATENESS_SECONDS)
    assert windows.add(shuffled) == Added(len(events), 0, 0)
    assert windows.finish() == all_rows(events)


@given(recordings(), st.data())
def test_repeats_do_nothing(events, data):
    repeated = list(events)
    for event in data.draw(st.lists(st.sampled_from(events), max_size=20)):
        repeated.insert(data.draw(st.integers(repeated.index(event) + 1, len(repeated))), event)
    assert all_rows(repeated) == all_rows(events)


@given(st.one_of(recordings(), conversations()), st.data())
def test_batches_of_any_size_give_the_same_rows(events, data):
    windows = Windows(LATENESS_SECONDS)
    rows: list[Reading] = []
    rest = events
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        windows.add(rest[:size])
        rest = rest[size:]
        rows += windows.advance()
    assert rows + windows.finish() == all_rows(events)


@st.composite
def outages(draw) -> list[RawEvent]:
    """A room that is lively for minutes, with silences of any length, among what else may happen."""
    parts, second = [*joins(6)], 0.0
    for _ in range(draw(st.integers(1, 3))):
        length = draw(st.integers(60, 260))
        parts += lively(length, since=second, every=draw(st.sampled_from([0.5, 2, 4])))
        second += length + draw(st.integers(0, 200))
    return sorted([*parts, *draw(recordings())], key=lambda event: event.timestamp)


@given(st.one_of(recordings(), conversations(), outages()), st.integers(0, 2**32))
def test_a_room_that_was_stored_after_any_slot_gives_the_same_rows(events, seed):
    """As the database keeps it: the room as JSON, and the people that the next events name."""
    random = Random(seed)
    entries = sorted((to_microseconds(e.timestamp), RANK[e.type], e.user or "", e.poll or "") for e in events)
    end = row_end(entries[-1][0])
    whole = Room().advance(entries, {}, end)

    rows: list[Reading] = []
    stored, people, done = json.dumps(Room().pack()), {}, 0
    while done < end:
        until = min(end, random.randint(0, 60) * ROW + max(done, row_end(entries[0][0])))
        due = entries[bisect_left(entries, (done,)) : bisect_left(entries, (until,))]
        room = Room.unpack(json.loads(stored))
        named = {user: deepcopy(people[user]) for _, _, user, _ in due if user in people}
        most = random.choice([None, 1, 7, 100])
        found = room.advance(due, named, until, most=most)
        rows, people, stored = rows + found, people | named, json.dumps(room.pack())
        done = room.next - ROW if len(found) == most else until
    assert rows == whole


@given(st.one_of(recordings(), conversations()))
def test_rows_are_what_the_definition_says(events):
    rows = all_rows(events)
    first = rows[0].timestamp
    assert [row.timestamp for row in rows] == [first + timedelta(seconds=5 * n) for n in range(len(rows))]
    for row in rows:
        happened = [event for event in events if event.timestamp < row.timestamp]
        minute = [event for event in happened if event.timestamp >= row.timestamp - timedelta(seconds=60)]
        present, left = audience(happened)
        gone = [moment for moment in left if moment >= row.timestamp - timedelta(seconds=60)]
        here = len(present)
        for kind, rate, count in (
            ("chat", row.chat_msgs_per_min, row.chat_count),
            ("reaction", row.reactions_per_min, row.reaction_count),
        ):
            slot = [event for event in minute if event.timestamp >= row.timestamp - timedelta(seconds=5)]
            is_known = any(event.type == kind for event in happened)
            assert rate == (sum(event.type == kind for event in minute) if is_known else None)
            assert count == sum(event.type == kind for event in slot)
        assert shown_of(row) == shown(happened)
        assert (row.talk_share, row.speakers) == speech(happened, row.timestamp)
        assert row.chatters == chatters(happened, minute)
        for kind, rate in (("question_asked", row.questions_per_min), ("question_vote", row.question_votes_per_min)):
            is_known = any(event.type == kind for event in happened)
            assert rate == (sum(event.type == kind for event in minute) if is_known else None)
        has_joins = any(event.type == "join" and event.user for event in happened)
        assert row.active_users == active(happened, minute, present, has_joins)
        if not has_joins:
            assert [row.total_users, row.user_leave_rate, row.poll_participation] == [None, None, None]
            continue
        assert row.total_users == here
        assert row.user_leave_rate == (len(gone) / (here + len(gone)) if gone else 0)
        share, opened_at = newest_poll(happened)
        assert row.poll_participation == share
        age = None if share is None else (row.timestamp - opened_at).total_seconds()
        assert row.poll_age_seconds == (None if age is None else pytest.approx(age, abs=1e-6))


def ranked(events: list[RawEvent]) -> list[RawEvent]:
    return sorted(events, key=lambda event: (event.timestamp, EVENT_TYPES.index(event.type), event.user or ""))


def audience(events: list[RawEvent]) -> tuple[set[str], list[datetime]]:
    """Return who is here, and the moments of the leaves that were no reconnects."""
    here: set[str] = set()
    left: list[tuple[datetime, str]] = []
    for event in ranked(events):
        if event.user is None:
            continue
        if event.type == "join":
            mine = [leave for leave in left if leave[1] == event.user]
            if mine and event.user not in here and event.timestamp - mine[-1][0] <= timedelta(seconds=GRACE_SECONDS):
                left.remove(mine[-1])
            here.add(event.user)
        elif event.type == "leave" and event.user in here:
            left.append((event.timestamp, event.user))
            here.discard(event.user)
    return here, [moment for moment, _ in left]


def active(happened: list[RawEvent], minute: list[RawEvent], present: set[str], has_joins: bool) -> int | None:
    """Return who looks, where anybody ever told; else who acted in the minute and is still here."""
    acts = ("chat", "reaction", "poll_vote", "hand_raised", "question_asked", "question_vote")
    looks = [event for event in ranked(happened) if event.type in ("focus", "blur") and event.user]
    done = [event for event in happened if event.type in acts and (event.user or event.type not in SWITCHES)]
    if not looks and not done:
        return None
    found: set[str] = set()
    if looks:
        here: set[str] = set()
        for event in ranked(happened):
            match event.type:
                case "focus":
                    found |= {event.user} - {None}
                case "blur":
                    found.discard(event.user)
                case "leave" if event.user in here:
                    found.discard(event.user)
                    here.discard(event.user)
                case "join":
                    here.add(event.user)
        return len(found & present)
    here = set()
    for place, event in enumerate(ranked(happened)):
        if event.type == "join":
            here.add(event.user)
        elif event.type == "leave" and event.user in here:
            here.discard(event.user)
            found.discard(event.user)
        elif event in minute and (event.type in acts or stops_a_voice(happened, place)):
            found |= {event.user} - {None}
    found |= showing(happened)[VOICE]
    return min(len(found), len(present)) if has_joins else len(found)


def showing(events: list[RawEvent]) -> dict[str, set[str]]:
    """Return who shows each sign and is not away, from sets of people instead of counters."""
    on: dict[str, set[str]] = {HAND: set(), MIC: set(), CAMERA: set(), VOICE: set()}
    here: set[str] = set()
    away: set[str] = set()
    for event in ranked(events):
        match event.type:
            case "join":
                here.add(event.user)
                away.discard(event.user)
            case "leave":
                for those in on.values():
                    those.discard(event.user)
                if event.user in here:
                    here.discard(event.user)
                    away.add(event.user)
            case "hand_raised" | "camera_on" | "mic_on" | "talk_started":
                on[SWITCHES[event.type][0]].add(event.user)
            case "hand_lowered" | "camera_off" | "mic_off" | "talk_stopped":
                on[SWITCHES[event.type][0]].discard(event.user)
                if event.type == "mic_off":
                    on[VOICE].discard(event.user)
    return {sign: those - away - {None} for sign, those in on.items()}


def shown(happened: list[RawEvent]) -> list[int | None]:
    """Return how many have each of hand, microphone and camera up or on, None where nobody ever told of it."""
    known = {SWITCHES[event.type][0] for event in happened if event.type in SWITCHES and event.user}
    now = showing(happened)
    return [len(now[sign]) if sign in known else None for sign in (HAND, MIC, CAMERA)]


def shown_of(row: Reading) -> list[int | None]:
    return [row.hands_raised, row.mics_on, row.cameras_on]


def stops_a_voice(happened: list[RawEvent], place: int) -> bool:
    """Tell whether somebody fell silent with this event."""
    events = ranked(happened)
    user = events[place].user
    talked, talks = (user in showing(events[:end])[VOICE] for end in (place, place + 1))
    return talked and not talks


def speech(happened: list[RawEvent], end: datetime) -> tuple[float | None, int | None]:
    """Return the share of the last minute in which anybody talked, and how many did, from who did after each event."""
    if not any(event.type in ("talk_started", "talk_stopped") and event.user for event in happened):
        return None, None
    start, events = end - timedelta(seconds=60), ranked(happened)
    talked, speakers = timedelta(), set()
    for place, event in enumerate(events):
        until = events[place + 1].timestamp if place + 1 < len(events) else end
        before, voices = (showing(events[:last])[VOICE] for last in (place, place + 1))
        if voices:
            talked += max(until, start) - max(event.timestamp, start)
        if until >= start:
            speakers |= voices
        if event.timestamp >= start:
            speakers |= before
    return talked / timedelta(microseconds=1) / 60_000_000, len(speakers)


def chatters(happened: list[RawEvent], minute: list[RawEvent]) -> int | None:
    if not any(event.type == "chat" and event.user for event in happened):
        return None
    return len({event.user for event in minute if event.type == "chat"} - {None})


def newest_poll(events: list[RawEvent]) -> tuple[float | None, datetime | None]:
    """Return the share of the newest open poll, from sets of people instead of counters, and when it opened."""
    here: set[str] = set()
    polls: dict[str, tuple[set[str], set[str], list[None], datetime]] = {}
    for event in ranked(events):
        match event.type:
            case "join" if event.user:
                here.add(event.user)
                for could_vote, _, _, _ in polls.values():
                    could_vote.add(event.user)
            case "leave":
                here.discard(event.user)
            case "poll_opened":
                polls.setdefault(event.poll, (set(here), set(), [], event.timestamp))
            case "poll_closed":
                polls.pop(event.poll, None)
            case "poll_vote" if event.poll in polls:
                could_vote, voters, nameless, _ = polls[event.poll]
                if event.user is None:
                    nameless.append(None)
                else:
                    could_vote.add(event.user)
                    voters.add(event.user)
    if not polls:
        return None, None
    could_vote, voters, nameless, opened_at = list(polls.values())[-1]
    return min(1.0, (len(voters) + len(nameless)) / len(could_vote)) if could_vote else None, opened_at
