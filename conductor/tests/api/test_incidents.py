"""Incidents over REST: those of all sessions, and what may be done with one."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils.timezone import now

from anomalies.models import Anomaly
from conductor import live
from conductor.tests.api.test_bad_input import check_problem
from conductor.tests.rest import START, Rest
from conductor.tests.told import Told

pytestmark = pytest.mark.django_db


def anomaly(rest: Rest, second: int = 0, session=None, **fields) -> Anomaly:
    session = session or rest.new_session()
    values = {"anomaly_type": "MASS_EXIT", "severity": "CRITICAL", "anomaly_score": 0.9, **fields}
    at = START + timedelta(seconds=second)
    return Anomaly.objects.create(session=session, event_id=session.event_id, timestamp=at, **values)


def act(rest: Rest, on: Anomaly, action: str, **fields):
    return rest.post(f"/sessions/{on.session_id}/anomalies/{on.id}/actions", {"action": action, **fields})


def test_anomalies_of_all_sessions_of_the_event_newest_first(rest):
    found = [anomaly(rest, second) for second in (0, 10, 5)]
    anomaly(Rest.of_new_event("Another"))

    items = rest.get("/anomalies").json()["items"]

    assert [item["id"] for item in items] == [str(found[place].id) for place in (1, 2, 0)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [("status=open", [1]), ("status=resolved", [0]), ("severity=WARNING", [1]), ("since=2026-03-02T09:00:05Z", [1])],
)
def test_anomalies_of_the_event_are_filtered(rest, query, expected):
    over = anomaly(rest, status="resolved", resolved_at=START)
    found = [over, anomaly(rest, 10, severity="WARNING")]

    items = rest.get(f"/anomalies?{query}").json()["items"]

    assert [item["id"] for item in items] == [str(found[place].id) for place in expected]


def test_unknown_status_is_named(rest):
    assert check_problem(rest.get("/anomalies?status=gone"), 422)["errors"][0]["parameter"] == "status"


def test_acknowledge_answers_the_anomaly_and_tells_the_stream(rest):
    found = anomaly(rest)
    stream = Told(live.stream_group(found.session_id))

    answer = act(rest, found, "acknowledge", by="Stage manager", note="On my way.")

    body = answer.json()
    assert (answer.status_code, body["status"], body["acknowledged_by"]) == (200, "acknowledged", "Stage manager")
    (action,) = body["actions"]
    assert action == {
        "at": body["acknowledged_at"], "by": "Stage manager", "action": "acknowledge", "note": "On my way.",
        "tried": None, "is_undone": False,
    }  # fmt: skip
    assert [json.loads(frame) for frame in stream.frames()] == [{"type": "anomaly:updated", "anomaly": body}]


def test_who_does_not_say_a_name_is_the_key(rest):
    assert act(rest, anomaly(rest), "confirm").json()["actions"][0]["by"] == f"API key {rest.event.api_keys.get()}"


@pytest.mark.parametrize(
    ("action", "verdict", "status"), [("confirm", "real", "open"), ("dismiss", "false_alarm", "dismissed")]
)
def test_verdict_is_kept_and_undone(rest, action, verdict, status):
    found = anomaly(rest)

    told = act(rest, found, action).json()
    undone = act(rest, found, "undo").json()

    assert (told["verdict"], told["status"]) == (verdict, status)
    assert (undone["verdict"], undone["status"]) == (None, "open")
    assert [(each["action"], each["is_undone"]) for each in undone["actions"]] == [(action, True), ("undo", False)]


def test_snooze_lasts_so_many_minutes(rest):
    before = now()

    until = act(rest, anomaly(rest), "snooze", minutes=15).json()["snoozed_until"]

    assert timedelta(0) <= Anomaly.objects.get().snoozed_until - before - timedelta(minutes=15) < timedelta(minutes=1)
    assert until.endswith("Z")


def test_snooze_without_minutes_lasts_until_the_next_break(rest):
    starts_at = now().replace(microsecond=0) + timedelta(hours=1)
    breaks = [{"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(minutes=5)).isoformat()}]

    act(rest, anomaly(rest, session=rest.new_session(breaks=breaks)), "snooze")

    assert Anomaly.objects.get().snoozed_until == starts_at


def test_snooze_without_minutes_where_no_break_is_planned_names_the_field(rest):
    (error,) = check_problem(act(rest, anomaly(rest), "snooze"), 422)["errors"]
    assert (error["pointer"], "no break is planned" in error["detail"]) == ("/minutes", True)
    assert not Anomaly.objects.get().actions.exists()


@pytest.mark.parametrize("action", ["acknowledge", "snooze", "tried"])
def test_what_is_over_cannot_be_helped(rest, action):
    details = {"snooze": {"minutes": 5}, "tried": {"tried": "poll"}}
    over = anomaly(rest, status="resolved", resolved_at=START)

    check_problem(act(rest, over, action, **details.get(action, {})), 409)

    assert not over.actions.exists()


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"action": "shout"}, "/action"),
        ({"action": "tried"}, "/tried"),
        ({"action": "tried", "tried": "magic"}, "/tried"),
        ({"action": "note"}, "/note"),
        ({"action": "confirm", "tried": "poll"}, "/tried"),
        ({"action": "acknowledge", "minutes": 5}, "/minutes"),
        ({"action": "snooze", "minutes": 0}, "/minutes"),
        ({"action": "snooze", "minutes": 1441}, "/minutes"),
        ({"action": "note", "note": ""}, "/note"),
        ({"action": "acknowledge", "by": " "}, "/by"),
        ({"action": "acknowledge", "reason": "none"}, "/reason"),
        ({}, "/action"),
    ],
)
def test_wrong_action_names_the_field_and_does_nothing(rest, fields, pointer):
    found = anomaly(rest)

    answer = rest.post(f"/sessions/{found.session_id}/anomalies/{found.id}/actions", fields)

    assert [error["pointer"] for error in check_problem(answer, 422)["errors"]] == [pointer]
    assert not found.actions.exists()


def test_anomaly_of_another_session_or_event_is_not_there(rest):
    found, other = anomaly(rest), rest.new_session()
    strange = anomaly(Rest.of_new_event("Another"))

    for session_id, id_ in ((other.id, found.id), (strange.session_id, strange.id), (found.session_id, uuid4())):
        path = f"/sessions/{session_id}/anomalies/{id_}/actions"
        check_problem(rest.post(path, {"action": "acknowledge"}), 404)
