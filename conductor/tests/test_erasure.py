"""What is erased goes whatever dies and whoever else is at work, and disturbs nobody."""

import itertools
import logging
import signal
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conductor import housekeeping
from conductor.tests import sweeping
from conductor.tests.plenty import NOW, START, at, count_rows, erase_everything, full_session, in_threads
from conductor.tests.rest import Rest
from conductor.tests.waiting import wait_until
from engagement.erasure import erase_events
from engagement.models import (
    EngagementRow,
    Erasure,
    Event,
    Session,
)

pytestmark = pytest.mark.django_db(transaction=True)


def count_deadlocks() -> int:
    """Ask on a new connection: what others did is counted when they end, or when they are idle."""
    with psycopg.connect(**connection.get_connection_params()) as looking:
        return looking.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()[
            0
        ]


def test_large_event_goes_while_another_ones_posts_go_on(event, caplog):
    """200,000 rows. The other session's lock is held by somebody all the time, so whoever waits for it is told of."""
    doomed = [full_session(event, rows=50_000, events=50_000) for _ in range(2)]
    rows = sum(count_rows(session.id) for session in doomed) + 3
    other, locked = Rest.of_new_event("Another"), Rest.of_new_event("Third").new_session()
    session = other.new_session()
    erase_events([event.id], "ada", NOW)
    steps, answers, seconds = [], [], itertools.count()

    def post() -> None:
        at_second = (START + timedelta(seconds=5 * next(seconds))).isoformat()
        answers.append(other.post(f"/sessions/{session.id}/signals", {"timestamp": at_second, "total_users": 5}))

    with psycopg.connect(**connection.get_connection_params()) as holder:
        holder.execute("SELECT FROM engagement_session WHERE id = %s FOR UPDATE", [locked.id])
        with in_threads(post), CaptureQueriesContext(connection) as queries:
            while housekeeping._try_step(Erasure.objects.get(kind="event").id, NOW):
                steps.append(Erasure.objects.get(kind="event").rows_erased)

    assert max(after - before for before, after in itertools.pairwise([0, *steps, rows])) <= housekeeping.MOST_ROWS
    assert Erasure.objects.get().rows_erased == rows
    assert sum(count_rows(gone.id) for gone in doomed) == 0
    assert {answer.status_code for answer in answers} == {202}
    assert EngagementRow.objects.for_session(session).count() == len(answers)
    assert "is left for later" not in caplog.text
    assert not [q["sql"] for q in queries if str(session.id) in q["sql"] or str(locked.id) in q["sql"]]


def test_worker_that_dies_between_steps_loses_nothing(stack, event):
    with transaction.atomic():  # or the worker would read the sessions before they are erased and add to them
        sessions = [full_session(event, rows=40_000, events=20_000) for _ in range(2)]
        rows = sum(count_rows(session.id) for session in sessions)
        fact = erase_events([event.id], "ada", NOW)[0]

    def is_in_the_middle() -> bool:
        fact.refresh_from_db()
        return fact.rows_erased > 0 and fact.finished_at is None

    wait_until(is_in_the_middle)
    worker = stack.processes.pop("worker")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert is_in_the_middle(), "the worker was killed in the middle of its work"
    stack.start_worker()
    wait_until(lambda: not Erasure.objects.unfinished().exists(), seconds=120)

    fact.refresh_from_db()
    assert fact.rows_erased == rows + 3
    assert sum(count_rows(session.id) for session in sessions) == 0
    assert not Event._base_manager.exists()


def erase_by_rest(rest: Rest, session: Session, admin: Client) -> int:
    return rest.call("DELETE", f"/sessions/{session.id}").status_code


def erase_by_admin(rest: Rest, session: Session, admin: Client) -> int:
    return admin.post(reverse("admin:engagement_session_delete", args=[session.id]), {"post": "yes"}).status_code


def erase_by_action(rest: Rest, session: Session, admin: Client) -> int:
    action = {"action": "delete_selected", "_selected_action": [session.id], "post": "yes"}
    return admin.post(reverse("admin:engagement_session_changelist"), action).status_code


def erase_event_by_admin(rest: Rest, session: Session, admin: Client) -> int:
    return admin.post(reverse("admin:engagement_event_delete", args=[rest.event.id]), {"post": "yes"}).status_code


@pytest.mark.parametrize("kind", ["signals", "events"])
@pytest.mark.parametrize("erase", [erase_by_rest, erase_by_admin, erase_by_action, erase_event_by_admin])
def test_session_is_erased_while_it_is_posted_to_and_swept(admin_client, settings, caplog, kind, erase):
    """No answer of ours but taken and gone, no deadlock, and no row that is left over."""
    settings.RATE_LIMIT = 0
    deadlocks = count_deadlocks()
    caplog.set_level(logging.WARNING, logger="conductor.housekeeping")
    for _ in range(10):
        rest = Rest.of_new_event()
        session = rest.new_session()
        places = itertools.count()
        answers: list[int] = []
        before: list[int] = []  # answers to what was sent before the session was erased
        after: list[int] = []

        def post(rest=rest, session=session, places=places, before=before, after=after, answers=answers) -> None:
            statuses = after if answers else before
            moments = [at(next(places) / 10).isoformat() for _ in range(20)]
            if kind == "signals":
                body = [{"timestamp": moment, "chat_msgs_per_min": 5, "total_users": 9} for moment in moments]
            else:
                body = [{"timestamp": moment, "type": "join", "user": f"u-{moment[-8:]}"} for moment in moments]
            statuses.append(Rest(rest.event, rest.secret).post(f"/sessions/{session.id}/{kind}", body).status_code)

        def sweep() -> None:
            sweeping.sweep_all(datetime.now(UTC))

        with in_threads(post, post, sweep, sweep, lambda: housekeeping.step(NOW, seconds=0.1)):
            wait_until(lambda session=session: Session.objects.get(id=session.id).judged_until is not None)
            answers.append(erase(rest, session, admin_client))
            wait_until(lambda after=after: len(after) >= 4)

        assert set(answers) <= {202, 302}
        assert 202 in before
        assert set(before) <= {202, 404, 401}
        assert set(after) == {401 if erase is erase_event_by_admin else 404}
        erase_everything()
        assert count_rows(session.id) == 0
        assert not Session._base_manager.filter(id=session.id).exists()
    assert count_deadlocks() == deadlocks
    assert "cannot be judged" not in caplog.text


# --- A person ----------------------------------------------------------------------------------------------------
