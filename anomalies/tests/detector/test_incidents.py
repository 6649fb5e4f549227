"""The life of an incident, and each defect of the published design held down by a test of its own."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from anomalies.bench.simulation.degrade import round_rates, thin_out
from anomalies.detector.changes import Step
from anomalies.detector.config import DEFAULT
from anomalies.detector.replay import judge_rows, judge_sessions
from anomalies.detector.state import Usual, new_states
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import SLOT, START, at_minute, collapse, healthy_room, silence, turn_away
from engagement.readings import Reading
from engagement.scoring import score


def incidents_of(readings, timetable=None):
    return judge_sessions({"room": (readings, timetable or Timetable())})["room"]


def first_bad_row(readings, at):
    return next(reading.timestamp for reading in readings if reading.timestamp >= at)


@pytest.mark.parametrize("minute", [2.5, 5, 10, 15, 20])
def test_collapse_is_found_within_ten_seconds_at_any_age_of_the_session(minute):
    """The published trees knew nothing for their first 250 rows: of these hundred collapses they found none."""
    rooms = {str(seed): collapse(healthy_room(seed, minute + 3), at_minute(minute)) for seed in range(20)}
    found = judge_sessions({name: (rows, Timetable()) for name, rows in rooms.items()})
    for name, rows in rooms.items():
        before, after = (
            [i for i in found[name] if (i.timestamp < at_minute(minute)) == early] for early in (True, False)
        )
        assert before == []
        assert after[0].timestamp - first_bad_row(rows, at_minute(minute)) <= timedelta(seconds=10)
        assert after[0].anomaly_type == "MASS_EXIT"
        assert after[0].severity == "CRITICAL"


@pytest.mark.slow
def test_healthy_rooms_open_nothing_in_twenty_hours():
    rooms = {str(seed): (healthy_room(seed, 60), Timetable()) for seed in range(20)}
    assert not any(judge_sessions(rooms).values())


def test_burst_of_applause_is_no_drop():
    """The published z-score was two-sided."""
    rows = healthy_room(minutes=20)
    burst = [
        replace(row, reactions_per_min=row.reactions_per_min + 300, chat_msgs_per_min=row.chat_msgs_per_min + 60)
        if at_minute(10) <= row.timestamp < at_minute(11)
        else row
        for row in rows
    ]
    assert incidents_of(burst) == []


@pytest.mark.parametrize("audience", [15, 40, 400])
def test_room_that_is_dead_from_the_start_is_flagged_within_90_seconds(audience):
    """The published LOW_ENGAGEMENT was asked for only where the score was anomalous already."""
    dead = [Reading(START + (n + 1) * SLOT, 0.0, None, audience // 10, audience, 0.0, 0.0) for n in range(120)]
    (found,) = incidents_of(dead)
    assert found.anomaly_type == "LOW_ENGAGEMENT"
    assert found.timestamp - START <= timedelta(seconds=90)
    assert found.resolved_at is None


def test_room_that_waits_for_its_start_is_not_dead():
    waiting = [Reading(START + (n + 1) * SLOT, 0.0, None, 3, 40, 0.0, 0.0) for n in range(60)]
    lively = [replace(row, timestamp=row.timestamp + timedelta(minutes=5)) for row in healthy_room(minutes=10)]
    assert incidents_of([*waiting, *lively], Timetable(starts_at=at_minute(5))) == []


def test_dead_room_that_wakes_up_is_resolved():
    dead = [Reading(START + (n + 1) * SLOT, 0.0, None, 10, 100, 0.0, 0.0) for n in range(60)]
    lively = [replace(row, timestamp=row.timestamp + timedelta(minutes=5)) for row in healthy_room(minutes=5)]
    (found,) = incidents_of([*dead, *lively])
    assert at_minute(5) < found.resolved_at < at_minute(6.5)


def test_planned_end_is_no_mass_exit():
    rows = collapse(healthy_room(minutes=20), at_minute(15))
    assert incidents_of(rows, Timetable(ends_at=at_minute(15))) == []
    assert incidents_of(rows, Timetable(ends_at=at_minute(19)))[0].anomaly_type == "MASS_EXIT"


@pytest.mark.slow
def test_planned_break_opens_nothing_and_the_return_neither():
    rows = silence(healthy_room(minutes=25), at_minute(10), at_minute(15))
    assert incidents_of(rows, Timetable(breaks=((at_minute(10), at_minute(15)),))) == []
    assert incidents_of(rows)


def test_open_incident_is_resolved_by_a_break_and_by_the_end():
    rows = silence(healthy_room(minutes=20), at_minute(10))
    (by_break,) = incidents_of(rows, Timetable(breaks=((at_minute(12), at_minute(20)),)))
    assert by_break.changes[-1].reason == "a planned break began"
    assert at_minute(12) <= by_break.resolved_at <= at_minute(12.2)
    (by_end,) = incidents_of(rows, Timetable(ends_at=at_minute(12)))
    assert by_end.changes[-1].reason == "the session was planned to end"
    assert at_minute(12) <= by_end.resolved_at <= at_minute(12.2)


def test_poll_that_closes_is_no_drop():
    rows = [
        replace(row, poll_participation=0.9) if at_minute(8) <= row.timestamp < at_minute(12) else row
        for row in healthy_room(minutes=20)
    ]
    assert incidents_of(rows) == []


def test_signal_that_the_platform_cannot_emit_is_not_zero():
    rows = [replace(row, reactions_per_min=None, user_leave_rate=None) for row in healthy_room(minutes=20)]
    assert incidents_of(rows) == []
    assert score(rows[-1]).value > 0.6


@pytest.mark.parametrize("audience", [8, 12, 20])
def test_one_leaver_in_a_small_room_is_no_mass_exit(audience):
    """In a room of eight one leaver is 12 %."""
    rows = healthy_room(minutes=20, audience=audience, chats_per_head=0.5)
    left = [
        replace(
            row,
            total_users=audience - 1,
            active_users=min(row.active_users, audience - 1),
            user_leave_rate=1 / audience if row.timestamp < at_minute(11) else 0.0,
        )
        if row.timestamp >= at_minute(10)
        else row
        for row in rows
    ]
    assert [i for i in incidents_of(left) if i.anomaly_type == "MASS_EXIT"] == []


def test_half_of_a_small_room_leaving_is_a_mass_exit():
    rows = healthy_room(minutes=20, audience=12, chats_per_head=0.5)
    left = [
        replace(
            row,
            total_users=5,
            active_users=4,
            user_leave_rate=7 / 12 if row.timestamp < at_minute(11) else 0.0,
        )
        if row.timestamp >= at_minute(10)
        else row
        for row in rows
    ]
    assert incidents_of(left)[0].anomaly_type == "MASS_EXIT"


@pytest.mark.slow
def test_one_absurd_row_opens_nothing():
    rows = healthy_room(minutes=20)
    for absurd in (
        {"chat_msgs_per_min": 0.0, "reactions_per_min": 0.0, "active_users": 0},
        {"active_users": 0},
        {"chat_msgs_per_min": 5000.0},
    ):
        assert incidents_of([*rows[:150], replace(rows[150], **absurd), *rows[151:]]) == []


def test_missing_rows_open_nothing():
    rows = healthy_room(minutes=20)
    assert incidents_of([*rows[:100], *rows[112:140], *rows[170:]]) == []


def test_incident_opens_once_and_is_not_repeated():
    (found,) = incidents_of(silence(healthy_room(minutes=20), at_minute(10), at_minute(13)))
    assert found.changes[-1].step == Step.RESOLVED
    assert found.changes[-1].reason == "the audience came back"
    assert at_minute(13) < found.resolved_at < at_minute(15)


def test_incident_changes_only_to_a_more_urgent_type():
    (found,) = incidents_of(silence(healthy_room(minutes=20), at_minute(10)))[:1]
    renamed = [c for c in found.changes if c.step in (Step.RETYPED, Step.CORRECTED)]
    assert [found.anomaly_type, *[c.anomaly_type for c in renamed]] == ["SUDDEN_DROP", "LOW_ENGAGEMENT"]


def test_type_is_corrected_once_within_a_minute_and_is_no_new_alert():
    rooms = {str(seed): (silence(healthy_room(seed, 14), at_minute(10)), Timetable()) for seed in range(12)}
    for found in judge_sessions(rooms).values():
        corrections = [c for c in found[0].changes if c.step == Step.CORRECTED]
        assert [c.anomaly_type for c in corrections] in ([], ["LOW_ENGAGEMENT"])
        assert all(c.at - found[0].timestamp <= timedelta(seconds=60) for c in corrections)
        assert [c for c in found[0].changes if c.step == Step.RETYPED] == []
        assert found[0].anomaly_type == "LOW_ENGAGEMENT" or corrections


def test_room_that_empties_out_after_a_minute_is_told_anew():
    """Half turn away, and minutes later the rest: that it is silent now is news."""
    rows = turn_away(healthy_room(minutes=18, audience=300), at_minute(10), 0.45, 10)
    found = incidents_of(silence(rows, at_minute(13)))[0]
    assert found.anomaly_type == "SUDDEN_DROP"
    (retyped,) = [c for c in found.changes if c.step == Step.RETYPED]
    assert retyped.anomaly_type == "LOW_ENGAGEMENT"
    assert retyped.at > at_minute(13)


def test_dip_does_not_become_normal_while_it_is_flagged():
    rows = silence(healthy_room(minutes=30), at_minute(10), at_minute(14))
    second = silence(rows, at_minute(18), at_minute(22))
    assert len(incidents_of(second)) == 2


def test_room_that_stays_changed_settles_into_a_new_normal():
    rows = healthy_room(minutes=30)
    calmer = healthy_room(seed=9, minutes=30, chats_per_head=0.02, reactions_per_head=0.01, active_share=0.4)
    mixed = [a if a.timestamp < at_minute(10) else b for a, b in zip(rows, calmer, strict=True)]
    found = incidents_of(mixed)
    assert found[0].changes[-1].reason == "the room has settled at this level"
    assert np.isclose((found[0].resolved_at - found[0].timestamp).total_seconds(), DEFAULT.closing.thaw_seconds, atol=5)


@pytest.mark.slow
@pytest.mark.parametrize("audience", [5, 8, 12, 20])
def test_small_rooms_are_silent_for_twenty_healthy_hours(audience):
    rooms = {str(seed): (healthy_room(seed, 60, audience), Timetable()) for seed in range(20)}
    assert not any(judge_sessions(rooms).values())


@pytest.mark.parametrize("audience", [5, 8, 12, 20])
def test_collapse_of_a_small_room_is_found(audience):
    rooms = {str(seed): (collapse(healthy_room(seed, 14, audience), at_minute(10)), Timetable()) for seed in range(10)}
    assert all(judge_sessions(rooms).values())


@pytest.mark.slow
def test_platform_that_only_knows_who_did_something_is_not_counted_twice():
    """`active_users` that chats and reactions account for is no second witness."""
    rng = np.random.default_rng(3)
    rows = [
        replace(row, active_users=int(min(row.chat_msgs_per_min + row.reactions_per_min, rng.integers(4, 9))))
        for row in healthy_room(3, 60, audience=60)
    ]
    assert incidents_of(rows) == []


def test_source_that_never_said_anything_but_connections_is_not_dead():
    silent = [Reading(START + (n + 1) * SLOT, 0.0, None, 0, 100, 0.0, 0.0) for n in range(120)]
    assert incidents_of(silent) == []


def test_lost_events_open_nothing_while_lost_nor_when_they_come_back():
    rows = healthy_room(minutes=12, audience=400, lost_from=10)
    later = healthy_room(seed=5, minutes=20, audience=400)[144:]
    assert incidents_of([*rows, *later]) == []


def test_exit_that_grows_is_told_again_with_the_new_number():
    rows = healthy_room(minutes=14, audience=200)
    grown = []
    for row in rows:
        gone = min(90, max(0, int((row.timestamp - at_minute(10)).total_seconds())))
        left = min(gone, 60)
        stayed = 200 - gone
        rate = left / (stayed + left) if gone and gone < 90 else 0.0
        active = min(row.active_users, round(0.75 * stayed))
        grown.append(replace(row, total_users=stayed, active_users=active, user_leave_rate=rate))
    found = incidents_of(grown)[0]
    assert found.anomaly_type == "MASS_EXIT"
    told = [found.description, *[c.finding.description for c in found.changes if c.step == Step.WORSENED]]
    numbers = [int(text.split()[0]) for text in told]
    assert len(numbers) >= 2
    assert numbers == sorted(numbers)
    assert numbers[-1] >= 40


def test_sharp_turning_away_is_found_within_twenty_seconds():
    """The active share falls against its own last minute long before chat over a minute says anything."""
    rooms = {
        str(seed): (turn_away(healthy_room(seed, 14, audience=300), at_minute(10), 0.45, 10), Timetable())
        for seed in range(20)
    }
    for found in judge_sessions(rooms).values():
        assert timedelta(0) <= found[0].timestamp - at_minute(10) <= timedelta(seconds=20)
        assert found[0].anomaly_type == "SUDDEN_DROP"


def test_slow_turning_away_is_a_gradual_decline():
    rooms = {
        str(seed): (turn_away(healthy_room(seed, 18, audience=300), at_minute(10), 0.6, 240), Timetable())
        for seed in range(20)
    }
    types = [found[0].anomaly_type for found in judge_sessions(rooms).values()]
    assert types.count("GRADUAL_DECLINE") >= 18


def test_exit_after_another_incident_does_not_wait_for_the_cool_down():
    """Those who turned away came back, and then they leave: that is news."""
    rows = silence(healthy_room(minutes=20, audience=200), at_minute(10), at_minute(12))
    (first,) = incidents_of(rows)
    exodus = first.resolved_at + timedelta(seconds=20)
    assert timedelta(seconds=20) < timedelta(seconds=DEFAULT.opening.cooldown_seconds)
    second = incidents_of(collapse(rows, exodus))[1]
    assert second.anomaly_type == "MASS_EXIT"
    assert second.timestamp - exodus <= timedelta(seconds=10)


def chat_alone(seed, minutes, rate):
    """Return a room of which only the rate of its chat is known."""
    rows = healthy_room(seed, minutes, audience=100, chats_per_head=rate / 100)
    return [Reading(row.timestamp, chat_msgs_per_min=row.chat_msgs_per_min) for row in rows]


@pytest.mark.parametrize("rate", [12, 60, 300])
def test_chat_that_falls_silent_is_found_where_nobody_says_how_many_listen(rate):
    """A chat of 300 a minute that falls to 60 still has the full score of its signal."""
    for part in (0.05, 0.2 if rate > 20 else 0.05):
        rooms = {}
        for seed in range(10):
            fallen = chat_alone(seed + 50, 20, rate * part)
            rows = [
                a if a.timestamp < at_minute(12) else b for a, b in zip(chat_alone(seed, 20, rate), fallen, strict=True)
            ]
            rooms[str(seed)] = (rows, Timetable())
        found = judge_sessions(rooms)
        assert all(i[0].timestamp - at_minute(12) <= timedelta(minutes=3) for i in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("rate", [5, 60, 300])
def test_even_chat_alone_is_silent_for_twenty_hours(rate):
    rooms = {str(seed): (chat_alone(seed, 60, rate), Timetable()) for seed in range(20)}
    assert not any(judge_sessions(rooms).values())


@pytest.mark.slow
def test_rates_rounded_to_tens_lose_no_silence():
    """A rate of 8 a minute that comes as 10 or as 0 falls to nothing without anybody being quieter."""
    rooms = {str(seed): (round_rates(healthy_room(seed, 60), 10), Timetable()) for seed in range(20)}
    assert not any(judge_sessions(rooms).values())
    collapsed = round_rates(collapse(healthy_room(minutes=14), at_minute(10)), 10)
    assert incidents_of(collapsed)[0].anomaly_type == "MASS_EXIT"


@pytest.mark.parametrize(("seconds", "within"), [(10, 40), (30, 210)])
def test_rows_that_come_seldom_need_no_more_of_them(seconds, within):
    """How long a dip must last is a matter of time, not of rows; only a glitch and a rise wait for one row more."""
    rows = thin_out(silence(healthy_room(minutes=20, audience=200), at_minute(10)), seconds)
    assert incidents_of(rows)[0].timestamp - at_minute(10) <= timedelta(seconds=within)


def test_source_that_turns_to_zeros_opens_nothing_and_is_not_believed():
    """Two hundred people who are gone at once, and of whom nobody left, were never counted."""
    rows = healthy_room(minutes=20, audience=200)
    zeros = [
        Reading(row.timestamp, 0.0, None, 0, 0, 0.0, 0.0) if at_minute(10) <= row.timestamp < at_minute(13) else row
        for row in rows
    ]
    assert incidents_of(zeros) == []
    states = new_states(1)
    judge_rows(states, [zeros[:150]], [Timetable()])
    assert states.held[0] >= 3


def test_audience_that_shrinks_is_a_mass_exit_where_nobody_counts_who_left():
    rows = healthy_room(minutes=20, audience=200)
    gone = [
        replace(
            row,
            user_leave_rate=None,
            total_users=(stayed := max(20, 200 - 10 * max(0, 1 + (row.timestamp - at_minute(10)) // SLOT))),
            active_users=min(row.active_users, round(0.75 * stayed)),
        )
        for row in rows
    ]
    found = incidents_of(gone)[0]
    assert found.anomaly_type == "MASS_EXIT"
    assert found.timestamp - at_minute(10) <= timedelta(seconds=15)
    assert "people left" in found.description


def test_silent_chat_is_told_of_though_nobody_turns_away():
    """More knowledge must not make it blind: without the active share the same silence is found."""
    rows = silence(healthy_room(minutes=16, audience=200, chats_per_head=0.15), at_minute(10))
    attentive = [replace(a, active_users=b.active_users) for a, b in zip(rows, healthy_room(1, 16, 200), strict=True)]
    (found,) = incidents_of(attentive)
    assert found.timestamp - at_minute(10) <= timedelta(minutes=2)


def test_exit_of_nearly_all_is_told_to_its_end():
    """Eighty-nine of a hundred grow by little to ninety-nine, and ten of eleven went meanwhile."""
    rows = healthy_room(minutes=12, audience=100)
    gone = []
    for row in rows:
        left = min(99, 33 * max(0, 1 + (row.timestamp - at_minute(10)) // SLOT))
        stayed = 100 - left
        rate = left / 100 if row.timestamp < at_minute(11) else 0.0
        active = min(row.active_users, stayed)
        gone.append(replace(row, total_users=stayed, active_users=active, user_leave_rate=rate))
    found = incidents_of(gone)[0]
    told = [found.description, *[c.finding.description for c in found.changes if c.step == Step.WORSENED]]
    assert told[-1].startswith("99 of 100 people left")


def test_what_is_usual_stays_where_it_was_while_evidence_gathers():
    """A row that is clearly worse than usual is not learnt, though it is too early to tell of it."""
    rows = silence(healthy_room(minutes=12, audience=300), at_minute(10))
    eager = replace(DEFAULT, baseline=replace(DEFAULT.baseline, doubt_from=np.inf))
    never = {"warning_from": 2.0}  # so that nothing opens, which would stop learning by itself
    usual = {}
    for name, config in (("careful", DEFAULT), ("eager", eager)):
        states = new_states(1)
        told = judge_rows(
            states, [rows], [Timetable()], config=replace(config, opening=replace(config.opening, **never))
        )
        assert told == [[]]
        usual[name] = float(states.usual_of(Usual.CHAT_RATE)[0])
    before = new_states(1)
    judge_rows(before, [[row for row in rows if row.timestamp <= at_minute(10)]], [Timetable()])
    assert usual["careful"] > 0.95 * before.usual_of(Usual.CHAT_RATE)[0]
    assert usual["eager"] < 0.95 * usual["careful"]
