from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from statistics import median

import pytest

from anomalies.bench.corpus import Label, LabelledSession
from anomalies.bench.simulation import KINDS, simulate, webinar_demo
from anomalies.bench.simulation.script import EMITS, INCIDENT_TYPES
from anomalies.bench.simulation.session import EMITTED
from engagement.readings import OPTIONAL, Reading
from engagement.room import EVENT_TYPES
from engagement.windows import Windows

pytestmark = pytest.mark.slow
OF_FEW = EVENT_TYPES[EVENT_TYPES.index("poll_closed") + 1 :]


@pytest.fixture(scope="module")
def sessions() -> list[LabelledSession]:
    """Enough sessions for every kind of incident, of rooms that are quick to simulate."""
    return [simulate(5, "workshop", 60, index=index, emits="activity") for index in range(32)]


def rows_between(session: LabelledSession, start, end) -> list[Reading]:
    return [row for row in session.rows if start <= row.timestamp <= end]


def labels_of(sessions: list[LabelledSession], kind: str) -> list[tuple[LabelledSession, Label]]:
    return [(session, label) for session in sessions for label in session.labels if kind in (label.type, label.why)]


def share_kept(session: LabelledSession, label: Label, measure) -> float:
    """Return the median of a measure late in a stretch, as a share of what it was in the five minutes before."""
    before = rows_between(session, label.start - timedelta(minutes=5), label.start)
    late = rows_between(session, label.start + 0.7 * (label.end - label.start), label.end)
    return median(map(measure, late)) / median(map(measure, before))


def active_share(row: Reading) -> float:
    return row.active_share or 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_simulate_repeats_itself_and_differs_by_index(kind):
    first = simulate(3, kind, 15, index=2)
    assert simulate(3, kind, 15, index=2) == first
    assert simulate(3, kind, 15, index=1).events != first.events
    assert (first.kind, first.audience) == (kind, 15)


@pytest.mark.parametrize(
    ("emits", "types"),
    [
        ("activity", {"join", "leave", "chat", "reaction", "focus", "blur"}),
        ("actors", {"join", "leave", "chat", "reaction"}),
        ("connections", {"join", "leave"}),
        ("chat", {"chat"}),
    ],
)
def test_simulate_tells_only_what_the_platform_can(emits, types):
    assert emits in EMITS
    session = simulate(1, "webinar", 60, emits=emits)
    assert {event.type for event in session.events} - {"poll_opened", "poll_vote", "poll_closed"} == types


