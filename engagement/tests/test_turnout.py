"""What polls say in the score: no poll lets it fall by opening or closing, and what is not voted yet is unknown."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engagement.readings import Reading
from engagement.scoring import LEAST_WEIGHT, count_score, find_score, hear_polls, score, score_in_order
from engagement.turnout import FADE_SECONDS, LAG_SECONDS, NOTHING, UNSEEN_SECONDS, Polling, Turnout, compare, growth

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
ROW_SECONDS = 5

# A class of ten, five polls: after how many seconds each vote came, and how many were there.
REAL_CLASS = (
    ((2.6, 3.1, 5.0, 9.9, 10.4, 13.7), 7, 17.8),
    ((2.9, 4.1, 5.0, 7.5, 7.9, 8.5), 9, 12.8),
    ((4.0, 4.0, 5.4, 5.5, 5.8, 6.8, 13.4), 10, 18.6),
    ((1.2, 2.0, 2.2, 3.2, 3.2, 4.1, 4.8, 6.5), 10, 10.5),
    ((1.8, 1.9, 2.4, 3.1, 4.7, 6.5), 10, 14.0),
)

shares = st.floats(0, 1)
ages = st.none() | st.floats(0, 7_200)
others = st.builds(
    Reading,
    st.just(START),
    chat_msgs_per_min=st.floats(0, 40),
    active_users=st.integers(0, 50),
    total_users=st.just(50),
    reactions_per_min=st.floats(0, 20),
    user_leave_rate=st.floats(0, 0.3),
)


def play(room: Reading, votes, opens=60.0, closes=180.0, until=320, step=ROW_SECONDS, tells_age=True) -> list[Reading]:
    """Return the rows of a room in which nothing changes but a poll; `votes` gives the participation at an age."""
    rows = []
    for second in range(0, until, step):
        row, age = replace(room, timestamp=START + timedelta(seconds=second)), second - opens
        if opens <= second < closes:
            row = replace(row, poll_participation=votes(age), poll_age_seconds=age if tells_age else None)
        rows.append(row)
    return rows


def scores_of(rows: list[Reading]) -> list[float]:
    return [find_score(row) for row in score_in_order(rows)]


def place(second: int, step: int = ROW_SECONDS) -> int:
    return second // step


@given(others, shares, st.booleans(), st.sampled_from([1, 5, 10]), st.integers(61, 240))
def test_score_does_not_fall_by_a_poll_that_is_answered_as_well_as_the_room_is(room, final, tells_age, step, closes):
    before = find_score(room)
    assume(final >= before)

    found = scores_of(play(room, lambda age: final * growth(age), closes=closes, step=step, tells_age=tells_age))

    assert min(found) >= before - 1e-9
    assert found[-1] == pytest.approx(before, abs=1e-12)


@given(others, shares, st.integers(61, 240))
def test_score_moves_neither_when_a_poll_opens_nor_when_it_closes(room, final, closes):
    """Whoever answers it: it is only afterwards that the score goes to where the poll takes it, and back."""
    found = scores_of(play(room, lambda age: final * growth(age), closes=closes, tells_age=False))

    opened, closed = place(60), -(-closes // ROW_SECONDS)
    assert found[opened] == found[opened - 1] == find_score(room)
    assert found[closed] == pytest.approx(found[closed - 1], abs=1e-12)


@given(others, shares, st.booleans())
def test_score_never_jumps_as_votes_come_in_or_fade(room, final, tells_age):
    found = scores_of(play(room, lambda age: final * growth(age), tells_age=tells_age))

    assert max(abs(one - other) for one, other in pairwise(found)) < 0.06


@given(others, st.floats(0, 0.2))
def test_an_old_poll_that_few_answer_lowers_the_score(room, final):
    before = find_score(room)
    assume(before > 0.4)

    found = scores_of(play(room, lambda age: final * growth(age)))

    least = score(replace(room, poll_participation=final)).value
    assert found[place(175)] == pytest.approx(least, abs=0.01)
    assert least < before
    assert found[place(180 + 65)] == pytest.approx(before, abs=1e-12)


@pytest.mark.parametrize(("votes", "people", "closes"), REAL_CLASS)
def test_no_poll_of_a_real_class_lets_the_score_fall(votes, people, closes):
    room = Reading(START, 3.0, active_users=round(0.7 * people), total_users=people, reactions_per_min=1.0)
    before = find_score(room)

    def share(age: float) -> float:
        return sum(at < age for at in votes) / people

    for opens in (60.0, 61.5, 63.0, 64.9):
        for tells_age in (True, False):
            found = scores_of(play(room, share, opens, opens + closes, tells_age=tells_age))
            assert min(found) >= before - 1e-9
            assert max(found) > before


@given(shares, shares, ages)
def test_turnout_rises_with_the_participation_and_stays_in_bounds(one, other, age):
    lower, higher = (compare(share, age) for share in sorted((one, other)))

    assert lower.weight == higher.weight == growth(age)
    assert 0 <= lower.share <= higher.share <= 1
    assert 0 <= lower.weight <= 1


@given(others, shares, shares, ages)
def test_score_rises_with_the_participation(room, one, other, age):
    lower, higher = (
        find_score(replace(room, poll_participation=share, poll_age_seconds=age)) for share in sorted((one, other))
    )

    assert lower <= higher + 1e-12


@given(st.floats(0, 600), st.floats(0, 600))
def test_growth_rises_from_nothing_to_all(one, other):
    earlier, later = sorted((one, other))

    assert 0 <= growth(earlier) <= growth(later) <= 1
    assert growth(LAG_SECONDS) == 0
    assert growth(None) == 1


@given(others, shares, st.floats(0, LAG_SECONDS))
def test_what_nobody_can_have_voted_yet_is_unknown(room, share, age):
    assert compare(share, age) == NOTHING
    assert find_score(replace(room, poll_participation=share, poll_age_seconds=age)) == find_score(room)
    assert "poll_participation" not in score(replace(room, poll_participation=share, poll_age_seconds=age)).parts


def test_a_poll_alone_says_nothing_in_its_first_seconds():
    """The score would be 0 for as long as nobody has answered."""
    rows = play(Reading(START, total_users=50), lambda age: 0.0, opens=0.0, closes=60.0, until=60)
    found = scores_of(rows)

    known = [value is not None for value in found]
    assert known == [0.25 * growth(row.poll_age_seconds) >= LEAST_WEIGHT for row in rows]
    assert known == [False] * 4 + [True] * 8


def test_a_row_by_itself_has_the_published_score():
    """Nobody says how old its poll is, so everybody had time for it; so it is where rows begin with an open poll."""
    reading = Reading(START, 3, 0.4, 30, 50, 2, 0.05)

    assert [find_score(row) for row in score_in_order([reading])] == [find_score(reading)]
    assert find_score(reading) == score(reading, Turnout(0.4, 1.0)).value


# How old a poll is


def opened(rows: list[tuple[float, float | None]]) -> list[float | None]:
    """Return since when the poll of each row is open: for seconds and participation."""
    polling, found = Polling(), []
    for at, participation in rows:
        polling.hear(at, participation)
        found.append(polling.opened_at if polling.is_open else None)
    return found


def test_a_poll_opened_with_the_first_row_that_has_participation():
    assert opened([(0, None), (5, 0.0), (10, 0.3), (15, 0.5), (20, None), (25, 0.2), (30, 0.2)]) == [
        None, 5, 5, 5, None, 25, 25,
    ]  # fmt: skip


@pytest.mark.parametrize("first", [(), ((0.0, None),)], ids=["no row before", "a gap before"])
def test_nobody_knows_when_a_poll_opened_that_was_open_when_rows_began(first):
    begins = UNSEEN_SECONDS + 1
    polling = Polling()
    for at, participation in first:
        polling.hear(at, participation)

    said = [polling.hear(begins + second, 0.3) for second in (0, 5, 10)]

    assert said == [Turnout(0.3, 1.0)] * 3


def test_another_poll_opened_where_participation_falls_by_more_than_half():
    assert opened([(0, None), (5, 0.0), (10, 0.6), (15, 0.31), (20, 0.1), (25, 0.3)]) == [None, 5, 5, 5, 20, 20]


def test_what_a_row_tells_of_the_age_is_exact():
    polling = Polling()
    polling.hear(0, 0.1, 3.0)
    assert polling.opened_at == -3
    polling.hear(5, 0.3, 8.0)
    assert polling.opened_at == -3
    polling.hear(10, 0.3, 1.5)
    assert polling.opened_at == 8.5


def test_a_poll_that_opens_as_another_closes_lets_nothing_fall():
    polling = Polling(0.0)
    polls = [(5.0 * n, 0.8 * growth(5.0 * n - 5.0)) for n in range(1, 31)]
    before = [polling.hear(at, share) for at, share in polls][-1]

    after = [polling.hear(155.0 + 5 * n, 0.8 * growth(5.0 * n)) for n in range(40)]

    assert before.share == pytest.approx(0.8)
    assert [turnout.share for turnout in after] == pytest.approx([0.8] * 40)
    assert after[0].weight == pytest.approx(before.weight)
    assert min(turnout.weight for turnout in after) > 0.7


def test_a_poll_that_has_closed_fades_in_a_minute():
    polling = Polling(0.0)
    for second in range(5, 305, 5):
        last = polling.hear(second, 0.6)

    faded = [polling.hear(300 + second, None) for second in (5, 35, 64.9, 65)]

    assert last.weight == pytest.approx(1.0, abs=1e-4)
    assert [turnout.weight for turnout in faded] == pytest.approx([1.0, 0.5, 0.1 / FADE_SECONDS, 0.0], abs=1e-4)
    assert {turnout.share for turnout in faded[:3]} == {last.share}
    assert polling.pack() is None


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 5, 30, 60, 119, 130]), st.none() | shares, ages).map(
            lambda row: row if row[1] is not None else (row[0], None, None)
        ),
        min_size=1,
        max_size=60,
    ),
    st.data(),
)
def test_rows_say_the_same_wherever_they_are_cut(steps, data):
    at, rows = 1.7e9, []
    for seconds, participation, age in steps:
        at += seconds
        rows.append((at, participation, age))
    whole = Polling()
    expected = [whole.hear(*row) for row in rows]

    stored, heard_at, found = None, None, []
    while rows:
        size = data.draw(st.integers(1, len(rows)))
        polling = Polling.unpack(json.loads(json.dumps(stored)), heard_at)
        found += [polling.hear(*row) for row in rows[:size]]
        stored, heard_at, rows = polling.pack(), polling.heard_at, rows[size:]

    assert found == expected
    assert all(0 <= turnout.share <= 1 and 0 <= turnout.weight <= 1 for turnout in found)


@given(others, st.lists(st.none() | shares, min_size=1, max_size=40))
def test_any_polls_leave_the_score_in_bounds(room, polls):
    polling = Polling()
    for number, participation in enumerate(polls):
        row = replace(room, timestamp=START + timedelta(seconds=ROW_SECONDS * number), poll_participation=participation)
        value = count_score(row, hear_polls(polling, row))
        assert 0 <= value <= 1
