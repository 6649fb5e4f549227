from dataclasses import replace
from datetime import timedelta

from anomalies.detector.changes import Step
from anomalies.detector.config import DEFAULT
from anomalies.detector.replay import judge_rows, judge_sessions
from anomalies.detector.state import new_states
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import START, at_minute, collapse, healthy_room, silence, turn_away


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
    assert [c.anomaly_type for c in found.changes if c.step == Step.CORRECTED] == ["LOW_ENGAGEMENT"]


def test_opening_is_at_the_row_that_showed_it():
    rows = collapse(healthy_room(1, 15), at_minute(10))
    assert opening(rows).at in {row.timestamp for row in rows}
    assert opening(rows).at - START < timedelta(minutes=10, seconds=15)


def last_names(found):
    return [found.anomaly_type, *[c.anomaly_type for c in found.changes if c.step in (Step.CORRECTED, Step.RETYPED)]]


def test_a_fall_gets_its_last_name_half_a_minute_after_it_was_told():
    """A slow fall that opened at a noisy low row looks like a sudden one, until it has gone on."""
    rooms = {
        str(seed): (decline(healthy_room(seed, 20, audience=150), at_minute(10), at_minute(11.5), 0.5), Timetable())
        for seed in range(40)
    }
    found = [incidents[0] for incidents in judge_sessions(rooms).values() if incidents]
    corrected = [each for each in found if last_names(each)[:2] == ["SUDDEN_DROP", "GRADUAL_DECLINE"]]
    assert corrected
    for each in corrected:
        change = next(change for change in each.changes if change.step == Step.CORRECTED)
        assert change.at - each.timestamp == timedelta(seconds=DEFAULT.second_look.after_seconds)
        assert change.finding is not None
    firsts = [each.anomaly_type for each in found].count("GRADUAL_DECLINE")
    lasts = [last_names(each)[1:2] or last_names(each) for each in found].count(["GRADUAL_DECLINE"])
    assert lasts > firsts


def test_a_sudden_drop_keeps_its_name():
    rooms = {
        str(seed): (turn_away(healthy_room(seed, 14, audience=150), at_minute(10), 0.5, 5), Timetable())
        for seed in range(30)
    }
    found = [incidents[0] for incidents in judge_sessions(rooms).values()]
    assert [last_names(each) for each in found].count(["SUDDEN_DROP"]) >= 28


def test_a_name_is_corrected_once_at_most():
    rooms = {
        str(seed): (decline(healthy_room(seed, 20, audience=200), at_minute(10), at_minute(13), 0.05), Timetable())
        for seed in range(30)
    }
    for incidents in judge_sessions(rooms).values():
        for each in incidents:
            assert [change.step for change in each.changes].count(Step.CORRECTED) <= 1
