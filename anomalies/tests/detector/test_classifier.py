from dataclasses import replace
from datetime import timedelta

from anomalies.detector.incidents import Step
from anomalies.detector.replay import judge_rows, judge_sessions
from anomalies.detector.state import new_states
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import START, at_minute, collapse, healthy_room, silence


def opening(readings):
    changes = judge_rows(new_states(1), [readings], [Timetable()])[0]
    return next(change for change in changes if change.step == Step.OPENED)


def decline(readings, start, end, least):
    """Let everything fall evenly between two moments to a part of itself, while all stay."""

    def fallen(reading):
        gone = min(1.0, max(0.0, (reading.timestamp - start) / (end - start)))
        part = 1 - gone * (1 - least)
        return replace(
            reading,
            chat_msgs_per_min=float(round(reading.chat_msgs_per_min * part)),
            reactions_per_min=float(round(reading.reactions_per_min * part)),
            active_users=round(reading.active_users * part),
        )

    return [fallen(reading) for reading in readings]


def test_each_type_is_classified_rightly():
    """Each type is classified rightly."""
    rooms = {
        "MASS_EXIT": collapse(healthy_room(1, 15), at_minute(10)),
        "SUDDEN_DROP": silence(healthy_room(2, 11), at_minute(10)),
        "GRADUAL_DECLINE": decline(healthy_room(3, 25, audience=300), at_minute(10), at_minute(20), 0.25),
    }
    for expected, readings in rooms.items():
        assert opening(readings).anomaly_type == expected
    dead = [replace(row, chat_msgs_per_min=0.0, reactions_per_min=0.0, active_users=5) for row in healthy_room(4, 5)]
    assert opening(dead).anomaly_type == "LOW_ENGAGEMENT"


def test_low_engagement_comes_before_sudden_drop_and_mass_exit_before_both():
    found = judge_sessions({"room": (silence(healthy_room(5, 15), at_minute(10)), Timetable())})["room"][0]
    assert [c.anomaly_type for c in found.changes if c.step == Step.RETYPED] == ["LOW_ENGAGEMENT"]


def test_finding_holds_the_evidence_of_each_signal():
    finding = opening(silence(healthy_room(6, 15), at_minute(10))).finding
    activity = finding.signals["active_share"]
    assert activity.moved
    assert 0.7 < activity.expected < 0.8
    assert activity.observed < 0.3
    assert activity.change < -0.6
    assert not finding.signals["user_leave_rate"].moved
    assert finding.audience == 100
    assert finding.expected > finding.current
    assert next(iter(finding.signals)) == "active_share", "the signal that moved most comes first"


def test_description_says_what_fell_from_what_to_what():
    assert opening(silence(healthy_room(6, 15), at_minute(10))).finding.description.startswith(
        "The active share fell from 75 % to "
    )
    exit_ = opening(collapse(healthy_room(1, 15), at_minute(10))).finding.description
    assert exit_ == "80 of 100 people left, 80 % of the audience within a minute."


def test_description_of_chat_names_the_rates():
    rows = [
        replace(row, chat_msgs_per_min=1.0) if row.timestamp > at_minute(10) else row
        for row in healthy_room(7, 15, audience=400, chats_per_head=0.2)
    ]
    rows = [replace(row, active_users=None, reactions_per_min=None) for row in rows]
    assert opening(rows).finding.description.startswith("Chat fell from ")


def test_opening_is_at_the_row_that_showed_it():
    rows = collapse(healthy_room(1, 15), at_minute(10))
    assert opening(rows).at in {row.timestamp for row in rows}
    assert opening(rows).at - START < timedelta(minutes=10, seconds=15)
