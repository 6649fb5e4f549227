"""What the REST endpoint refuses: each with its problem document, and nothing of it is stored."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from conductor.tests.rest import START, signals
from engagement.models import EngagementRow, Session

NOW = datetime.now(UTC)


def check_problem(answer, status: int) -> dict:
    """Return the problem document of an answer, after a look at what all of them have in common."""
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    assert "Traceback" not in answer.content.decode()
    return problem


def raw(**values: str) -> bytes:
    """Return a signals object with values as they stand in JSON."""
    fields = {"timestamp": json.dumps(START.isoformat())} | values
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}").encode()


NOT_JSON = {
    "nothing": b"",
    "words": b"chat=12",
    "half an object": b'{"chat_msgs_per_min": 12',
    "two objects": b"{}{}",
    "single quotes": b"{'chat_msgs_per_min': 12}",
    "latin-1": '{"chat_msgs_per_min": "é"}'.encode("latin-1"),
    "utf-16": "{}".encode("utf-16"),
    "half a surrogate pair": b'{"\\ud800": 1}',
    "a hundred thousand brackets": b"[" * 100_000,
    "deep arrays": b"[" * 5_000 + b"]" * 5_000,
    "a number of 5,000 digits": raw(chat_msgs_per_min="9" * 5_000),
}

WRONG_SIGNALS = {
    "unknown field": (raw(chats="12"), "/chats"),
    "unknown field with a slash": (b'{"a/b~c": 1}', "/a~1b~0c"),
    "NaN": (raw(chat_msgs_per_min="NaN"), "/chat_msgs_per_min"),
    "Infinity": (raw(chat_msgs_per_min="Infinity"), "/chat_msgs_per_min"),
    "-Infinity": (raw(reactions_per_min="-Infinity"), "/reactions_per_min"),
    "a float that overflows": (raw(reactions_per_min="1e999"), "/reactions_per_min"),
    "an integer that overflows": (raw(chat_msgs_per_min="9" * 400), "/chat_msgs_per_min"),
    "a rate beyond every audience": (raw(chat_msgs_per_min="1e10"), "/chat_msgs_per_min"),
    "a share of 1.2": (raw(poll_participation="1.2"), "/poll_participation"),
    "a share of 120": (raw(user_leave_rate="120"), "/user_leave_rate"),
    "a negative share": (raw(user_leave_rate="-0.1"), "/user_leave_rate"),
    "a share of NaN": (raw(user_leave_rate="NaN"), "/user_leave_rate"),
    "a negative rate": (raw(chat_msgs_per_min="-1"), "/chat_msgs_per_min"),
    "a negative count": (raw(total_users="-1"), "/total_users"),
    "half a person": (raw(total_users="12.5"), "/total_users"),
    "more people than int4 holds": (raw(total_users="2147483648"), "/total_users"),
    "infinitely many people": (raw(total_users="Infinity"), "/total_users"),
    "active above total": (raw(active_users="51", total_users="50"), "/active_users"),
    "active above total, in this order": (raw(total_users="50", active_users="51"), "/active_users"),
    "a number as text": (raw(chat_msgs_per_min='"12"'), "/chat_msgs_per_min"),
    "a rate of true": (raw(chat_msgs_per_min="true"), "/chat_msgs_per_min"),
    "true users": (raw(total_users="true"), "/total_users"),
    "users as text": (raw(total_users='"50"'), "/total_users"),
    "a rate as array": (raw(chat_msgs_per_min="[12]"), "/chat_msgs_per_min"),
    "no known signal": (raw(), ""),
    "nothing but nulls": (raw(chat_msgs_per_min="null", total_users="null"), ""),
    "an empty object": (b"{}", ""),
    "an empty array": (b"[]", ""),
    "null": (b"null", ""),
    "a number": (b"12", ""),
    "a text": (b'"12"', ""),
    "an array of numbers": (b"[12]", "/0"),
    "an array of arrays": (b"[[]]", "/0"),
}

WRONG_MOMENTS = {
    "without offset": "2026-03-02T09:00:00",
    "a date": "2026-03-02",
    "a space for T": "2026-03-02 09:00:00Z",
    "without seconds": "2026-03-02T09:00Z",
    "no such day": "2026-02-30T09:00:00Z",
    "no such offset": "2026-03-02T09:00:00+25:00",
    "a leap second": "2026-06-30T23:59:60Z",
    "eastern digits": "٢٠٢٦-03-02T09:00:00Z",
    "year 9999": "9999-12-31T23:59:59Z",
    "beyond year 9999 in UTC": "9999-12-31T23:59:59-01:00",
    "before year 1 in UTC": "0001-01-01T00:00:00+01:00",
    "before 2000": "1999-12-31T23:59:59Z",
    "two hours ahead": (NOW + timedelta(hours=2)).isoformat(),
    "in a day": (NOW + timedelta(days=1)).isoformat(),
    "seconds since 1970": 1_772_442_000,
    "seconds since 1970, as text": "1772442000",
    "true": True,
    "empty": "",
    "with NUL": "2026-03-02T09:00:00Z\0",
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
@pytest.mark.parametrize("path", ["/sessions", "/sessions/{}/signals"])
def test_what_is_not_json_is_refused(rest, path, body):
    session = rest.new_session()

    check_problem(rest.post(path.format(session.id), body), 400)

    assert not EngagementRow.objects.exists()
    assert Session.objects.count() == 1


@pytest.mark.parametrize(("body", "pointer"), WRONG_SIGNALS.values(), ids=WRONG_SIGNALS)
def test_wrong_signals_are_refused(rest, body, pointer):
    session = rest.new_session()

    problem = check_problem(rest.post(f"/sessions/{session.id}/signals", body), 422)

    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert problem["errors"][0]["detail"]
    assert not EngagementRow.objects.exists()
    assert Session.objects.get().status == "scheduled"


@pytest.mark.parametrize(
    ("body", "pointer"), [value for value in WRONG_SIGNALS.values() if value[0][:1] == b"{"],
    ids=[name for name, value in WRONG_SIGNALS.items() if value[0][:1] == b"{"],
)  # fmt: skip
def test_wrong_signals_spoil_their_batch(rest, body, pointer):
    session = rest.new_session()
    good = json.dumps(signals(5)).encode()

    problem = check_problem(rest.post(f"/sessions/{session.id}/signals", b"[%b,%b,%b]" % (good, body, good)), 422)

    assert [error["pointer"] for error in problem["errors"]] == [f"/1{pointer}"]
    assert not EngagementRow.objects.exists()


@pytest.mark.parametrize("moment", WRONG_MOMENTS.values(), ids=WRONG_MOMENTS)
def test_wrong_moments_are_refused(rest, moment):
    session = rest.new_session()
    wrong = {"timestamp": moment, "chat_msgs_per_min": 1}

    one = check_problem(rest.post(f"/sessions/{session.id}/signals", wrong), 422)
    many = check_problem(rest.post(f"/sessions/{session.id}/signals", [signals(), wrong]), 422)

    assert [error["pointer"] for error in one["errors"]] == ["/timestamp"]
    assert [error["pointer"] for error in many["errors"]] == ["/1/timestamp"]
    assert not EngagementRow.objects.exists()


def test_every_wrong_value_is_named(rest):
    session = rest.new_session()
    batch = [signals(), signals(chat_msgs_per_min=-1, poll_participation=2), signals(chats=1)]

    problem = check_problem(rest.post(f"/sessions/{session.id}/signals", batch), 422)

    assert problem["detail"] == "3 values cannot be taken; nothing was stored."
    assert {error["pointer"] for error in problem["errors"]} == {
        "/1/chat_msgs_per_min",
        "/1/poll_participation",
        "/2/chats",
    }


def test_more_errors_than_anybody_reads_are_cut_short(rest):
    session = rest.new_session()

    problem = check_problem(rest.post(f"/sessions/{session.id}/signals", {f"x{i}": 1 for i in range(500)}), 422)

    assert len(problem["errors"]) == 50
    assert problem["detail"].startswith("500 values")


def test_an_array_of_1001_is_too_large(rest):
    session = rest.new_session()

    check_problem(rest.post(f"/sessions/{session.id}/signals", [signals(i) for i in range(1_001)]), 413)

    assert not EngagementRow.objects.exists()


@pytest.mark.parametrize("path", ["/sessions", "/sessions/{}/signals"])
@pytest.mark.parametrize("body", [b"0" * 10_000_000, b" " * 2_097_150 + b"{}" + b" "], ids=["10 MB of zeros", "blanks"])
def test_a_large_body_is_too_large(rest, path, body):
    check_problem(rest.post(path.format(rest.new_session().id), body), 413)


def test_an_ended_session_takes_no_signals(rest):
    session = rest.new_session(status="ended", ended_at=START)

    check_problem(rest.post(f"/sessions/{session.id}/signals", signals()), 409)

    assert not EngagementRow.objects.exists()


BREAK = {"starts_at": "2026-03-02T09:45:00Z", "ends_at": "2026-03-02T09:55:00Z"}
WRONG_PLANS = {
    "an empty title": ({"title": ""}, "/title"),
    "a blank title": ({"title": " \t\n"}, "/title"),
    "a title of 201": ({"title": "x" * 201}, "/title"),
    "NUL in the title": ({"title": "a\0b"}, "/title"),
    "null for a title": ({"title": None}, "/title"),
    "a number for a title": ({"title": 12}, "/title"),
    "unknown field": ({"name": "Keynote"}, "/name"),
    "a field that is ours": ({"status": "ended"}, "/status"),
    "a start without offset": ({"starts_at": "2026-03-02T09:00:00"}, "/starts_at"),
    "a start in the year 9999": ({"starts_at": "9999-12-31T23:59:59Z"}, "/starts_at"),
    "an end before the start": ({"starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T08:00:00Z"}, "/ends_at"),
    "an end at the start": ({"starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T09:00:00Z"}, "/ends_at"),
    "breaks of null": ({"breaks": None}, "/breaks"),
    "a break that is no object": ({"breaks": ["noon"]}, "/breaks/0"),
    "a break without end": ({"breaks": [{"starts_at": BREAK["starts_at"]}]}, "/breaks/0/ends_at"),
    "a break with a name": ({"breaks": [BREAK | {"name": "lunch"}]}, "/breaks/0/name"),
    "a break that ends first": (
        {"breaks": [{"starts_at": BREAK["ends_at"], "ends_at": BREAK["starts_at"]}]},
        "/breaks/0/ends_at",
    ),
    "breaks that overlap": ({"breaks": [BREAK, BREAK]}, "/breaks/1/starts_at"),
    "a break before the start": ({"starts_at": "2026-03-02T09:50:00Z", "breaks": [BREAK]}, "/breaks/0/starts_at"),
    "a break after the end": ({"ends_at": "2026-03-02T09:50:00Z", "breaks": [BREAK]}, "/breaks/0/ends_at"),
    "a hundred and one breaks": ({"breaks": [BREAK] * 101}, "/breaks"),
}
WRONG_AT_START = {
    "an empty external_id": ({"external_id": ""}, "/external_id"),
    "NUL in the external_id": ({"external_id": "a\0b"}, "/external_id"),
    "an external_id of 201": ({"external_id": "x" * 201}, "/external_id"),
    "a number for an external_id": ({"external_id": 7}, "/external_id"),
    "lateness below 0": ({"lateness_seconds": -1}, "/lateness_seconds"),
    "lateness above 60": ({"lateness_seconds": 61}, "/lateness_seconds"),
    "lateness of true": ({"lateness_seconds": True}, "/lateness_seconds"),
    "half a second of lateness": ({"lateness_seconds": 0.5}, "/lateness_seconds"),
    "lateness of null": ({"lateness_seconds": None}, "/lateness_seconds"),
}


@pytest.mark.parametrize(
    ("wrong", "pointer"), [*WRONG_PLANS.values(), *WRONG_AT_START.values()], ids=[*WRONG_PLANS, *WRONG_AT_START]
)
def test_a_wrong_session_is_refused(rest, wrong, pointer):
    problem = check_problem(rest.post("/sessions", {"title": "Keynote"} | wrong), 422)

    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert not Session.objects.exists()


@pytest.mark.parametrize(("wrong", "pointer"), WRONG_PLANS.values(), ids=WRONG_PLANS)
def test_a_wrong_change_is_refused(rest, wrong, pointer):
    session = rest.new_session()
    before = rest.get(f"/sessions/{session.id}").json()

    problem = check_problem(rest.patch(f"/sessions/{session.id}", wrong), 422)

    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert rest.get(f"/sessions/{session.id}").json() == before


@pytest.mark.parametrize("field", ["external_id", "lateness_seconds", "event_id", "id", "status"])
def test_what_may_not_change_is_refused(rest, field):
    problem = check_problem(rest.patch(f"/sessions/{rest.new_session().id}", {field: "1"}), 422)

    assert problem["errors"] == [{"pointer": f"/{field}", "detail": "Unknown field"}]


def test_a_change_is_checked_against_what_stands(rest):
    session = rest.new_session(starts_at=START)

    problem = check_problem(rest.patch(f"/sessions/{session.id}", {"ends_at": "2026-03-02T08:00:00Z"}), 422)

    assert problem["errors"] == [{"pointer": "/ends_at", "detail": "is not after starts_at"}]


@pytest.mark.parametrize("body", [[], None, "Keynote", [{"title": "Keynote"}]], ids=repr)
def test_a_session_that_is_no_object_is_refused(rest, body):
    problem = check_problem(rest.post("/sessions", json.dumps(body).encode()), 422)

    assert [error["pointer"] for error in problem["errors"]] == [""]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("engagement?since=yesterday", "since"),
        ("engagement?since=2026-03-02T09:00:00", "since"),
        ("engagement?since=2026-03-02T09:00:00+01:00", "since"),  # a bare + is a space in an address
        ("engagement?until=2026-02-30T09:00:00Z", "until"),
        ("engagement?bucket=", "bucket"),
        ("engagement?bucket=0s", "bucket"),
        ("engagement?bucket=30", "bucket"),
        ("engagement?bucket=30ms", "bucket"),
        ("engagement?bucket=-30s", "bucket"),
        ("engagement?bucket=2d", "bucket"),
        ("engagement?bucket=9999d", "bucket"),
        ("engagement?bucket=99999999999s", "bucket"),
        ("engagement?bucket=1%20day", "bucket"),
        ("engagement?bucket=%D9%A3s", "bucket"),
        ("anomalies?severity=warning", "severity"),
        ("anomalies?severity=FATAL", "severity"),
        ("anomalies?anomaly_type=BOREDOM", "anomaly_type"),
        ("anomalies?since=0001-01-01T00:00:00%2B01:00", "since"),
    ],
)
def test_a_wrong_parameter_is_refused(rest, path, parameter):
    problem = check_problem(rest.get(f"/sessions/{rest.new_session().id}/{path}"), 422)

    assert [error["parameter"] for error in problem["errors"]] == [parameter]


@pytest.mark.parametrize(
    "cursor",
    [
        "1",
        "%00",
        "é",
        "!!!!",
        "MjAyNi0wMy0wMlQwOTowMDowMA==",  # a moment without offset, and no id
        "MjAyNi0wMy0wMlQwOTowMDowMCswMDowMCAx",  # an id that is none
        "OTk5OS0xMi0zMVQyMzo1OTo1OS0wMTowMCAwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA=",  # beyond year 9999
        "MjAyNi0wMy0wMlQwOTowMDowMCAwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA=",  # no offset
    ],
)
@pytest.mark.parametrize(
    "path", ["/sessions?", "/sessions/{}/anomalies?", "/sessions/{}/engagement?bucket=1d&", "/sessions/{}/engagement?"]
)
def test_a_tampered_cursor_is_refused(rest, path, cursor):
    problem = check_problem(rest.get(f"{path.format(rest.new_session().id)}cursor={cursor}"), 422)

    assert [error["parameter"] for error in problem["errors"]] == ["cursor"]


def test_the_last_bucket_of_time_is_no_bug(rest):
    answer = rest.get(f"/sessions/{rest.new_session().id}/engagement?bucket=1d&since=9999-12-31T23:59:59Z")

    assert answer.json() == {"items": [], "next": None}
