"""POST /sessions/{id}/events: what it takes, what it answers, what it refuses."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from conductor.tests import sweeping
from conductor.tests.api.test_bad_input import NOT_JSON, check_problem
from conductor.tests.rest import START, Rest, signals
from engagement.models import EngagementRow, RawEventRow, Session
from engagement.readings import OPTIONAL
from engagement.room import EVENT_TYPES
from engagement.signs import SWITCHES

NOW = datetime.now(UTC)


def event(second: float = 0, **values: object) -> dict[str, object]:
    return {"type": "chat", "timestamp": (START + timedelta(seconds=second)).isoformat(), "user": "u1"} | values


def post(rest, session: Session, body: object):
    return rest.post(f"/sessions/{session.id}/events", body)


@pytest.fixture
def session(rest) -> Session:
    return rest.new_session()


def test_events_become_rows(rest, session):
    batch = [event(type="join", id="1"), event(1, id="2"), event(2, id="2"), event(8, id="3"), event(1.5, id="4")]

    answer = post(rest, session, batch)

    assert (answer.status_code, answer.json()) == (202, {"accepted": 4, "duplicates": 1, "late": 1})
    assert rest.get(f"/sessions/{session.id}").json()["status"] == "live"
    sweeping.tick(NOW)
    [row] = rest.get(f"/sessions/{session.id}/engagement").json()["items"]
    assert row == {
        "timestamp": "2026-03-02T09:00:05Z",
        "engagement_score": row["engagement_score"],
        "level": "MODERATE",
        "late": False,
        "chat_msgs_per_min": 1.0,
        "poll_participation": None,
        "active_users": 1,
        "total_users": 1,
        "reactions_per_min": None,
        "user_leave_rate": 0.0,
        **dict.fromkeys(OPTIONAL),
        "chatters": 1,
    }


def test_what_few_platforms_tell_is_counted_and_changes_no_score(rest, session):
    plain = rest.new_session()
    usual = [event(type="join", id="1"), event(1, id="2"), event(8, id="9")]
    few = [
        event(1.5, type="hand_raised", id="3"),
        event(1.5, type="hand_raised", id="3"),
        event(2, type="mic_on", id="4"),
        event(2, type="talk_started", id="5"),
        event(3.5, type="talk_stopped", id="6"),
        event(4, type="question_asked", user=None, id="7"),
        event(4, type="question_vote", user="u2", id="8"),
    ]

    assert post(rest, plain, usual).json() == {"accepted": 3, "duplicates": 0, "late": 0}
    assert post(rest, session, [*usual[:2], *few, usual[2]]).json() == {"accepted": 9, "duplicates": 1, "late": 0}

    sweeping.tick(NOW)
    told, row = (rest.get(f"/sessions/{each.id}/engagement").json()["items"][0] for each in (session, plain))
    assert {name: told[name] for name in OPTIONAL} == {
        "chatters": 1, "hands_raised": 1, "mics_on": 1, "cameras_on": None, "talk_share": 0.025, "speakers": 1,
        "questions_per_min": 1.0, "question_votes_per_min": 1.0,
    }  # fmt: skip
    assert told["active_users"] == row["active_users"] == 1
    assert told["engagement_score"] == row["engagement_score"]


def test_posting_the_same_events_again_changes_nothing(rest, session):
    batch = [event(second, id=str(second)) for second in range(30)]
    assert post(rest, session, batch).json() == {"accepted": 30, "duplicates": 0, "late": 0}

    assert post(rest, session, batch[::-1]).json() == {"accepted": 0, "duplicates": 30, "late": 0}

    assert RawEventRow.objects.count() == 30


def test_a_full_batch_is_taken_and_one_more_is_not(rest, session):
    batch = [event(number / 100) for number in range(1_000)]
    assert post(rest, session, batch).json() == {"accepted": 1000, "duplicates": 0, "late": 0}

    check_problem(post(rest, session, [*batch, event(20)]), 413)
    check_problem(
        post(rest, session, [event(user="u" * 200, id=f"{n:0200}", pad="x" * 2000) for n in range(1000)]), 413
    )
    assert RawEventRow.objects.count() == 1_000


WRONG = {
    "no array": (event(), ""),
    "an empty array": ([], ""),
    "null": (None, ""),
    "a number in it": ([event(), 3], "/1"),
    "an unknown type": ([event(), event(type="wave")], "/1/type"),
    "no type": ([{"timestamp": START.isoformat()}], "/0/type"),
    "no timestamp": ([{"type": "chat"}], "/0/timestamp"),
    "a naive timestamp": ([event(timestamp="2026-03-02T09:00:00")], "/0/timestamp"),
    "a timestamp that is a number": ([event(timestamp=1772442000)], "/0/timestamp"),
    "a timestamp before 2000": ([event(), event(timestamp="1999-12-31T23:59:59Z")], "/1/timestamp"),
    "a timestamp far ahead": ([event(timestamp=(NOW + timedelta(hours=2)).isoformat())], "/0/timestamp"),
    "the text of a message": ([event(text="hello")], "/0/text"),
    "a join of nobody": ([event(type="join", user=None)], "/0/user"),
    "a leave of nobody": ([{"type": "leave", "timestamp": START.isoformat()}], "/0/user"),
    "a focus of nobody": ([event(type="focus", user=None)], "/0/user"),
    "a hand of nobody": ([event(type="hand_raised", user=None)], "/0/user"),
    "a voice of nobody": ([event(type="talk_stopped", user=None)], "/0/user"),
    "a user that is a number": ([event(user=17)], "/0/user"),
    "a user of nothing": ([event(user="")], "/0/user"),
    "a user with a NUL": ([event(user="a\0b")], "/0/user"),
    "a user of 201 characters": ([event(user="u" * 201)], "/0/user"),
    "an id that is an object": ([event(id={})], "/0/id"),
    "a poll that is an array": ([event(type="poll_vote", poll=["p"])], "/0/poll"),
}


@pytest.mark.parametrize(("body", "where"), WRONG.values(), ids=WRONG)
def test_wrong_events_are_refused_by_name(rest, session, body, where):
    problem = check_problem(post(rest, session, json.dumps(body).encode()), 422)

    assert [error["pointer"] for error in problem["errors"]] == [where]
    session.refresh_from_db()
    assert (RawEventRow.objects.count(), session.status, session.source) == (0, "scheduled", "")


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_refused(rest, session, body):
    check_problem(post(rest, session, body), 400)


@pytest.mark.parametrize("kind", sorted(set(EVENT_TYPES) - {"join", "leave", "focus", "blur", *SWITCHES}))
def test_these_may_be_of_nobody(rest, session, kind):
    assert post(rest, session, [{"type": kind, "timestamp": START.isoformat()}]).status_code == 202


def test_a_key_is_needed_and_reaches_its_own_sessions(rest, session):
    check_problem(rest.call("POST", f"/sessions/{session.id}/events", [event()], authorization=""), 401)
    check_problem(post(Rest.of_new_event("Another"), session, [event()]), 404)
    check_problem(rest.post("/sessions/none/events", [event()]), 404)
    assert RawEventRow.objects.count() == 0


def test_an_ended_session_takes_no_more(rest, session):
    assert post(rest, session, [event()]).status_code == 202
    rest.post(f"/sessions/{session.id}/end")

    check_problem(post(rest, session, [event(1)]), 409)
    sweeping.sweep_all(NOW)
    assert EngagementRow.objects.count() == 1


def test_events_and_signals_do_not_mix(rest, session):
    other = rest.new_session()
    assert post(rest, session, [event()]).status_code == 202
    assert rest.post(f"/sessions/{other.id}/signals", signals()).status_code == 202

    problem = check_problem(rest.post(f"/sessions/{session.id}/signals", signals()), 409)
    assert "told of by raw events" in problem["detail"]
    problem = check_problem(post(rest, other, [event()]), 409)
    assert "told of by signals" in problem["detail"]


def test_metrics_count_events(rest, session):
    def counted(outcome: str) -> float:
        text = rest.client.get("/metrics").content.decode()
        return float(text.split(f'conductor_events_total{{outcome="{outcome}"}} ')[1].split()[0])

    before = [counted(outcome) for outcome in ("accepted", "duplicate", "late")]
    post(rest, session, [event(20, id="a"), event(20, id="a"), event(0)])
    assert [counted(outcome) for outcome in ("accepted", "duplicate", "late")] == [
        before[0] + 2,
        before[1] + 1,
        before[2] + 1,
    ]
