"""What is erased or was kept for long enough goes in bounded steps, and nothing else goes."""

import itertools
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import psycopg
import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session as Login
from django.db import connection
from django.db.models import ForeignKey
from django.urls import reverse

from anomalies.models import Anomaly, AnomalyAction
from conductor import housekeeping, tasks
from conductor.tests.plenty import NOW, START, TABLES, at, count_rows, erase_everything, full_session, in_threads
from conductor.tests.rest import Rest
from conductor.tests.waiting import wait_until
from engagement import cursors
from engagement.aggregate import aggregate
from engagement.erasure import erase_events, erase_person, erase_sessions
from engagement.events import record_events
from engagement.models import (
    ApiKey,
    Erasure,
    Event,
    Invitation,
    Presence,
    RawEventRow,
    RoomState,
    Session,
    Upload,
    UploadPart,
)
from engagement.uploads import keep_upload
from engagement.windows import RawEvent

pytestmark = pytest.mark.django_db(transaction=True)


def hanging_on(*owners: type) -> set[tuple[type, str]]:
    """Return every foreign key that leads to one of these, also by way of another table."""
    found: set[tuple[type, str]] = set()
    queue, seen = list(owners), set(owners)
    while queue:
        owner = queue.pop()
        for model in apps.get_models(include_auto_created=True):
            for field in model._meta.local_fields:
                if isinstance(field, ForeignKey) and field.related_model is owner:
                    found.add((model, field.name))
                    if model not in seen:
                        seen.add(model)
                        queue.append(model)
    return found


def test_every_table_that_hangs_on_a_session_or_an_event_is_erased_with_it():
    """A new table has to be named in `housekeeping.OF_SESSION` or `OF_EVENT`, before what it hangs on."""
    named = {
        (table.model, table.owner.partition("__")[0]) for table in (*housekeeping.OF_SESSION, *housekeeping.OF_EVENT)
    }

    # A session goes before its event, and what people did before the anomalies it was done with.
    assert hanging_on(Session, Event) == named | {(Session, "event"), (AnomalyAction, "anomaly")}


def test_what_a_session_may_keep_for_some_time_is_all_of_it():
    kept = [table for _, tables in housekeeping.RETAINED.values() for table in tables]

    assert sorted(kept, key=str) == sorted(housekeeping.OF_SESSION, key=str)


def test_rows_are_found_by_an_index_that_begins_with_their_owner():
    """Else a step would read the whole table."""
    for table in (*housekeeping.OF_SESSION, *housekeeping.OF_EVENT):
        columns = [table.model._meta.get_field(table.owner.partition("__")[0]).column]
        if table.order == "timestamp":
            columns.append("timestamp")
        with connection.cursor() as cursor:
            indexes = connection.introspection.get_constraints(cursor, table.model._meta.db_table).values()
        whole = [each["columns"] for each in indexes if each["index"] or each["unique"] or each["primary_key"]]
        assert any(found[: len(columns)] == columns for found in whole), table


def test_a_session_goes_with_all_that_hangs_on_it(event):
    doomed, other = full_session(event), full_session(event)
    rows = count_rows(doomed.id)

    erase_sessions([doomed.id], "ada", NOW)
    erase_everything()

    assert list(Session._base_manager.all()) == [other]
    assert (count_rows(doomed.id), count_rows(other.id)) == (0, rows)
    fact = Erasure.objects.get()
    assert (fact.rows_erased, fact.finished_at) == (rows + 1, NOW)


def test_an_event_goes_with_all_that_hangs_on_it(event):
    User.objects.create(username="mara").organized_events.add(event)
    ApiKey.objects.issue(event, "Platform")
    Invitation.objects.create(event=event, role="viewer", expires_at=NOW)
    upload = Upload(event=event, title="Rehearsal", zone="UTC", file_names=["room.jsonl"], size=9, uploaded_at=NOW)
    keep_upload(upload, [[b"something"]])
    other = full_session(Event.objects.create(name="Another"))
    rows = sum(count_rows(full_session(event).id) + 1 for _ in range(3))

    erase_events([event.id], "ada", NOW)
    erase_everything()

    assert list(Event._base_manager.all()) == [other.event]
    assert list(Session._base_manager.all()) == [other]
    assert not ApiKey.objects.exists()
    assert not Event.organizers.through.objects.exists()
    assert not Invitation.objects.exists()
    assert count_rows(other.id)
    assert not Upload.objects.exists()
    assert not UploadPart.objects.exists()
    assert Erasure.objects.get().rows_erased == rows + 6