def test_a_platform_that_tells_everything_tells_of_the_same_session():
    for index in range(3):
        told, plain = (simulate(4, "workshop", 40, index=index, emits=emits) for emits in ("everything", "activity"))
        assert [replace(row, **dict.fromkeys(OPTIONAL)) for row in told.rows] == plain.rows
        assert {getattr(row, name) for row in plain.rows for name in OPTIONAL} == {None}
        assert told.labels == plain.labels
        later = told.rows[len(told.rows) // 2 :]
        assert not any(getattr(row, name) is None for row in later for name in OPTIONAL)


def test_what_everything_tells_hangs_together():
    session = simulate(4, "workshop", 40, emits="everything")
    told = {event.type for event in session.events}
    assert told == {*EMITTED["activity"], "poll_opened", "poll_closed", *OF_FEW} - {"camera_off"}
    hosted = [row for row in session.rows if session.starts_at + timedelta(minutes=5) < row.timestamp < session.ends_at]
    assert all(0.5 < row.talk_share <= 1 and 1 <= row.speakers <= row.total_users for row in hosted)
    assert all(row.mics_on in (1, 2) and row.hands_raised < row.total_users / 2 for row in hosted)
    assert 5 < median(row.cameras_on for row in hosted) < median(row.total_users for row in hosted)
    for name in ("hands_raised", "questions_per_min", "question_votes_per_min"):
        assert max(getattr(row, name) or 0 for row in hosted) > 0, name
    assert max(row.speakers for row in hosted) > 1


def test_who_shows_signs_and_looks_away_unseen_is_counted_by_what_they_do():
    session = simulate(4, "workshop", 40, emits="signs")
    told = {event.type for event in session.events}
    assert told == {*EMITTED["signs"], "poll_opened", "poll_closed"} - {"camera_off"}
    assert told & {"focus", "blur"} == set()
    assert all(row.active_users <= row.total_users for row in session.rows)
    assert max(row.hands_raised or 0 for row in session.rows) > 0


def test_rows_without_faults_are_the_windows_of_the_events():
    demo = webinar_demo()
    windows = Windows(sends_all=True)
    windows.add(demo.events)
    for row, window in zip(demo.rows, windows.finish(), strict=True):
        assert row.timestamp == window.timestamp
        assert row.chat_msgs_per_min == window.chat_msgs_per_min
        assert (row.active_users, row.total_users) == (window.active_users, window.total_users)
        assert row.user_leave_rate == pytest.approx(window.user_leave_rate, abs=5e-5)


def test_rows_can_be_posted(sessions):
    for session in sessions:
        moments = [row.timestamp for row in session.rows]
        assert moments == sorted(set(moments))
        for row in session.rows:
            assert 0 <= row.active_users <= row.total_users
            assert 0 <= row.user_leave_rate <= 1
            assert row.poll_participation is None or 0 <= row.poll_participation <= 1


def test_every_type_of_incident_is_there_and_keeps_its_distance(sessions):
    for incident_type in INCIDENT_TYPES:
        assert len(labels_of(sessions, incident_type)) >= 3, incident_type
    for session in sessions:
        incidents = sorted((label for label in session.labels if label.type), key=lambda label: label.start)
        for earlier, later in pairwise(incidents):
            assert later.start - earlier.end >= timedelta(minutes=3)
        for label in incidents:
            assert session.starts_at < label.start < label.end < session.ends_at


def test_a_sudden_drop_takes_chat_and_attention(sessions):
    drops = labels_of(sessions, "SUDDEN_DROP")
    assert median(share_kept(*drop, lambda row: row.chat_msgs_per_min) for drop in drops) < 0.5
    assert all(share_kept(*drop, active_share) < 0.9 for drop in drops)


def test_low_engagement_leaves_nearly_nothing(sessions):
    for session, label in labels_of(sessions, "LOW_ENGAGEMENT"):
        late = rows_between(session, label.start + timedelta(seconds=150), label.end)
        assert median(row.chat_msgs_per_min / row.total_users for row in late) < 0.1
        assert median(map(active_share, late)) < 0.4


def test_a_mass_exit_takes_people_and_shows_at_once(sessions):
    for session, label in labels_of(sessions, "MASS_EXIT"):
        before = rows_between(session, label.start - timedelta(seconds=5), label.start)[-1].total_users
        assert rows_between(session, label.start, label.end)[-1].total_users < 0.9 * before
        assert max(row.user_leave_rate for row in rows_between(session, label.start, label.end)) > 0.12


def test_a_spike_rises_above_the_usual(sessions):
    peaks = []
    for session, label in labels_of(sessions, "spike"):
        usual = median(row.reactions_per_min for row in session.rows)
        peaks.append(
            max((row.reactions_per_min for row in rows_between(session, label.start, label.end)), default=0) / usual
        )
    assert median(peaks) > 3


def test_faults_are_where_their_labels_say(sessions):
    kinds = Counter(label.why for session in sessions for label in session.labels)
    for why in ("glitch", "missing rows", "stall", "lost events", "listening", "planned break", "planned end"):
        assert kinds[why], why
    for session, label in labels_of(sessions, "missing rows"):
        assert not any(label.start <= row.timestamp < label.end for row in session.rows)
    for session, label in labels_of(sessions, "stall"):
        frozen = [row for row in session.rows if label.start <= row.timestamp < label.end]
        assert len({(row.chat_msgs_per_min, row.active_users, row.total_users) for row in frozen}) == 1
    for session, label in labels_of(sessions, "glitch"):
        row = next(row for row in session.rows if row.timestamp == label.start)
        assert 0 in (row.chat_msgs_per_min, row.active_users)


def test_everybody_leaves_after_the_planned_end(sessions):
    for session in sessions:
        at_end = rows_between(session, session.ends_at - timedelta(seconds=5), session.ends_at)[-1]
        assert session.rows[-1].total_users < 0.75 * at_end.total_users


def test_some_leaves_are_reconnects(sessions):
    for session in sessions:
        joined = [event.user for event in session.events if event.type == "join"]
        assert len(joined) > len(set(joined))


def test_quiet_sessions_have_no_incident():
    for index in range(10):
        labels = simulate(1, "panel", 50, index=index, quiet=True).labels
        assert labels
        assert not any(label.type for label in labels)


def test_a_meeting_is_small():
    assert all(5 <= simulate(2, "meeting", index=index).audience <= 20 for index in range(5))


def test_the_demo_has_its_two_incidents():
    demo = webinar_demo()
    incidents = [
        (label.type, (label.start - demo.starts_at).total_seconds() / 60) for label in demo.labels if label.type
    ]
    assert incidents == [("SUDDEN_DROP", 12.0), ("MASS_EXIT", 18.5)]
    assert any(row.poll_participation for row in demo.rows)
    assert demo.rows[-1].timestamp == demo.ends_at == demo.starts_at + timedelta(minutes=23)
