"""Severity is what is lost: half of the engaged audience, surely gone, is CRITICAL."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from anomalies.detector.config import BY_SENSITIVITY
from anomalies.detector.replay import judge_sessions
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import at_minute, healthy_room


def turn_away(share, audience=300, seed=0):
    """Return a room in which such a share of the active people turns away for good, and chats fall with them."""
    return [
        replace(
            row,
            active_users=round(row.active_users * (1 - share)),
            chat_msgs_per_min=float(round(row.chat_msgs_per_min * (1 - share))),
        )
        if row.timestamp >= at_minute(8)
        else row
        for row in healthy_room(seed, 11, audience)
    ]


def leave(share, audience=300, seed=0):
    """Return a room that such a share leaves at once, active or not alike."""
    stayed = round(audience * (1 - share))
    return [
        replace(
            row,
            total_users=stayed,
            active_users=round(row.active_users * stayed / audience),
            user_leave_rate=share if row.timestamp < at_minute(9) else 0.0,
        )
        if row.timestamp >= at_minute(8)
        else row
        for row in healthy_room(seed, 11, audience)
    ]


def judged(rows, sensitivity="normal"):
    return judge_sessions({"room": (rows, Timetable())}, config=BY_SENSITIVITY[sensitivity])["room"][0]


def worst_of(incident):
    """Return the highest severity and anomaly score that were told within two minutes."""
    told = [incident, *[c for c in incident.changes if c.at - incident.timestamp <= timedelta(minutes=2)]]
    return min(each.severity for each in told), max(each.anomaly_score for each in told)


@pytest.mark.parametrize("happens", [turn_away, leave])
@pytest.mark.parametrize(
    ("share", "severity"), [(0.3, "WARNING"), (0.4, "WARNING"), (0.7, "CRITICAL"), (0.9, "CRITICAL")]
)
def test_half_of_the_engaged_audience_is_critical(happens, share, severity):
    for seed in range(3):
        assert worst_of(judged(happens(share, seed=seed)))[0] == severity


@pytest.mark.parametrize("happens", [turn_away, leave])
def test_score_grows_with_what_is_lost(happens):
    scores = [worst_of(judged(happens(share)))[1] for share in (0.3, 0.6, 0.75, 0.9)]
    assert scores == sorted(scores)
    assert np.ptp(scores) > 0.15
    assert all(0.6 <= score <= 1 for score in scores)


def test_the_same_share_of_fewer_people_is_less_certain():
    few, many = (worst_of(judged(turn_away(0.7, audience)))[1] for audience in (30, 3000))
    assert few < many


def test_who_only_falls_silent_is_not_yet_gone():
    """Where nobody says who listens, a chat that has stopped may have listeners still."""
    silent = turn_away(1.0, audience=1500, seed=2)
    unseen = [replace(row, active_users=None, reactions_per_min=None) for row in silent]
    seen = turn_away(0.95, audience=1500, seed=2)
    assert worst_of(judged(unseen))[1] < worst_of(judged(seen))[1] - 0.1


@pytest.mark.parametrize("sensitivity", BY_SENSITIVITY)
def test_what_is_told_is_never_below_what_opens(sensitivity):
    config = BY_SENSITIVITY[sensitivity]
    incident = judged(turn_away(0.35), sensitivity)
    assert incident.anomaly_score >= config.opening.warning_from
    assert incident.severity == "WARNING"