def test_a_session_that_was_made_while_its_event_was_erased_goes_too(event):
    erase_events([event.id], "ada", NOW)
    late = full_session(event, status="live", external_id="room-1")

    housekeeping.step(NOW, seconds=0.0)
    erase_everything()

    assert not Session._base_manager.exists()
    assert not Event._base_manager.exists()
    assert count_rows(late.id) == 0


def test_a_table_that_nobody_knows_keeps_its_session_and_takes_nothing_else_along(event, monkeypatch, caplog):
    monkeypatch.setattr(housekeeping, "OF_SESSION", housekeeping.OF_SESSION[:1])
    doomed, other = full_session(event), Session.objects.create(event=event, title="Empty")
    rows = count_rows(doomed.id)

    erase_sessions([doomed.id, other.id], "ada", NOW)

    assert housekeeping.step(NOW, seconds=5)
    assert list(Session._base_manager.all()) == [doomed]
    assert count_rows(doomed.id) == rows
    assert "is left for later" in caplog.text


@pytest.mark.parametrize("most", [1, 7, 71])
def test_no_step_erases_more_than_it_may(event, monkeypatch, most):
    monkeypatch.setattr(housekeeping, "MOST_ROWS", most)
    sessions = [full_session(event, rows=20, events=20, people=3) for _ in range(3)]
    Anomaly.objects.create(event=event, session=sessions[0], timestamp=at(60), anomaly_score=0.9)  # as another one
    left = [sum(count_rows(session.id) for session in sessions) + len(sessions)]
    erase_events([event.id], "ada", NOW)
    fact = Erasure.objects.get()

    while housekeeping._try_step(fact.id, NOW):
        left.append(sum(count_rows(session.id) for session in sessions) + Session._base_manager.count())

    assert {0 <= before - after <= most for before, after in itertools.pairwise(left)} == {True}
    assert len(left) >= left[0] // most
    assert not Session._base_manager.exists()
    fact.refresh_from_db()
    assert fact.rows_erased == left[0] + 1


def test_many_raw_events_of_one_moment_are_many_steps(event, monkeypatch):
    monkeypatch.setattr(housekeeping, "MOST_ROWS", 10)
    session = full_session(event, events=0)
    RawEventRow.objects.bulk_create(
        RawEventRow(session=session, timestamp=START, type="chat", received_at=NOW) for _ in range(35)
    )
    erase_sessions([session.id], "ada", NOW)
    counts = [35]

    while housekeeping._try_step(Erasure.objects.get().id, NOW):
        counts.append(session.raw_events.count())

    assert max(before - after for before, after in itertools.pairwise(counts)) == 10


def test_small_sessions_share_a_step(event):
    for _ in range(housekeeping.MOST_SESSIONS + 5):
        Session.objects.create(event=event, title="Small")
    erase_events([event.id], "ada", NOW)
    fact = Erasure.objects.get()

    assert housekeeping._try_step(fact.id, NOW)
    assert Session._base_manager.count() == 5
    assert not housekeeping._try_step(fact.id, NOW)
    assert not Event._base_manager.exists()


def test_a_step_takes_the_time_that_it_is_given(event, monkeypatch):
    monkeypatch.setattr(housekeeping, "MOST_ROWS", 10)
    erase_sessions([full_session(event).id], "ada", NOW)
    moments = itertools.count(step=0.25)
    monkeypatch.setattr("time.monotonic", lambda: next(moments))

    assert housekeeping.step(NOW, seconds=1.0)
    assert 0 < Erasure.objects.get().rows_erased <= 40


def test_a_small_erasure_does_not_wait_for_a_large_one(event, monkeypatch):
    monkeypatch.setattr(housekeeping, "MOST_ROWS", 10)
    large, small = full_session(event, rows=500), Session.objects.create(event=event, title="Empty")
    erase_sessions([large.id], "ada", NOW)
    erase_sessions([small.id], "ada", NOW)
    steps = []
    monkeypatch.setattr(housekeeping, "_erase", record_calls(housekeeping._erase, steps))

    housekeeping.step(NOW, seconds=60)

    assert [erasure.target for erasure, _ in steps[:2]] == [large.id, small.id]


