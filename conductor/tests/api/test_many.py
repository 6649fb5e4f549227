"""POST /signals and POST /events: rows and raw events of many sessions in one request."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connections

from conductor import wakeups
from conductor.tests import sweeping
from conductor.tests.api.test_bad_input import check_problem
from conductor.tests.rest import START, Rest, signals
from engagement.many import SessionName, record_rows_of_many
from engagement.models import EngagementRow, RawEventRow, Session
from engagement.readings import Reading

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)


def chat(second: float = 0, **values: object) -> dict[str, object]:
    return {"type": "chat", "timestamp": (START + timedelta(seconds=second)).isoformat(), "user": "u1"} | values


def by_id(session: Session) -> dict[str, object]:
    return {"session_id": str(session.id)}


def by_name(session: Session) -> dict[str, object]:
    return {"external_id": session.external_id}


@pytest.fixture
def sessions(rest) -> list[Session]:
    return [rest.new_session(external_id=f"room/{number}") for number in range(3)]


def test_rows_of_many_are_those_of_each(rest, sessions):
    others = [rest.new_session() for _ in sessions]
    rows = [[signals(5 * place, chat_msgs_per_min=10 * number) for place in range(4)] for number in range(3)]
    mixed = [
        rows[number][place] | (by_id if place % 2 else by_name)(sessions[number])
        for place in range(4)
        for number in range(3)
    ]

    answer = rest.post("/signals", mixed)
    for other, its_rows in zip(others, rows, strict=True):
        rest.post(f"/sessions/{other.id}/signals", its_rows)

    assert (answer.status_code, answer.json()) == (202, {"accepted": 12, "duplicates": 0, "late": 0})
    for session, other in zip(sessions, others, strict=True):
        session.refresh_from_db()
        assert (session.status, session.source) == ("live", "signals")
        assert [row.reading for row in session.rows.all()] == [row.reading for row in other.rows.all()]
    assert rest.post("/signals", mixed).json() == {"accepted": 0, "duplicates": 12, "late": 0}
    sweeping.sweep_all(NOW)
    late = [signals(7) | by_id(sessions[0]), signals(99) | by_id(sessions[1])]
    assert rest.post("/signals", late).json() == {"accepted": 2, "duplicates": 0, "late": 1}
    assert list(EngagementRow.objects.filter(late=True).values_list("session", flat=True)) == [sessions[0].id]


def test_raw_events_of_many_are_those_of_each(rest, sessions):
    others = [rest.new_session() for _ in sessions]
    events = [[chat(9 * place, id=f"m{place}", user=f"u{number}") for place in range(4)] for number in range(3)]
    mixed = [events[number][place] | by_name(sessions[number]) for place in (2, 0, 1, 3) for number in (1, 0, 2)]

    answer = rest.post("/events", mixed)
    for other, its_events in zip(others, events, strict=True):
        rest.post(f"/sessions/{other.id}/events", [its_events[place] for place in (2, 0, 1, 3)])

    assert (answer.status_code, answer.json()) == (202, {"accepted": 12, "duplicates": 0, "late": 6})
    fields = ("type", "timestamp", "user", "key", "late")
    for session, other in zip(sessions, others, strict=True):
        session.refresh_from_db()
        other.refresh_from_db()
        assert (session.status, session.source, session.closed_until) == ("live", "events", other.closed_until)
        assert list(session.raw_events.order_by("id").values(*fields)) == list(
            other.raw_events.order_by("id").values(*fields)
        )
    assert rest.post("/events", mixed).json() == {"accepted": 0, "duplicates": 12, "late": 0}


@pytest.mark.parametrize(("path", "item"), [("/signals", signals()), ("/events", chat())])
def test_each_item_that_cannot_be_taken_is_named_and_nothing_is_stored(rest, sessions, path, item):
    ended = rest.new_session(status="ended")
    other_source = rest.new_session(source="events" if path == "/signals" else "signals", status="live")
    foreign = Rest.of_new_event("Another").new_session()
    unknown = [{"external_id": f"nowhere/{number}"} for number in range(60)]

    answer = rest.post(
        path,
        [item | by_id(session) for session in (sessions[0], ended, other_source, foreign)]
        + [item | {"session_id": str(uuid4())}]
        + [item | name for name in unknown],
    )

    problem = check_problem(answer, 422)
    assert problem["detail"] == "64 items cannot be taken; nothing was stored."
    assert [error["pointer"] for error in problem["errors"]] == [
        "/1/session_id", "/2/session_id", "/3/session_id", "/4/session_id",
        *(f"/{index}/external_id" for index in range(5, 65)),
    ]  # fmt: skip
    details = [error["detail"] for error in problem["errors"]]
    assert "has ended" in details[0]
    assert "is told of by" in details[1]
    assert set(details[2:]) == {"names no session of this event"}
    assert (EngagementRow.objects.count(), RawEventRow.objects.count()) == (0, 0)
    assert Session.objects.get(id=sessions[0].id).status == "scheduled"
    assert rest.post(path, [item | by_id(sessions[0])]).json()["accepted"] == 1, "who drops these sends the rest"


@pytest.mark.parametrize("name", [{}, {"session_id": str(uuid4()), "external_id": "room"}, {"session_id": None}])
def test_an_item_names_its_session_in_one_way(rest, name):
    problem = check_problem(rest.post("/signals", [signals() | name]), 422)
    assert problem["errors"] == [
        {"pointer": "/0", "detail": "Input should name its session by session_id or by external_id"}
    ]


def test_what_is_wrong_with_an_item_is_said_at_its_place(rest, sessions):
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    problem = check_problem(
        rest.post("/signals", [signals() | by_id(sessions[0]), signals(timestamp=ahead) | by_id(sessions[1])]), 422
    )
    assert [error["pointer"] for error in problem["errors"]] == ["/1/timestamp"]
    problem = check_problem(rest.post("/signals", [{"timestamp": START.isoformat()} | by_id(sessions[0])]), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["/0"]
    problem = check_problem(rest.post("/events", [chat(timestamp=ahead) | by_id(sessions[0])]), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["/0/timestamp"]


def test_five_thousand_are_taken_and_no_more(rest, sessions):
    rows = [signals(second) | by_id(sessions[second % 3]) for second in range(5_001)]
    check_problem(rest.post("/signals", rows), 413)
    assert rest.post("/signals", rows[:-1]).json() == {"accepted": 5_000, "duplicates": 0, "late": 0}


def test_one_task_is_sent_for_all_sessions_of_a_request(rest, sessions, monkeypatch):
    sent = []
    monkeypatch.setattr("conductor.tasks._send", lambda task, *args: sent.append(task.name))
    sweeping.begin_anew()
    rest.post("/signals", [signals(second) | by_id(sessions[second % 3]) for second in range(9)])
    assert sent == ["conductor.tasks.advance"]
    assert set(wakeups.DUE.peek(10)) == {session.id for session in sessions}


def test_first_posts_for_the_same_sessions_at_once_do_not_wait_for_each_other_for_ever(rest):
    """In whatever order their items are: who locks takes the sessions by their ids."""
    sessions = [rest.new_session() for _ in range(40)]
    errors = []

    def post(places: list[int]) -> None:
        try:
            for place in range(10):
                at = START + timedelta(seconds=5 * place)
                names = [SessionName(sessions[each].id) for each in places]
                record_rows_of_many(rest.event.id, names, [Reading(at, total_users=5)] * len(names), NOW)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    orders = [list(range(40)), list(range(39, -1, -1)), [*range(20, 40), *range(20)]]
    posters = [threading.Thread(target=post, args=(order,)) for order in orders]
    for poster in posters:
        poster.start()
    for poster in posters:
        poster.join(60)

    assert errors == []
    assert EngagementRow.objects.count() == 400
