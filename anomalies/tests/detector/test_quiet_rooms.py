"""A quiet room is quiet: what little is said there opens nothing, neither when it comes nor when it stays away."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomalies.detector.replay import judge_sessions
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import SLOT, START, at_minute, healthy_room, silence
from engagement.readings import Reading
from engagement.recordings.jsonl import reading
from engagement.recordings.reader import open_recording
from engagement.windows import RawEvent, Windows

FIELD = Path(__file__).parents[4] / "shared" / "field"  # small inputs from the field, that are not part of this project
needs_field = pytest.mark.skipif(not FIELD.is_dir(), reason="the inputs from the field are not here")


def incidents_of(rows):
    return judge_sessions({"room": (rows, Timetable())})["room"]


def rows_of(seconds):
    """Return the rows that the product makes of chat messages at these seconds."""
    windows = Windows()
    moments = [START + timedelta(seconds=float(second)) for second in sorted(seconds)]
    windows.add([RawEvent("chat", at, f"u{n % 5}", f"m{n}") for n, at in enumerate(moments)])
    return windows.finish()


def meeting_chat(seed, exchanges_per_hour, minutes=100):
    """Return the seconds of a meeting's chat: greetings, an exchange now and then, and thanks."""
    rng = np.random.default_rng([21, seed])
    seconds = list(rng.exponential(25, rng.integers(1, 9)).cumsum())
    at = 60 + rng.exponential(3600 / exchanges_per_hour)
    while at < 60 * minutes - 120:
        seconds += list(at + rng.exponential(rng.uniform(8, 40), rng.geometric(0.35)).cumsum())
        at += rng.exponential(3600 / exchanges_per_hour)
    return seconds + list(60 * minutes - 90 + rng.exponential(6, rng.integers(1, 12)).cumsum())


def rates(*stretches, **people):
    """Return rows of (rate of chat, how many rows), one after the other."""
    chats = [float(rate) for rate, count in stretches for _ in range(count)]
    return [Reading(START + (n + 1) * SLOT, rate, **people) for n, rate in enumerate(chats)]


@needs_field
@pytest.mark.parametrize("name", ["rows-first-message-after-silence.jsonl", "rows-one-message-then-silence.jsonl"])
def test_rows_from_the_field_open_nothing(name):
    lines = (FIELD / name).read_text().splitlines()
    assert incidents_of([reading(json.loads(line)) for line in lines]) == []


@needs_field
@pytest.mark.parametrize("name", ["zoom-chat-two-messages.txt", "zoom-chat-opens-on-recovery.txt"])
def test_saved_chats_from_the_field_open_nothing(name):
    recording = open_recording(FIELD / name, starts_at=datetime.fromisoformat("2026-03-05T18:00Z"))
    windows = Windows()
    windows.add(recording.events)
    assert incidents_of(windows.finish()) == []


@pytest.mark.parametrize("silent", [13, 30, 60, 120])
def test_first_message_after_a_silence_opens_nothing(silent):
    assert incidents_of(rates((0, silent), (1, 12), (0, 120))) == []


@pytest.mark.parametrize("people", [{}, {"active_users": 4, "total_users": 40}])
def test_nothing_opens_because_somebody_spoke(people):
    """What was never heard may be a source that cannot speak; when it does, that is no incident."""
    found = incidents_of(rates((0, 60), (1, 12), (0, 24), **(people | {"active_users": 0} if people else {})))
    assert found == []


def test_one_message_is_no_baseline():
    for first in (0, 6, 12, 60):
        assert incidents_of(rates((0, first), (1, 12), (0, 120))) == []
    assert incidents_of(rows_of([10, 1210])) == []


def test_nothing_opens_when_chat_comes_back():
    assert incidents_of(rows_of([17, 128, 132, 142, 173, 176])) == []


@pytest.mark.slow
@pytest.mark.parametrize("exchanges_per_hour", [4, 12, 30, 60])
def test_chats_of_meetings_open_nothing(exchanges_per_hour):
    rooms = {str(seed): (rows_of(meeting_chat(seed, exchanges_per_hour)), Timetable()) for seed in range(12)}
    assert not any(judge_sessions(rooms).values())


def is_rise(before, after):
    """Tell whether of all that is known of both rows nothing is less, and something is more."""
    names = ("chat_msgs_per_min", "reactions_per_min", "active_users", "total_users")
    moves = [
        (getattr(before, name), getattr(after, name))
        for name in names
        if getattr(before, name) is not None and getattr(after, name) is not None
    ]
    return all(b >= a for a, b in moves) and any(b > a for a, b in moves)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.sampled_from([30, 100, 400]), st.floats(0.02, 0.6), st.booleans(), st.booleans())
def test_no_incident_opens_on_a_rise(seed, audience, chats_per_head, tells_active, tells_people):
    rows = silence(healthy_room(seed, 16, audience, chats_per_head), at_minute(6), at_minute(8))
    rows = silence(rows, at_minute(11))
    rng = np.random.default_rng(seed)
    rows = [
        replace(
            row,
            chat_msgs_per_min=row.chat_msgs_per_min + float(rng.integers(0, 3)),
            active_users=row.active_users if tells_active else None,
            total_users=row.total_users if tells_people else None,
        )
        for row in rows
    ]
    opened = {incident.timestamp for incident in incidents_of(rows)}
    assert not [
        after.timestamp for before, after in pairwise(rows) if after.timestamp in opened and is_rise(before, after)
    ]
