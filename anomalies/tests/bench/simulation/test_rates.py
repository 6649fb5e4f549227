from statistics import mean, median, pvariance

import pytest

from anomalies.bench.simulation import KINDS, simulate
from anomalies.tests.bench.test_simulation import active_share, labels_of, rows_between, share_kept

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sessions():
    return [simulate(5, "workshop", 60, index=index, emits="activity", maker="rates") for index in range(60)]


@pytest.mark.parametrize("kind", KINDS)
def test_rates_repeat_themselves_and_are_no_session_of_people(kind):
    first = simulate(3, kind, 15, index=2, maker="rates")
    assert simulate(3, kind, 15, index=2, maker="rates") == first
    assert simulate(3, kind, 15, index=1, maker="rates").rows != first.rows
    assert simulate(3, kind, 15, index=2).rows != first.rows
    assert (first.kind, first.audience, first.events) == (kind, 15, [])


def test_rows_can_be_posted(sessions):
    for session in sessions:
        moments = [row.timestamp for row in session.rows]
        assert moments == sorted(set(moments))
        for row in session.rows:
            assert 0 <= row.active_users <= row.total_users
            assert 0 <= row.user_leave_rate <= 1
            assert row.chat_msgs_per_min >= 0
            assert row.reactions_per_min >= 0
            assert row.poll_participation is None or 0 <= row.poll_participation <= 1


@pytest.mark.parametrize(
    ("emits", "known"),
    [
        ("activity", {"chat_msgs_per_min", "reactions_per_min", "active_users", "total_users", "user_leave_rate"}),
        ("actors", {"chat_msgs_per_min", "reactions_per_min", "active_users", "total_users", "user_leave_rate"}),
        ("connections", {"total_users", "user_leave_rate"}),
        ("chat", {"chat_msgs_per_min"}),
    ],
)
def test_rates_tell_only_what_the_platform_can(emits, known):
    row = simulate(1, "webinar", 60, emits=emits, maker="rates").rows[100]
    names = ("chat_msgs_per_min", "reactions_per_min", "active_users", "total_users", "user_leave_rate")
    assert {name for name in names if getattr(row, name) is not None} == known


@pytest.mark.parametrize("maker", ["people", "rates"])
def test_where_only_connections_are_known_all_count_as_active(maker):
    rows = simulate(1, "webinar", 60, emits="connected", maker=maker).rows
    known = [row for row in rows if row.total_users]
    differ = [row for row in known if row.active_users != row.total_users]
    assert len(differ) <= 3  # glitches
    assert max(row.chat_msgs_per_min for row in known) > 0


def test_who_did_something_is_no_more_than_what_was_done():
    for index in range(5):
        for row in simulate(1, "panel", 200, index=index, emits="actors", maker="rates", quiet=True).rows:
            assert row.active_users <= row.total_users
            assert row.active_users <= row.chat_msgs_per_min + row.reactions_per_min or row.chat_msgs_per_min == 0


def test_incidents_show(sessions):
    drops = labels_of(sessions, "SUDDEN_DROP")
    assert median(share_kept(*drop, lambda row: row.chat_msgs_per_min) for drop in drops) < 0.5
    assert median(share_kept(*drop, active_share) for drop in drops) < 0.8
    for session, label in labels_of(sessions, "MASS_EXIT"):
        at_first = rows_between(session, session.starts_at, label.start)[-1].total_users
        assert min(row.total_users for row in rows_between(session, label.start, label.end)) < 0.9 * at_first


def test_messages_come_in_clusters():
    """The variance of healthy counts of a minute is larger than that of independent messages, which is their mean."""
    ratios = []
    for index in range(20):
        rows = simulate(9, "webinar", 300, index=index, emits="activity", maker="rates", quiet=True).rows
        counts = [row.chat_msgs_per_min for row in rows[120:-60:12]]
        ratios.append(pvariance(counts) / max(1.0, mean(counts)))
    assert median(ratios) > 1.5
