"""The value that is measured."""

from datetime import UTC, datetime

import pytest

from engagement.readings import SIGNALS, Reading

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("active", "total", "share"),
    [
        (6, 8, 0.75),
        (0, 8, 0.0),
        (8, 8, 1.0),
        (9, 8, 1.0),
        (0, 0, None),
        (None, 8, None),
        (6, None, None),
        (None, None, None),
    ],
)
def test_active_share_is_known_where_both_counts_are(active, total, share):
    assert Reading(AT, active_users=active, total_users=total).active_share == share


def test_is_empty_only_where_nothing_is_known():
    assert Reading(AT).is_empty
    assert not any(Reading(AT, **{name: 0}).is_empty for name in SIGNALS)


def test_a_reading_cannot_change():
    with pytest.raises(AttributeError):
        Reading(AT).chat_msgs_per_min = 1
