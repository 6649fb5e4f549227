import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.readings import Reading
from engagement.windows import EVENT_TYPES, GRACE_SECONDS, Added, RawEvent, Windows

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
    assert [rows[5].chat_msgs_per_min, rows[10].chat_msgs_per_min, rows[65].chat_msgs_per_min] == [0, 1, 2]


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


def test_people_without_names_are_counted():
    events = [RawEvent("join", at(n)) for n in range(4)] + [RawEvent("leave", at(6)), RawEvent("chat", at(7))]
    row = rows_of(events)[10]
    assert [row.total_users, row.user_leave_rate, row.chat_msgs_per_min, row.active_users] == [3, 0.25, 1, 0]


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
    assert len(rows) == 4 * 720 + 1
    assert rows[30 * 24 * 3600 + 5].total_users == 1


def test_an_unknown_type_is_refused():
    with pytest.raises(ValueError, match="unknown event type 'wave'"):
        Windows().add([RawEvent("wave", at(0))])


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


@given(recordings(), st.data())
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


@given(recordings(), st.data())
def test_batches_of_any_size_and_a_stored_state_give_the_same_rows(events, data):
    windows = Windows(LATENESS_SECONDS)
    rows: list[Reading] = []
    rest = events
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        windows.add(rest[:size])
        rest = rest[size:]
        rows += windows.advance()
        windows = pickle.loads(pickle.dumps(windows))
    assert rows + windows.finish() == all_rows(events)


@given(recordings())
def test_rows_are_what_the_definition_says(events):
    rows = all_rows(events)
    first = rows[0].timestamp
    assert [row.timestamp for row in rows] == [first + timedelta(seconds=5 * n) for n in range(len(rows))]
    for row in rows:
        happened = [event for event in events if event.timestamp < row.timestamp]
        minute = [event for event in happened if event.timestamp >= row.timestamp - timedelta(seconds=60)]
        present, unnamed, left = audience(happened)
        gone = [moment for moment in left if moment >= row.timestamp - timedelta(seconds=60)]
        here = len(present) + unnamed
        assert row.chat_msgs_per_min == sum(event.type == "chat" for event in minute)
        assert row.reactions_per_min == sum(event.type == "reaction" for event in minute)
        if not any(event.type == "join" for event in happened):
            assert row.total_users is None
            continue
        assert row.total_users == here
        assert row.user_leave_rate == (len(gone) / (here + len(gone)) if gone else 0)
        assert 0 <= row.active_users <= row.total_users
        assert row.poll_participation is None or 0 <= row.poll_participation <= 1


def audience(events: list[RawEvent]) -> tuple[set[str], int, list[datetime]]:
    """Return who is here, how many more without a name, and the moments of the leaves that were no reconnects."""
    here: set[str] = set()
    unnamed = 0
    left: list[tuple[datetime, str | None]] = []
    ranked = sorted(events, key=lambda event: (event.timestamp, EVENT_TYPES.index(event.type)))
    for event in ranked:
        if event.type == "join":
            back = timedelta(seconds=GRACE_SECONDS)
            mine = [leave for leave in left if event.user is not None and leave[1] == event.user]
            if mine and event.user not in here and event.timestamp - mine[-1][0] <= back:
                left.remove(mine[-1])
            unnamed += event.user is None
            here |= {event.user} - {None}
        elif event.type == "leave" and (event.user in here or (event.user is None and unnamed)):
            left.append((event.timestamp, event.user))
            unnamed -= event.user is None
            here.discard(event.user)
    return here, unnamed, [moment for moment, _ in left]
