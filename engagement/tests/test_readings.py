"""The value that is measured, and the table of what there is to measure."""

from dataclasses import fields
from datetime import UTC, datetime

import pytest

from engagement.readings import BY_NAME, MEASURED, SIGNALS, STORED, Reading, SignalKind

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_reading_holds_what_is_measured_and_tells_every_signal():
    assert tuple(field.name for field in fields(Reading)) == ("timestamp", *STORED)
    assert len(BY_NAME) == len(SIGNALS)
    assert all(hasattr(Reading(AT), signal.name) for signal in SIGNALS)


def test_signal_has_both_labels_or_none():
    assert [signal.name for signal in SIGNALS if bool(signal.label) != bool(signal.long_label)] == []


@pytest.mark.parametrize("signal", [signal for signal in SIGNALS if signal.weight], ids=lambda signal: signal.name)
def test_signal_of_the_score_has_a_label_and_a_full_value(signal):
    assert signal.label
    assert (signal.full is not None) == (signal.kind is SignalKind.RATE)  # a share is full at 1


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
    assert not any(Reading(AT, **{name: 0}).is_empty for name in MEASURED)


def test_a_reading_cannot_change():
    with pytest.raises(AttributeError):
        Reading(AT).chat_msgs_per_min = 1
