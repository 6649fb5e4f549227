"""When polls were open, as rows tell of it."""

from datetime import UTC, datetime, timedelta

from conductor.screens.polls import Poll, find_polls

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def found(*shares: float | None, step: float = 5, ages: dict[int, float] | None = None):
    """Return from when to when polls were open, in seconds, how many took part, and whether they are open."""
    rows = [(at(step * place), share, (ages or {}).get(place)) for place, share in enumerate(shares)]
    return [
        ((span.since - START).total_seconds(), span.until and (span.until - START).total_seconds(), span.key)
        for span in find_polls(rows)
    ]


def test_rows_without_participation_have_no_poll():
    assert found(None, None) == []


def test_a_poll_goes_from_its_first_row_to_the_one_in_which_it_is_closed():
    assert found(None, 0.0, 0.5, 0.4, None, None) == [(5, 20, Poll(0.5, is_open=False))]


def test_a_poll_that_goes_on_has_no_end():
    assert found(None, 0.1) == [(5, None, Poll(0.1, is_open=True))]


def test_a_poll_that_was_open_when_rows_begin_begins_with_them():
    assert found(0.3, 0.4, None) == [(0, 10, Poll(0.4, is_open=False))]


def test_a_poll_opened_when_a_row_says_so():
    assert found(None, 0.1, 0.2, None, ages={1: 3.5, 2: 8.5}) == [(1.5, 15, Poll(0.2, is_open=False))]


def test_a_poll_that_follows_another_at_once_is_another():
    told = found(None, 0.4, 0.6, 0.1, 0.2, None)
    assert told == [(5, 15, Poll(0.6, is_open=False)), (15, 25, Poll(0.2, is_open=False))]
    assert found(0.4, 0.6, 0.5, 0.6, ages={0: 40, 1: 45, 2: 2, 3: 7}) == [
        (-40, 8, Poll(0.6, is_open=False)), (8, None, Poll(0.6, is_open=True)),
    ]  # fmt: skip


def test_a_poll_ends_where_rows_stop_for_long():
    assert found(None, 0.4, None, step=300) == [(300, 300, Poll(0.4, is_open=False))]