def record_calls(function, calls):
    def recorded(*args):
        calls.append(args)
        return function(*args)

    return recorded


def test_nothing_to_erase_is_two_queries(django_assert_num_queries):
    with django_assert_num_queries(2):
        assert not housekeeping.step(NOW, seconds=1)


def test_what_somebody_else_is_at_is_left_to_them(event):
    [fact] = erase_sessions([full_session(event).id], "ada", NOW)
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT FROM engagement_erasure FOR UPDATE")

        assert housekeeping.step(NOW, seconds=5)

    fact.refresh_from_db()
    assert fact.rows_erased == 0


def test_two_workers_erase_each_row_once(event, monkeypatch):
    monkeypatch.setattr(housekeeping, "MOST_ROWS", 5)
    sessions = [full_session(event) for _ in range(4)]
    rows = sum(count_rows(session.id) for session in sessions)
    erase_sessions([session.id for session in sessions], "ada", NOW)

    with in_threads(*[lambda: housekeeping.step(NOW, seconds=0.2)] * 3):
        wait_until(lambda: not Erasure.objects.unfinished().exists())

    assert sum(Erasure.objects.values_list("rows_erased", flat=True)) == rows + 4
    assert not Session._base_manager.exists()


NAMES = [
    "u-17", "a/b", "/", "//", "ä ö", "100%", "a%2Fb", "?x=1#y", "line\nbreak", "..", "'; --", "u-17/", "🎈", "+",
]  # fmt: skip


def raw(kind: str, second: float, user: str | None = None) -> RawEvent:
    return RawEvent(kind, at(second), user)


def live_room(event: Event, *entries: RawEvent) -> Session:
    session = Session.objects.create(event=event, title="Keynote", lateness_seconds=0)
    record_events(session.id, entries, NOW)
    return session


def count_on(session: Session) -> None:
    session.refresh_from_db()
    with cursors.sweeping([session]):
        aggregate([session], NOW, most_rows=1000)


def names_of(session: Session) -> set[str]:
    users = session.raw_events.values_list("user", flat=True), session.people.values_list("user", flat=True)
    return set(itertools.chain(*users)) - {""}


def test_a_person_of_a_session_that_goes_on_is_counted_on_and_nobody_knows_them(event):
    session = live_room(event, raw("join", 1, "u-1"), raw("join", 2, "u-2"), raw("chat", 7, "u-1"), raw("chat", 11))
    count_on(session)
    record_events(session.id, [raw("chat", 12, "u-1")], NOW)  # not aggregated yet

    erase_person(event.id, "u-1", "ada", NOW)
    erase_everything()
    record_events(session.id, [raw("leave", 13, "u-2"), raw("chat", 21)], NOW)
    count_on(session)

    assert [row.total_users for row in session.rows.all()] == [2, 2, 1, 1]
    assert [row.active_users for row in session.rows.all()] == [None, 1, 1, 1]
    (name,) = names_of(session) - {"u-2"}
    assert name != "u-1"
    assert len(name) >= 20
    fact = Erasure.objects.get()
    assert (fact.rows_erased, fact.finished_at, fact.user) == (4, NOW, "")


def test_a_room_that_is_rebuilt_counts_who_was_erased(event):
    session = live_room(event, raw("join", 1, "u-1"), raw("join", 2, "u-2"), raw("chat", 11))
    count_on(session)
    erase_person(event.id, "u-1", "ada", NOW)
    erase_everything()
    RoomState.objects.all().delete()
    Presence.objects.all().delete()

    record_events(session.id, [raw("leave", 13, "u-2"), raw("chat", 21)], NOW)
    count_on(session)

    assert [row.total_users for row in session.rows.all()] == [2, 2, 1, 1]


def test_who_comes_with_an_erased_name_is_somebody_new(event):
    session = live_room(event, raw("join", 1, "u-1"), raw("chat", 11))
    count_on(session)
    erase_person(event.id, "u-1", "ada", NOW)
    erase_everything()

    record_events(session.id, [raw("join", 12, "u-1"), raw("chat", 16)], NOW)
    count_on(session)

    assert [row.total_users for row in session.rows.all()] == [1, 1, 2]
    assert "u-1" in names_of(session)


