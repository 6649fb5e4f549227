"""What the REST endpoint takes, stores and answers, when all is well."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection
from django.utils.dateparse import parse_datetime

from anomalies.models import Anomaly
from conductor.tests.rest import START, Rest, signals
from engagement.models import EngagementRow, Erasure, Session
from engagement.readings import OPTIONAL


def rows_of(session: Session) -> list[EngagementRow]:
    return list(EngagementRow.objects.for_session(session))


# Sessions


def test_post_session_makes_one(rest):
    plan = {
        "title": "Keynote",
        "external_id": "room-1",
        "starts_at": "2026-03-02T10:00:00+01:00",
        "ends_at": "2026-03-02T10:30:00Z",
        "breaks": [{"starts_at": "2026-03-02T09:45:00Z", "ends_at": "2026-03-02T09:55:00.5Z"}],
        "lateness_seconds": 5,
    }

    answer = rest.post("/sessions", plan)

    session = Session.objects.get()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/sessions/{session.id}"
    assert answer.json() == {
        "id": str(session.id),
        "event_id": str(rest.event.id),
        "title": "Keynote",
        "external_id": "room-1",
        "status": "scheduled",
        "detector_state": "INSUFFICIENT_DATA",
        "starts_at": "2026-03-02T09:00:00Z",
        "ends_at": "2026-03-02T10:30:00Z",
        "breaks": [{"starts_at": "2026-03-02T09:45:00Z", "ends_at": "2026-03-02T09:55:00.500000Z"}],
        "lateness_seconds": 5,
        "url": f"http://testserver/sessions/{session.id}/",
    }
    assert session.planned_breaks == [
        (datetime(2026, 3, 2, 9, 45, tzinfo=UTC), datetime(2026, 3, 2, 9, 55, 0, 500_000, tzinfo=UTC))
    ]


def test_post_session_needs_no_more_than_a_title(rest):
    answer = rest.post("/sessions", {"title": "Keynote"})

    assert answer.status_code == 201
    assert answer.json() | {"id": None, "url": None} == {
        "id": None,
        "event_id": str(rest.event.id),
        "title": "Keynote",
        "external_id": None,
        "status": "scheduled",
        "detector_state": "INSUFFICIENT_DATA",
        "starts_at": None,
        "ends_at": None,
        "breaks": [],
        "lateness_seconds": 2,
        "url": None,
    }


def test_post_session_with_known_external_id_finds_it_unchanged(rest):
    first = rest.post("/sessions", {"title": "Keynote", "external_id": "room-1"})

    second = rest.post("/sessions", {"title": "Another name", "external_id": "room-1"})

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()


def test_post_session_keeps_the_external_ids_of_events_apart(rest):
    other = Rest.of_new_event("Another")

    answers = [caller.post("/sessions", {"title": "Keynote", "external_id": "room-1"}) for caller in (rest, other)]

    assert [answer.status_code for answer in answers] == [201, 201]


@pytest.mark.django_db(transaction=True)
def test_post_session_twice_at_once_makes_one():
    rest = Rest.of_new_event()

    def post(_) -> tuple[int, str]:
        answer = rest.post("/sessions", {"title": "Keynote", "external_id": "room-1"})
        connection.close()
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(post, range(8)))

    assert sorted(status for status, _ in answers) == [200] * 7 + [201]
    assert {id for _, id in answers} == {str(Session.objects.get().id)}


def test_get_sessions_lists_the_newest_first(rest):
    first, second = rest.new_session(title="First"), rest.new_session(title="Second")

    answer = rest.get("/sessions")

    assert [item["id"] for item in answer.json()["items"]] == [str(second.id), str(first.id)]
    assert answer.json()["next"] is None
    assert rest.get(f"/sessions/{first.id}").json() == answer.json()["items"][1]


def test_get_sessions_pages_through_those_of_one_moment(rest):
    sessions = [rest.new_session(title=str(number)) for number in range(205)]
    Session.objects.update(created_at=START)

    first = rest.get("/sessions").json()
    second = rest.get(first["next"]).json()
    third = rest.get(second["next"]).json()

    assert [len(page["items"]) for page in (first, second, third)] == [100, 100, 5]
    assert third["next"] is None
    found = [item["id"] for page in (first, second, third) for item in page["items"]]
    assert sorted(found) == sorted(str(session.id) for session in sessions)


def test_patch_session_changes_what_is_named(rest):
    session = rest.new_session(title="Keynote", starts_at=START, external_id="room-1")

    answer = rest.patch(f"/sessions/{session.id}", {"title": "Closing", "ends_at": "2026-03-02T10:00:00Z"})

    assert answer.status_code == 200
    assert answer.json() == rest.get(f"/sessions/{session.id}").json()
    session.refresh_from_db()
    assert (session.title, session.starts_at, session.ends_at) == ("Closing", START, START + timedelta(hours=1))


def test_patch_session_with_null_clears_a_time(rest):
    session = rest.new_session(starts_at=START, ends_at=START + timedelta(hours=1), breaks=[])

    answer = rest.patch(f"/sessions/{session.id}", {"starts_at": None})

    assert answer.json()["starts_at"] is None
    assert answer.json()["ends_at"] == "2026-03-02T10:00:00Z"


def test_patch_session_replaces_the_breaks(rest):
    session = rest.new_session()
    breaks = [{"starts_at": "2026-03-02T09:45:00Z", "ends_at": "2026-03-02T09:55:00Z"}]

    assert rest.patch(f"/sessions/{session.id}", {"breaks": breaks}).json()["breaks"] == breaks
    assert rest.patch(f"/sessions/{session.id}", {"title": "Closing"}).json()["breaks"] == breaks
    assert rest.patch(f"/sessions/{session.id}", {"breaks": []}).json()["breaks"] == []


def test_patch_session_with_nothing_changes_nothing(rest):
    session = rest.new_session()
    before = rest.get(f"/sessions/{session.id}").json()

    assert rest.patch(f"/sessions/{session.id}", {}).json() == before


def test_end_session_ends_it_once(rest):
    session = rest.new_session()

    first = rest.post(f"/sessions/{session.id}/end")
    ended_at = Session.objects.get().ended_at
    second = rest.post(f"/sessions/{session.id}/end")

    assert (first.status_code, first.json()["status"]) == (200, "ended")
    assert (second.status_code, second.json()) == (200, first.json())
    assert Session.objects.get().ended_at == ended_at


# Signals


def test_delete_session_erases_it_at_once(rest):
    session = rest.new_session(external_id="room-1")
    path = f"/sessions/{session.id}"
    rest.post(f"{path}/signals", signals())

    answer = rest.call("DELETE", path)

    fact = Erasure.objects.get()
    assert (answer.status_code, answer.json()["id"], answer.json()["kind"]) == (202, str(fact.id), "session")
    assert parse_datetime(answer.json()["requested_at"]) == fact.requested_at
    assert fact.requested_by == f"API key {rest.event.api_keys.get()}"
    assert rest.get("/sessions").json()["items"] == []
    assert rest.post("/sessions", {"title": "Keynote", "external_id": "room-1"}).status_code == 201
    for method, address, body in [
        ("GET", path, None),
        ("DELETE", path, None),
        ("PATCH", path, {"title": "Closing"}),
        ("POST", f"{path}/end", None),
        ("POST", f"{path}/signals", signals(5)),
        ("POST", f"{path}/events", [{"type": "chat", "timestamp": START.isoformat()}]),
        ("GET", f"{path}/engagement", None),
        ("GET", f"{path}/anomalies", None),
        ("POST", f"{path}/anomalies/{uuid4()}/actions", {"action": "acknowledge"}),
    ]:
        assert rest.call(method, address, body).status_code == 404
    assert Erasure.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_delete_session_that_is_in_use_is_asked_for_again(rest, monkeypatch):
    monkeypatch.setattr("engagement.erasure.WAIT_SECONDS", 0.05)
    session = rest.new_session()
    with psycopg.connect(**connection.get_connection_params()) as sweep:
        sweep.execute("SELECT FROM engagement_session FOR NO KEY UPDATE")
        answer = rest.call("DELETE", f"/sessions/{session.id}")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "Nothing was erased" in answer.json()["detail"]
    assert rest.call("DELETE", f"/sessions/{session.id}").status_code == 202


def test_delete_person_notes_whom_for_the_keys_event(rest):
    answer = rest.call("DELETE", "/people/a%2Fb")

    fact = Erasure.objects.get()
    assert (answer.status_code, answer.json()["id"]) == (202, str(fact.id))
    assert (fact.kind, fact.target, fact.user) == ("person", rest.event.id, "a/b")
    assert "a/b" not in answer.content.decode()


def test_post_signals_stores_one_row(rest):
    session = rest.new_session()
    sent = signals(5, poll_participation=0.5, reactions_per_min=3.5, user_leave_rate=0)

    answer = rest.post(f"/sessions/{session.id}/signals", sent)

    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "duplicates": 0, "late": 0})
    (row,) = rows_of(session)
    assert row.timestamp == START + timedelta(seconds=5)
    assert {name: getattr(row, name) for name in sent if name != "timestamp"} == {
        "chat_msgs_per_min": 12,
        "active_users": 40,
        "total_users": 50,
        "poll_participation": 0.5,
        "reactions_per_min": 3.5,
        "user_leave_rate": 0,
    }
    assert rest.get(f"/sessions/{session.id}").json()["status"] == "live"


def test_post_signals_stores_a_batch(rest):
    session = rest.new_session()

    answer = rest.post(f"/sessions/{session.id}/signals", [signals(5 * i) for i in range(1_000)])

    assert (answer.status_code, answer.json()) == (202, {"accepted": 1_000, "duplicates": 0, "late": 0})
    assert len(rows_of(session)) == 1_000


def test_post_signals_may_be_repeated(rest):
    session = rest.new_session()
    batch = [signals(0), signals(5), signals(5, chat_msgs_per_min=1)]

    first = rest.post(f"/sessions/{session.id}/signals", batch)
    before = [row.reading for row in rows_of(session)]
    second = rest.post(f"/sessions/{session.id}/signals", batch)

    assert first.json() == {"accepted": 2, "duplicates": 1, "late": 0}
    assert (second.status_code, second.json()) == (202, {"accepted": 0, "duplicates": 3, "late": 0})
    assert [row.reading for row in rows_of(session)] == before


def test_post_signals_counts_what_came_late(rest):
    session = rest.new_session(status="live", judged_until=START + timedelta(seconds=10))

    answer = rest.post(f"/sessions/{session.id}/signals", [signals(5), signals(10), signals(15)])

    assert answer.json() == {"accepted": 3, "duplicates": 0, "late": 2}
    assert [row.late for row in rows_of(session)] == [True, True, False]


def test_post_signals_without_timestamp_were_measured_now(rest):
    session = rest.new_session()
    before = datetime.now(UTC)

    rest.post(f"/sessions/{session.id}/signals", {"chat_msgs_per_min": 12})

    (row,) = rows_of(session)
    assert before <= row.timestamp <= datetime.now(UTC)
    assert row.timestamp == row.received_at


def test_post_signals_takes_absent_and_null_as_unknown(rest):
    session = rest.new_session()

    rest.post(
        f"/sessions/{session.id}/signals", {"timestamp": START.isoformat(), "reactions_per_min": None, "total_users": 0}
    )

    (row,) = rows_of(session)
    assert (row.reactions_per_min, row.chat_msgs_per_min, row.total_users) == (None, None, 0)


def test_post_signals_takes_a_whole_number_however_it_is_written(rest):
    session = rest.new_session()

    answer = rest.post(f"/sessions/{session.id}/signals", signals(active_users=40.0, total_users=5e1))

    assert answer.status_code == 202
    assert (rows_of(session)[0].active_users, rows_of(session)[0].total_users) == (40, 50)


def test_post_signals_takes_any_offset_and_case_of_rfc_3339(rest):
    session = rest.new_session()
    moments = [
        "2026-03-02T09:00:00Z",
        "2026-03-02t09:00:01z",
        "2026-03-02T14:30:02+05:30",
        "2026-03-02T09:00:03.25-00:00",
    ]

    rest.post(f"/sessions/{session.id}/signals", [{"timestamp": at, "chat_msgs_per_min": 1} for at in moments])

    assert [(row.timestamp - START).total_seconds() for row in rows_of(session)] == [0, 1, 2, 3.25]


def test_post_signals_up_to_five_minutes_ahead_is_taken(rest):
    session = rest.new_session()
    at = datetime.now(UTC) + timedelta(minutes=4, seconds=50)

    assert rest.post(f"/sessions/{session.id}/signals", signals(timestamp=at.isoformat())).status_code == 202


# Engagement


def test_get_engagement_lists_the_oldest_first(rest):
    session = rest.new_session()
    rest.post(f"/sessions/{session.id}/signals", [signals(10, total_users=None, active_users=None), signals(5)])

    answer = rest.get(f"/sessions/{session.id}/engagement")

    assert answer.json()["next"] is None
    assert [item["timestamp"] for item in answer.json()["items"]] == ["2026-03-02T09:00:05Z", "2026-03-02T09:00:10Z"]
    assert answer.json()["items"][1] == {
        "timestamp": "2026-03-02T09:00:10Z",
        "engagement_score": pytest.approx(0.8424801),
        "level": "VERY_HIGH",
        "late": False,
        "chat_msgs_per_min": 12,
        "poll_participation": None,
        "active_users": None,
        "total_users": None,
        "reactions_per_min": None,
        "user_leave_rate": None,
        **dict.fromkeys(OPTIONAL),
    }


OF_FEW = {
    "chatters": 4, "hands_raised": 2, "mics_on": 3, "cameras_on": 30, "talk_share": 0.8, "speakers": 2,
    "questions_per_min": 1, "question_votes_per_min": 14,
}  # fmt: skip


def test_signals_of_few_platforms_come_back_and_change_no_score(rest):
    session = rest.new_session()
    assert OF_FEW.keys() == set(OPTIONAL)
    rest.post(f"/sessions/{session.id}/signals", [signals(0), signals(5, **OF_FEW), signals(10, hands_raised=5)])

    items = rest.get(f"/sessions/{session.id}/engagement").json()["items"]
    [bucket] = rest.get(f"/sessions/{session.id}/engagement?bucket=1m").json()["items"]

    unknown = dict.fromkeys(OPTIONAL)
    assert [{name: item[name] for name in OPTIONAL} for item in items] == [
        unknown,
        OF_FEW,
        unknown | {"hands_raised": 5},
    ]
    assert {name: bucket[name] for name in OPTIONAL} == OF_FEW | {"hands_raised": 3.5}
    assert len({item["engagement_score"] for item in items}) == 1


def test_a_row_of_nothing_but_an_optional_signal_is_taken_and_has_no_score(rest):
    session = rest.new_session()
    answer = rest.post(f"/sessions/{session.id}/signals", {"timestamp": START.isoformat(), "hands_raised": 0})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    [row] = rows_of(session)
    assert (row.hands_raised, row.engagement_score) == (0, None)


def test_get_engagement_takes_since_and_before_until(rest):
    session = rest.new_session()
    rest.post(f"/sessions/{session.id}/signals", [signals(second) for second in (0, 5, 10, 15)])

    answer = rest.get(f"/sessions/{session.id}/engagement?since=2026-03-02T09:00:05Z&until=2026-03-02T10:00:15%2B01:00")

    assert [item["timestamp"][-4:] for item in answer.json()["items"]] == [":05Z", ":10Z"]


def test_get_engagement_pages_by_a_thousand(rest):
    session = rest.new_session()
    for begin in (0, 1_000, 2_000):
        rest.post(f"/sessions/{session.id}/signals", [signals(begin + i) for i in range(1_000)])

    first = rest.get(f"/sessions/{session.id}/engagement?since=2026-03-02T09:00:01Z").json()
    second = rest.get(first["next"]).json()
    third = rest.get(second["next"]).json()

    assert first["next"].startswith(
        f"http://testserver/api/v1/sessions/{session.id}/engagement?since=2026-03-02T09%3A00"
    )
    assert [len(page["items"]) for page in (first, second, third)] == [1_000, 1_000, 999]
    assert third["next"] is None
    seconds = [parse_datetime(item["timestamp"]) for page in (first, second, third) for item in page["items"]]
    assert seconds == [START + timedelta(seconds=i) for i in range(1, 3_000)]


def test_get_engagement_in_buckets_answers_the_means(rest):
    session = rest.new_session(status="live", judged_until=START + timedelta(seconds=2))
    sent = [
        signals(0, chat_msgs_per_min=10, active_users=None),
        signals(5, chat_msgs_per_min=20, active_users=41),
        signals(25, chat_msgs_per_min=30),
        signals(95, chat_msgs_per_min=None),
    ]
    rest.post(f"/sessions/{session.id}/signals", sent)
    scores = [row.engagement_score for row in rows_of(session)]

    answer = rest.get(f"/sessions/{session.id}/engagement?bucket=30s")

    first, second = answer.json()["items"]
    assert first == {
        "timestamp": "2026-03-02T09:00:00Z",
        "engagement_score": pytest.approx(sum(scores[:3]) / 3),
        "level": "VERY_HIGH",
        "late": True,
        "chat_msgs_per_min": 20,
        "poll_participation": None,
        "active_users": 40.5,
        "total_users": 50,
        "reactions_per_min": None,
        "user_leave_rate": None,
        **dict.fromkeys(OPTIONAL),
        "rows": 3,
    }
    assert (second["timestamp"], second["rows"], second["late"]) == ("2026-03-02T09:01:30Z", 1, False)
    assert second["chat_msgs_per_min"] is None


def test_get_engagement_pages_its_buckets(rest):
    session = rest.new_session()
    for begin in (0, 1_000):
        rest.post(f"/sessions/{session.id}/signals", [signals(begin + i) for i in range(1_000)])
    rest.post(f"/sessions/{session.id}/signals", [signals(2_000 + i) for i in range(10)])

    first = rest.get(f"/sessions/{session.id}/engagement?bucket=2s").json()
    second = rest.get(first["next"]).json()

    assert (len(first["items"]), len(second["items"]), second["next"]) == (1_000, 5, None)
    assert [item["rows"] for page in (first, second) for item in page["items"]] == [2] * 1_005


# Anomalies


def anomaly(session: Session, second: int = 0, **fields) -> Anomaly:
    values = {"anomaly_type": "MASS_EXIT", "severity": "CRITICAL", "anomaly_score": 0.9, **fields}
    at = START + timedelta(seconds=second)
    return Anomaly.objects.create(session=session, event_id=session.event_id, timestamp=at, **values)


def test_get_anomalies_answers_every_field(rest):
    found = anomaly(
        rest.new_session(),
        current_engagement=0.31,
        expected_engagement=0.74,
        deviation=0.58,
        signals={"chat_msgs_per_min": 1},
        metadata={"hst_score": 0.9, "z_score": -4.2},
        description="Half of the audience left.",
        status="resolved",
        resolved_at=START + timedelta(minutes=3),
        note="A fire alarm.",
    )

    answer = rest.get(f"/sessions/{found.session_id}/anomalies")

    assert answer.json() == {
        "items": [
            {
                "id": str(found.id),
                "session_id": str(found.session_id),
                "event_id": str(rest.event.id),
                "timestamp": "2026-03-02T09:00:00Z",
                "anomaly_type": "MASS_EXIT",
                "severity": "CRITICAL",
                "anomaly_score": 0.9,
                "current_engagement": 0.31,
                "expected_engagement": 0.74,
                "deviation": 0.58,
                "signals": {"chat_msgs_per_min": 1},
                "metadata": {"hst_score": 0.9, "z_score": -4.2},
                "resolved_at": "2026-03-02T09:03:00Z",
                "status": "resolved",
                "description": "Half of the audience left.",
                "acknowledged_at": None,
                "acknowledged_by": None,
                "snoozed_until": None,
                "verdict": None,
                "actions": [],
            }
        ],
        "next": None,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1, 0]),
        ("?severity=WARNING", [2, 0]),
        ("?anomaly_type=SUDDEN_DROP", [2, 1]),
        ("?severity=WARNING&anomaly_type=SUDDEN_DROP", [2]),
        ("?since=2026-03-02T09:00:05Z", [2, 1]),
        ("?until=2026-03-02T09:00:05Z", [0]),
        ("?severity=CRITICAL&anomaly_type=MASS_EXIT", []),
    ],
)
def test_get_anomalies_filters(rest, query, expected):
    session = rest.new_session()
    found = [
        anomaly(session, 0, severity="WARNING"),
        anomaly(session, 5, anomaly_type="SUDDEN_DROP"),
        anomaly(session, 10, anomaly_type="SUDDEN_DROP", severity="WARNING"),
    ]

    answer = rest.get(f"/sessions/{session.id}/anomalies{query}")

    assert [item["id"] for item in answer.json()["items"]] == [str(found[i].id) for i in expected]


def test_get_anomalies_pages_through_those_of_one_moment_and_keeps_the_filters(rest):
    session = rest.new_session()
    wanted = {str(anomaly(session, i // 50).id) for i in range(150)}
    anomaly(session, 1, severity="WARNING")

    first = rest.get(f"/sessions/{session.id}/anomalies?severity=CRITICAL").json()
    second = rest.get(first["next"]).json()

    assert first["next"].startswith(
        f"http://testserver/api/v1/sessions/{session.id}/anomalies?severity=CRITICAL&cursor="
    )
    assert (len(first["items"]), len(second["items"]), second["next"]) == (100, 50, None)
    items = first["items"] + second["items"]
    assert {item["id"] for item in items} == wanted
    order = [(item["timestamp"], UUID(item["id"])) for item in items]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize(
    ("path", "queries"),
    [("/sessions", 1), ("/sessions/{}/anomalies", 3), ("/anomalies", 3), ("/sessions/{}/engagement", 2)],
)
def test_lists_cost_the_same_for_one_item_and_for_three(rest, django_assert_num_queries, path, queries):
    session = rest.new_session()
    path = path.format(session.id)
    rest.get(path)  # the key is remembered from here on
    for second in range(0, 15, 5):
        anomaly(session, second)
        rest.post(f"/sessions/{session.id}/signals", signals(second))
        rest.new_session()
        with django_assert_num_queries(queries):
            assert len(rest.get(path).json()["items"]) > 0
