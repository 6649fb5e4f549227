from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from anomalies.detector.config import DEFAULT
from anomalies.detector.dead_rooms import count_low, dead_score, mean_latest_score
from anomalies.detector.replay import judge_sessions
from anomalies.detector.rows import as_rows
from anomalies.detector.state import Series, new_states
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import START, at_minute, healthy_room, silence
from engagement.readings import Reading
from engagement.scoring import score

TUNING = DEFAULT.record[0]
LOW = TUNING["low_engagement"]


@pytest.mark.parametrize(("mean", "score"), [(0.2, 0.6), (0.1, 0.8), (0.0, 1.0), (0.7, 0.6)])
def test_dead_room_is_the_surer_the_less_happens(mean, score):
    assert dead_score(mean, TUNING) == pytest.approx(score)


def test_mean_is_of_the_three_latest_scores_that_are_known():
    states = new_states(2)
    states.history[0, Series.SCORE, -4:] = [0.9, 0.25, np.nan, 0.75]
    rows = as_rows([Reading(START, 1.0), Reading(START)]).array
    means = [mean_latest_score(state, row, LOW) for state, row in zip(states.records, rows, strict=True)]
    assert means == [0.5, 1.0]


@pytest.mark.parametrize(
    ("active", "ever_fewer", "expected"), [(50, False, "without"), (50, True, "with"), (9, True, "with")]
)
def test_activity_that_nobody_measures_is_no_part_of_a_low_score(active, ever_fewer, expected):
    reading = Reading(START, 2.0, 0.5, active, 50, 1.0, 0.0)
    states = new_states(1)
    states.history[0, Series.SCORE, -3:] = whole = score(reading).value
    states.tells_activity = ever_fewer
    without = score(replace(reading, active_users=None)).value
    mean = mean_latest_score(states.records[0], as_rows([reading]).array[0], LOW)
    assert mean == pytest.approx({"without": without, "with": whole}[expected], abs=1e-6)


def test_where_nothing_else_is_known_activity_stays_in_the_score():
    states = new_states(1)
    states.history[0, Series.SCORE, -3:] = 1.0
    (row,) = as_rows([Reading(START, active_users=9, total_users=9)]).array
    assert mean_latest_score(states.records[0], row, LOW) == 1.0


def falls_silent(active_users):
    """Return a room of fifty of whom so many are active in every row, until chat and reactions stop."""
    rows = silence(healthy_room(7, 16, 50, chats_per_head=0.3, reactions_per_head=0.2), at_minute(10))
    return [replace(row, active_users=active_users) for row in rows]


def test_silence_is_low_engagement_where_all_who_are_there_are_called_active():
    found = judge_sessions({"room": (falls_silent(50), Timetable())})["room"][0]
    assert "LOW_ENGAGEMENT" in [found.anomaly_type, *[change.anomaly_type for change in found.changes]]
    assert found.timestamp - at_minute(10) < timedelta(minutes=3)


def test_source_that_knows_connections_alone_is_not_dead_though_all_are_called_active():
    rows = [replace(row, chat_msgs_per_min=0.0, reactions_per_min=0.0) for row in falls_silent(50)]
    assert judge_sessions({"room": (rows, Timetable())})["room"] == []


def test_low_rows_are_counted_in_a_row_and_lively_ones_ever():
    states = new_states(1)
    for mean in (0.1, 0.5, 0.1, 0.5, 0.2, 0.2):
        count_low(states.records[0], mean, LOW)
    assert (states.low[0], states.lively[0]) == (2, 2)


@pytest.mark.parametrize("told_active", [None, "all who are there", "who wrote"])
@pytest.mark.parametrize("chats_a_minute", [0.1, 0.3])
def test_a_lecture_in_which_hardly_anybody_writes_is_no_dead_room(told_active, chats_a_minute):
    """The audience is known and not who listens: that few write from the first minute on is no finding."""

    def told(row):
        wrote = int(row.chat_msgs_per_min)
        active = {None: None, "all who are there": row.total_users, "who wrote": wrote}[told_active]
        return replace(row, active_users=active, reactions_per_min=0.0)

    rooms = {
        str(seed): ([told(row) for row in healthy_room(seed, 40, 60, chats_a_minute / 60)], Timetable())
        for seed in range(12)
    }
    assert not any(judge_sessions(rooms).values())


def test_a_room_that_is_dead_from_the_start_is_told_of_where_it_is_known_who_listens():
    few = [
        replace(row, chat_msgs_per_min=0.0, reactions_per_min=0.0, active_users=4 + row.timestamp.second // 30)
        for row in healthy_room(5, 6, 60)
    ]
    (found,) = judge_sessions({"room": (few, Timetable())})["room"]
    assert found.anomaly_type == "LOW_ENGAGEMENT"
    assert found.timestamp - START <= timedelta(minutes=2)
