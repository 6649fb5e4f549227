from dataclasses import replace
from datetime import timedelta

import pytest

from anomalies.bench.rivals import RIVALS
from anomalies.bench.rivals.adwin import ADWIN
from anomalies.bench.rivals.cusum import CUSUM
from anomalies.bench.rivals.half_space import HALF_SPACE_TREES
from anomalies.bench.rivals.published import PUBLISHED
from anomalies.bench.rivals.rival import Suspicion, again_after_cooldown, score_rows
from anomalies.bench.rivals.z_score import Z_SCORE
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import START, at_minute, collapse, healthy_room, silence

by_name = pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)


def alerts(rival, rows, **how):
    return rival.as_judge(**how)({"s": (rows, Timetable())})["s"]


@by_name
def test_a_rival_says_nothing_of_a_room_that_never_moves(rival):
    row = healthy_room(minutes=1)[0]
    assert alerts(rival, [replace(row, timestamp=START + timedelta(seconds=5 * n)) for n in range(600)]) == []


@by_name
def test_a_rival_finds_a_collapse_late_in_a_session(rival):
    found = alerts(rival, collapse(healthy_room(minutes=45), at_minute(35)))
    assert any(at_minute(35) <= alert.timestamp <= at_minute(40) for alert in found)


@by_name
def test_a_louder_threshold_reaches_no_less_of_the_rows(rival):
    rows = silence(healthy_room(minutes=45), at_minute(30), at_minute(35))
    watched: dict = {}
    counts = [len(alerts(rival, rows, threshold=threshold, watched=watched)) for threshold in rival.thresholds]
    assert counts[0] <= counts[-1]
    assert counts[-1] > 0
    assert rival.threshold in rival.thresholds


def test_the_published_trees_are_blind_for_their_first_window():
    early, late = (PUBLISHED.watch(collapse(healthy_room(minutes=45), at_minute(minute))) for minute in (10, 35))
    full = START + timedelta(seconds=5 * 250)
    assert max(suspicion.strength for suspicion in early if suspicion.at < full) == 0.3  # all that z can give
    assert max(suspicion.strength for suspicion in late if suspicion.at > full) >= 0.6


def test_the_published_design_takes_a_burst_for_an_anomaly():
    rows = healthy_room(minutes=45, chats_per_head=0.02, reactions_per_head=0.01)
    burst = [
        replace(row, chat_msgs_per_min=60.0, reactions_per_min=60.0) if row.timestamp >= at_minute(40) else row
        for row in rows
    ]
    assert any(at_minute(40) <= alert.timestamp < at_minute(41) for alert in alerts(PUBLISHED, burst))
    assert not any(alert.timestamp >= at_minute(40) for alert in alerts(Z_SCORE, burst))


def test_the_z_score_is_against_the_thirty_rows_before():
    rows = list(score_rows(healthy_room(minutes=5)))
    assert [row.z for row in rows[:5]] == [None] * 5
    before = [row.score for row in rows[10:40]]
    mean = sum(before) / 30
    deviation = (sum((score - mean) ** 2 for score in before) / 30) ** 0.5
    assert rows[40].z == pytest.approx((rows[40].score - mean) / max(0.01, deviation))


def test_types_come_in_the_published_order():
    rows = healthy_room(minutes=10)
    left = list(score_rows(collapse(rows, at_minute(5))))
    assert left[60].type == "MASS_EXIT"  # though the score is low as well
    dead = [replace(row, chat_msgs_per_min=0.0, reactions_per_min=0.0, active_users=10) for row in rows]
    assert list(score_rows(dead))[-1].type == "LOW_ENGAGEMENT"
    assert "SUDDEN_DROP" in {row.type for row in score_rows(silence(rows, at_minute(5)))}


def test_a_type_is_told_of_again_only_after_its_cooldown():
    suspicions = [
        Suspicion(START + timedelta(seconds=second), strength, type_)
        for second, strength, type_ in [
            (0, 0.5, "SUDDEN_DROP"), (5, 0.6, "SUDDEN_DROP"), (10, 0.9, "SUDDEN_DROP"), (15, 0.7, "MASS_EXIT"),
            (34, 0.9, "SUDDEN_DROP"), (35, 0.6, "SUDDEN_DROP"),
        ]
    ]  # fmt: skip
    told = [(alarm.at - START).seconds for alarm in again_after_cooldown(suspicions, 0.6)]
    assert told == [5, 15, 35]


def test_cusum_adds_up_what_falls_short_and_starts_anew():
    shortfalls = [
        Suspicion(START + timedelta(seconds=5 * n), strength, "SUDDEN_DROP")
        for n, strength in enumerate([1.5, 1.5, 1.5, -9.0, 1.5, 1.5])
    ]
    assert [(alarm.at - START).seconds for alarm in CUSUM.alert(shortfalls, 2.0)] == [5, 25]


def test_adwin_tells_of_a_fall_and_not_of_a_rise():
    levels = [0.8] * 200 + [0.2] * 200 + [0.8] * 200
    scores = [Suspicion(START + timedelta(seconds=5 * n), level, "SUDDEN_DROP") for n, level in enumerate(levels)]
    told = [(alarm.at - START).seconds / 5 for alarm in ADWIN.alert(scores, 0.002)]
    assert told
    assert all(200 <= row < 400 for row in told)


def test_the_trees_alone_have_a_window_of_thirty_rows():
    strengths = [suspicion.strength for suspicion in HALF_SPACE_TREES.watch(healthy_room(minutes=4))]
    assert strengths[:30] == [0] * 30
    assert all(strengths[30:])


def test_a_session_is_watched_once_for_all_thresholds():
    watched: dict = {}
    rows = healthy_room(minutes=2)
    judge = Z_SCORE.as_judge(watched=watched)
    judge({"s": (rows, Timetable())})
    kept = watched["s"]
    judge({"s": (rows, Timetable())})
    assert watched["s"] is kept