def test_an_erasure_ends_though_its_person_comes_back_again_and_again(event, monkeypatch):
    sessions = [live_room(event, raw("join", 1, "u-1")) for _ in range(3)]
    erase_person(event.id, "u-1", "ada", NOW)
    erase = housekeeping._erase

    def erase_and_come_back(*args):
        done = erase(*args)
        for session in sessions:
            record_events(session.id, [raw("chat", 2, "u-1")], NOW)
        return done

    monkeypatch.setattr(housekeeping, "_erase", erase_and_come_back)
    erase_everything()

    assert Erasure.objects.get().finished_at == NOW


def test_a_person_of_ended_sessions_has_no_name_there(event, monkeypatch):
    monkeypatch.setattr(housekeeping, "MOST_ROWS", 4)
    sessions = [full_session(event, events=30, people=3) for _ in range(2)]
    RoomState.objects.all().delete()
    other = full_session(Event.objects.create(name="Another"), people=3)

    erase_person(event.id, "u-1", "ada", NOW)
    erase_everything()

    for session in sessions:
        assert names_of(session) == {"u-0", "u-2"}
        assert session.raw_events.filter(user="").count() == 10
        assert session.raw_events.count() == 30
    assert names_of(other) == {"u-0", "u-1", "u-2"}
    assert Erasure.objects.get().rows_erased == 2 * (10 + 1)


def test_a_person_of_an_ended_session_that_is_still_counted_keeps_a_name_that_nobody_knows(event):
    session = full_session(event, people=3)

    erase_person(event.id, "u-1", "ada", NOW)
    erase_everything()

    (name,) = names_of(session) - {"u-0", "u-2"}
    assert name != "u-1"
    assert session.people.count() == 3


def test_a_person_nobody_knows_is_erased_and_forgotten(event):
    full_session(event)
    erase_person(event.id, "nobody", "ada", NOW)

    erase_everything()

    fact = Erasure.objects.get()
    assert (fact.rows_erased, fact.user, fact.finished_at) == (0, "", NOW)


def test_a_person_of_a_session_in_use_is_erased_later(event, monkeypatch, caplog):
    monkeypatch.setattr(housekeeping, "WAIT_SECONDS", 0.05)
    session = live_room(event, raw("join", 1, "u-1"))
    erase_person(event.id, "u-1", "ada", NOW)

    with psycopg.connect(**connection.get_connection_params()) as sweep:
        sweep.execute("SELECT FROM engagement_session FOR NO KEY UPDATE")
        assert housekeeping.step(NOW, seconds=5)
    assert "is left for later" in caplog.text
    assert names_of(session) == {"u-1"}

    erase_everything()
    assert "u-1" not in names_of(session)


def test_what_a_person_did_is_found_by_an_index(event):
    """The planner of a small table would read it whole, so it is told not to."""
    session = full_session(event)
    theirs = RawEventRow.objects.filter(session_id=session.id, user="u-1")

    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        try:
            plan = theirs.explain()
        finally:
            cursor.execute("RESET enable_seqscan")

    assert "raw_event_by_person" in plan


@pytest.mark.parametrize("name", NAMES)
def test_a_person_is_erased_by_rest_whatever_their_name(name):
    rest = Rest.of_new_event()
    session = live_room(rest.event, raw("join", 1, name), raw("join", 2, "somebody else"))

    answer = rest.call("DELETE", f"/people/{quote(name, safe='')}")
    erase_everything()

    assert answer.status_code == 202
    assert names_of(session) > {"somebody else"}
    assert name not in names_of(session)


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "nul\0"])
def test_a_name_that_nobody_can_have_is_not_found(name):
    rest = Rest.of_new_event()

    assert rest.call("DELETE", f"/people/{quote(name, safe='')}").status_code == 404
    assert not Erasure.objects.exists()


def days(number: float) -> timedelta:
    return timedelta(days=number)


def old_session(event: Event, age: timedelta, **fields) -> Session:
    """A session that ended so long ago, and was stored then."""
    session = full_session(event, **{"ended_at": NOW - age, "settled_at": NOW - age} | fields)
    Session.objects.filter(id=session.id).update(created_at=NOW - age)
    return session


def kept_of(session: Session) -> set[str]:
    return {model._meta.db_table for model in TABLES if model.objects.filter(session=session).exists()}


