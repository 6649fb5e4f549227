from datetime import UTC, datetime, timedelta

import pytest

from anomalies.bench.simulation.degrade import DEGRADATIONS, round_rates, smooth, thin_out
from engagement.readings import COUNTS, Reading

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def rows(*chats: float | None) -> list[Reading]:
    return [
        Reading(NINE + timedelta(seconds=5 * n), chat, None, 7, 9, 4.0, 0.123, chat_count=1)
        for n, chat in enumerate(chats)
    ]


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_worse_rows_keep_what_is_no_rate_and_lose_our_own_counts(kind):
    worse = DEGRADATIONS[kind](rows(*range(20)))
    given = {row.timestamp: row for row in rows(*range(20))}
    assert worse[0].timestamp == NINE
    for row in worse:
        assert (row.active_users, row.total_users) == (7, 9)
        assert row.timestamp in given
        assert [getattr(row, name) for name in COUNTS] == [None] * 3


def test_smoothing_forgets_by_time_and_not_by_rows():
    every_5, every_10 = rows(8, 0, 0, 0, 0), rows(8, 0, 0, 0, 0)[::2]
    assert smooth(every_5, 30)[-1].chat_msgs_per_min == pytest.approx(smooth(every_10, 30)[-1].chat_msgs_per_min)


def test_what_is_unknown_stays_unknown_and_smoothing_starts_anew():
    assert [row.chat_msgs_per_min for row in smooth(rows(None, 8, 8, None, 4), 30)] == [None, 8, 8, None, 4]
    assert round_rates(rows(None), 10)[0].chat_msgs_per_min is None


def test_rounding_is_to_the_multiple_and_to_whole_per_cents():
    rounded = round_rates(rows(4, 14, 16), 10)
    assert [row.chat_msgs_per_min for row in rounded] == [0, 10, 20]
    assert {row.user_leave_rate for row in rounded} == {0.12}


def test_fewer_rows_keep_their_distance():
    thin = thin_out(rows(*range(13)), 30)
    assert [(row.timestamp - NINE).seconds for row in thin] == [0, 30, 60]
