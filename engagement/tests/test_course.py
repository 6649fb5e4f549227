"""The figures of a session and the moments at which its audience moved."""

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.course import APART, LEAST_MOVE, MINUTE, MOST_MOVES, SPAN, Minute, find_course

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
scores = st.lists(st.none() | st.floats(0, 1), max_size=60)


def minutes(values) -> list[Minute]:
    return [Minute(NINE + place * MINUTE, value, None) for place, value in enumerate(values)]


def test_a_fall_is_told_at_the_minute_at_which_it_happened():
    course = find_course(minutes([0.7] * 10 + [0.3] * 10))

    (move,) = course.downs
    assert (move.at, move.before, move.after) == (NINE + 10 * MINUTE, pytest.approx(0.7), pytest.approx(0.3))
    assert course.ups == []


def test_a_dip_is_a_fall_and_a_rise():
    course = find_course(minutes([0.7] * 10 + [0.3] * 10 + [0.6] * 10))

    assert [move.at for move in course.downs] == [NINE + 10 * MINUTE]
    assert [move.at for move in course.ups] == [NINE + 20 * MINUTE]


def test_nothing_is_told_of_a_session_without_scores():
    course = find_course(minutes([None, None]))

    assert (course.minutes, course.mean_score, course.peak, course.lowest, course.ups) == (0, None, None, None, [])


def test_a_gap_is_no_move():
    assert find_course(minutes([0.8] * 5 + [None] * 5 + [0.2] * 5)).downs == []


@given(scores)
def test_figures_lie_where_the_minutes_do(values):
    course, known = find_course(minutes(values)), [value for value in values if value is not None]

    assert course.minutes == len(known)
    if known:
        assert course.lowest.value == min(known)
        assert course.peak.value == max(known)
        assert min(known) <= course.mean_score + 1e-9
        assert course.mean_score - 1e-9 <= max(known)


@given(scores)
def test_moves_are_few_large_and_apart(values):
    course = find_course(minutes(values))

    for moves, sign in ((course.ups, 1), (course.downs, -1)):
        assert len(moves) <= MOST_MOVES
        assert all(sign * move.change >= LEAST_MOVE for move in moves)
        assert [abs(move.change) for move in moves] == sorted((abs(move.change) for move in moves), reverse=True)
        times = sorted(move.at for move in moves)
        assert all(later - earlier >= APART for earlier, later in itertools.pairwise(times))


@given(st.floats(0, 1), st.integers(2 * SPAN, 40))
def test_a_steady_room_does_not_move(value, length):
    course = find_course(minutes([value] * length))
    assert (course.ups, course.downs) == ([], [])