EVERYTHING = {model._meta.db_table for model in TABLES}


@pytest.mark.parametrize(
    ("field", "gone"),
    [
        ("raw_event_days", {"raw_events", "presence", "rooms"}),
        ("row_days", {"engagement", "engagement_buckets", "detector_memory"}),
        ("anomaly_days", {"anomalies"}),
    ],
)
def test_what_was_kept_for_long_enough_goes(event, field, gone):
    Event.objects.filter(id=event.id).update(**{field: 30})
    old, young = old_session(event, days(30)), old_session(event, days(29.9))
    elsewhere = old_session(Event.objects.create(name="Another"), days(3000))

    assert housekeeping.note_due(NOW) == 1
    erase_everything()

    assert kept_of(old) == EVERYTHING - gone
    assert kept_of(young) == kept_of(elsewhere) == EVERYTHING
    assert Session.objects.count() == 3
    fact = Erasure.objects.get()
    assert (fact.target, fact.requested_by, fact.finished_at) == (old.id, "the clock", NOW)


def test_what_was_kept_for_long_enough_is_noted_once(event):
    Event.objects.update(raw_event_days=1, row_days=2, anomaly_days=3)
    old_session(event, days(5))

    assert [housekeeping.note_due(NOW) for _ in range(2)] == [3, 0]
    erase_everything()
    assert housekeeping.note_due(NOW + days(1)) == 0


def test_two_clocks_note_once(event):
    Event.objects.update(raw_event_days=1)
    for _ in range(20):
        Session.objects.create(event=event, title="Keynote", status="ended", ended_at=NOW, settled_at=NOW)

    with in_threads(*[lambda: housekeeping.note_due(NOW + days(2000))] * 3):
        wait_until(lambda: Erasure.objects.count() == 20)

    assert Erasure.objects.count() == 20


@pytest.mark.parametrize("status", ["live", "scheduled"])
def test_a_session_that_goes_on_keeps_everything(event, status):
    Event.objects.update(raw_event_days=1, row_days=1, anomaly_days=1)
    old_session(event, days(50), status=status, ended_at=None, settled_at=None)

    assert housekeeping.note_due(NOW) == 0


def test_an_old_recording_is_kept_from_its_upload_on(event):
    Event.objects.update(row_days=30)
    recording = old_session(event, days(400))
    Session.objects.filter(id=recording.id).update(created_at=NOW - days(1))

    assert housekeeping.note_due(NOW) == 0
    assert housekeeping.note_due(NOW + days(29)) == 1


def test_a_session_without_rows_is_shown_everywhere(organizer, event, client):
    session = old_session(event, days(30), title="Long ago")
    Event.objects.update(raw_event_days=1, row_days=1, anomaly_days=1)
    _, secret = ApiKey.objects.issue(event, "Platform")
    housekeeping.note_due(NOW)
    erase_everything()
    assert kept_of(session) == set()

    for name, *args in [("sessions",), ("session", session.id), ("session-anomalies", session.id)]:
        answer = client.get(reverse(name, args=args))
        assert answer.status_code == 200
        assert "Long ago" in answer.content.decode()
    for path in ("engagement", "engagement?bucket=1m", "anomalies"):
        answer = Rest(event, secret).get(f"/sessions/{session.id}/{path}")
        assert (answer.status_code, answer.json()) == (200, {"items": [], "next": None})


def test_old_logins_are_forgotten():
    logins = [SessionStore(), SessionStore()]
    for login, seconds in zip(logins, (-60, 3600), strict=True):
        login.set_expiry(datetime.now(UTC) + timedelta(seconds=seconds))
        login.save()

    tasks.tidy()

    assert list(Login.objects.values_list("session_key", flat=True)) == [logins[1].session_key]


def test_the_clock_keeps_house(settings):
    """By beat, as long as a worker is there; how often is a promise of the docs."""
    schedule = settings.CELERY_BEAT_SCHEDULE

    assert schedule["housekeeping"]["task"] == tasks.keep_house.name
    assert schedule["housekeeping"]["schedule"] == 5.0
    assert schedule["tidying"]["task"] == tasks.tidy.name
    assert schedule["tidying"]["schedule"].remaining_estimate(datetime.now(UTC)) <= timedelta(hours=1)
