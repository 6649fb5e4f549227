"""The admin of events, keys and sessions, through the browser's requests."""

import re
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from anomalies.models import Anomaly
from conductor import housekeeping
from engagement.admin import count_doomed
from engagement.models import ApiKey, BeaconToken, EngagementRow, Erasure, Event, Session

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def event() -> Event:
    return Event.objects.create(name="Spring school")


@pytest.fixture
def session(event) -> Session:
    return Session.objects.create(event=event, title="Opening", status="live", judged_until=AT)


def url(model, page: str, *args) -> str:
    return reverse(f"admin:engagement_{model._meta.model_name}_{page}", args=args)


def event_form(event: Event, **keys) -> dict[str, str]:
    formset = {"api_keys-TOTAL_FORMS": "1", "api_keys-INITIAL_FORMS": "0"}
    formset |= {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    return {"name": event.name, "sensitivity": event.sensitivity, **formset, **keys}


def session_form(**changes) -> dict[str, str]:
    form = {"title": "Opening", "breaks": "", "starts_at_0": "", "starts_at_1": "", "ends_at_0": "", "ends_at_1": ""}
    return form | changes


def login(user_permissions: tuple[str, ...]) -> Client:
    user = User.objects.create(username="grace", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=user_permissions))
    client = Client()
    client.force_login(user)
    return client


def test_new_key_is_shown_once_and_kept_as_a_digest(admin_client, event):
    page = admin_client.post(
        url(Event, "change", event.id), event_form(event, **{"api_keys-0-name": "Platform"}), follow=True
    ).content.decode()

    secret = re.search(r"<code>(ec_[\w-]+)</code>", page)[1]
    key = event.api_keys.get()
    assert (key.name, key.prefix, bytes(key.sha256)) == ("Platform", secret[:8], ApiKey.digest(secret))
    assert secret not in admin_client.get(url(Event, "change", event.id)).content.decode()


def test_key_comes_with_a_new_event_too(admin_client):
    admin_client.post(url(Event, "add"), event_form(Event(name="Autumn"), **{"api_keys-0-name": "Platform"}))

    assert Event.objects.get(name="Autumn").api_keys.get().name == "Platform"


def test_key_cannot_be_edited(admin_client, event):
    key, _ = ApiKey.objects.issue(event, "Platform")

    admin_client.post(
        url(Event, "change", event.id),
        event_form(event, **{"api_keys-INITIAL_FORMS": "1", "api_keys-0-id": key.id, "api_keys-0-name": "Other"}),
    )
    refused = admin_client.post(url(ApiKey, "change", key.id), {"name": "Other"})

    assert refused.status_code == 403
    assert event.api_keys.get().name == "Platform"


def test_key_is_revoked_by_an_action(admin_client, event):
    keys = [ApiKey.objects.issue(event, name)[0] for name in ("Platform", "Recorder")]

    answer = admin_client.post(
        url(ApiKey, "changelist"), {"action": "revoke", "_selected_action": [keys[0].id]}, follow=True
    )

    assert f"Revoked: {keys[0]}" in answer.content.decode()
    assert list(event.api_keys.filter(revoked_at=None)) == [keys[1]]


def test_revoke_needs_the_permission_to_change_keys(event):
    key, _ = ApiKey.objects.issue(event, "Platform")

    login(("view_apikey",)).post(url(ApiKey, "changelist"), {"action": "revoke", "_selected_action": [key.id]})

    assert ApiKey.objects.get().revoked_at is None


def test_tokens_are_listed_with_their_pages_and_revoked_by_an_action(admin_client, session):
    tokens = [
        BeaconToken.objects.issue(session, name, ["https://player.example.org"])[0] for name in ("Player", "Stage")
    ]

    page = admin_client.get(url(BeaconToken, "changelist"), {"q": "player.example"}).content.decode()
    assert all(said in page for said in ("Player", "Opening", "Spring school", "https://player.example.org"))
    assert admin_client.get(url(BeaconToken, "change", tokens[0].id)).status_code == 200
    chosen = {"action": "revoke", "_selected_action": [tokens[0].id]}
    answer = admin_client.post(url(BeaconToken, "changelist"), chosen, follow=True)

    assert f"Revoked: {tokens[0]}" in answer.content.decode()
    assert list(BeaconToken.objects.valid()) == [tokens[1]]
    login(("view_beacontoken", "change_apikey")).post(
        url(BeaconToken, "changelist"), chosen | {"_selected_action": [tokens[1].id]}
    )
    assert list(BeaconToken.objects.valid()) == [tokens[1]], "who may only look revokes nothing"
    assert admin_client.post(url(BeaconToken, "add"), {"name": "Other"}).status_code == 403


def test_session_facts_are_read_only(admin_client, session):
    admin_client.post(url(Session, "change", session.id), session_form(title="Keynote", status="ended"))

    after = Session.objects.get()
    assert (after.title, after.status) == ("Keynote", "live")


def test_saving_a_session_leaves_the_columns_of_the_sweep_alone(admin_client, session):
    with CaptureQueriesContext(connection) as queries:
        admin_client.post(url(Session, "change", session.id), session_form(title="Keynote"))

    (update,) = [q["sql"] for q in queries if q["sql"].startswith('UPDATE "engagement_session"')]
    assert update.startswith('UPDATE "engagement_session" SET "title" = \'Keynote\' WHERE')


def test_session_plan_is_edited(admin_client, session):
    breaks = "2026-03-02 10:00 to 2026-03-02 10:15\n\n2026-03-02T12:00+01:00 to 2026-03-02T12:30+01:00"
    admin_client.post(
        url(Session, "change", session.id), session_form(breaks=breaks, starts_at_0="2026-03-02", starts_at_1="09:00")
    )

    after = Session.objects.get()
    assert after.starts_at == AT
    assert after.planned_breaks == [
        (AT + timedelta(minutes=60), AT + timedelta(minutes=75)),
        (AT + timedelta(minutes=120), AT + timedelta(minutes=150)),
    ]
    page = admin_client.get(url(Session, "change", session.id)).content.decode()
    assert "2026-03-02 10:00:00 to 2026-03-02 10:15:00\n2026-03-02 11:00:00 to 2026-03-02 11:30:00" in page


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"breaks": "2026-03-02 10:00"}, "Line 1 is not two moments"),
        ({"breaks": "\nten to eleven"}, "Line 2 is not two moments"),
        ({"breaks": "2026-03-02 10:15 to 2026-03-02 10:00"}, "Break 1: ends_at is not after its starts_at"),
        (
            {"starts_at_0": "2026-03-02", "starts_at_1": "10:00", "ends_at_0": "2026-03-02", "ends_at_1": "09:00"},
            "is not after starts_at",
        ),
    ],
)
def test_session_plan_that_contradicts_itself_is_refused(admin_client, session, form, error):
    page = admin_client.post(url(Session, "change", session.id), session_form(title="Keynote", **form))

    assert error in page.content.decode()
    assert Session.objects.get().title == "Opening"


def test_session_is_added_for_an_event(admin_client, event):
    admin_client.post(url(Session, "add"), session_form(event=event.id, external_id="", lateness_seconds="5"))

    session = Session.objects.get()
    assert (session.event, session.external_id, session.lateness_seconds) == (event, None, 5)


@pytest.fixture
def full_event(event, session) -> Event:
    """An event with everything that goes with it."""
    ApiKey.objects.issue(event, "Platform")
    EngagementRow.objects.bulk_create(
        EngagementRow(session=session, timestamp=AT + timedelta(seconds=s), received_at=AT) for s in range(5)
    )
    facts = {"anomaly_type": "MASS_EXIT", "severity": "CRITICAL", "anomaly_score": 0.9}
    Anomaly.objects.create(event=event, session=session, timestamp=AT, **facts)
    return event


def test_count_doomed_counts_what_goes_along(full_event):
    untouched = Session.objects.create(event=Event.objects.create(name="Another"), title="Another")
    EngagementRow.objects.create(session=untouched, timestamp=AT, received_at=AT)

    assert count_doomed(Event.objects.filter(id=full_event.id)) == {
        "events": 1,
        "sessions": 1,
        "API keys": 1,
        "engagement rows": 5,
        "anomalies": 1,
    }


@pytest.mark.parametrize("page", ["delete", "action"])
def test_deletion_counts_the_rows_and_never_loads_them(admin_client, full_event, page):
    action = {"action": "delete_selected", "_selected_action": [full_event.id]}
    address = url(Event, "delete", full_event.id) if page == "delete" else url(Event, "changelist")
    with CaptureQueriesContext(connection) as queries:
        ask = admin_client.get(address) if page == "delete" else admin_client.post(address, action)
        admin_client.post(address, {"post": "yes"} | (action if page == "action" else {}))

    assert "Engagement rows: 5" in ask.content.decode()
    assert "Anomalies: 1" in ask.content.decode()
    loads = [q["sql"] for q in queries if q["sql"].startswith("SELECT") and ' FROM "engagement" ' in q["sql"]]
    assert [sql for sql in loads if "COUNT(" not in sql] == []
    assert not any(model.objects.exists() for model in (Event, Session))
    assert Erasure.objects.get().requested_by == "admin"
    assert not housekeeping.step(AT, seconds=60)
    assert not any(model._base_manager.exists() for model in (Event, Session, ApiKey, EngagementRow, Anomaly))


def test_deletion_counts_no_further_than_it_must(admin_client, full_event, monkeypatch):
    monkeypatch.setattr("engagement.admin.MOST_COUNTED", 4)

    with CaptureQueriesContext(connection) as queries:
        page = admin_client.get(url(Event, "delete", full_event.id)).content.decode()

    assert "Engagement rows: more than 4" in page
    assert "Anomalies: 1" in page
    (count,) = [q["sql"] for q in queries if "COUNT(" in q["sql"] and ' FROM "engagement" ' in q["sql"]]
    assert "LIMIT 5" in count


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("page", ["delete", "action"])
@pytest.mark.parametrize("model", [Event, Session])
def test_deletion_of_what_is_in_use_says_so_and_deletes_nothing(admin_client, full_event, monkeypatch, model, page):
    monkeypatch.setattr("engagement.erasure.WAIT_SECONDS", 0.05)
    doomed = model.objects.get()
    action = {"action": "delete_selected", "_selected_action": [doomed.id]} if page == "action" else {}
    address = url(model, "delete", doomed.id) if page == "delete" else url(model, "changelist")

    with psycopg.connect(**connection.get_connection_params()) as sweep:
        sweep.execute("SELECT FROM engagement_session FOR NO KEY UPDATE")
        answer = admin_client.post(address, {"post": "yes"} | action, follow=True)

    assert answer.status_code == 200
    assert "Nothing was deleted: a session is in use just now." in answer.content.decode()
    assert model.objects.exists()
    assert not Erasure.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(("role", "status"), [("owner", 302), ("organizer", 200)])
def test_members_of_an_event_have_an_owner_among_them(admin_client, event, role, status):
    leo = User.objects.create(username="leo")
    member = {"TOTAL_FORMS": "1", "0-user": leo.id, "0-role": role}

    answer = admin_client.post(
        url(Event, "change", event.id),
        event_form(event, **{f"memberships-{name}": value for name, value in member.items()}),
    )

    assert answer.status_code == status
    assert ("An event always has an owner" in answer.content.decode()) is (role != "owner")
    assert [each.role for each in event.memberships.all()] == (["owner"] if role == "owner" else [])


@pytest.mark.parametrize("field", ["raw_event_days", "row_days", "anomaly_days"])
@pytest.mark.parametrize(("typed", "kept"), [("", None), ("1", 1), ("3650", 3650), ("0", 7), ("3651", 7), ("-1", 7)])
def test_retention_is_a_number_of_days_or_for_ever(admin_client, event, field, typed, kept):
    Event.objects.update(**{field: 7})

    admin_client.post(url(Event, "change", event.id), event_form(event, **{field: typed}))

    assert getattr(Event.objects.get(), field) == kept


def test_erasures_are_facts_to_read(admin_client, session):
    admin_client.post(url(Session, "delete", session.id), {"post": "yes"})
    erasure = Erasure.objects.get()

    assert str(session.id) in admin_client.get(url(Erasure, "changelist"), {"q": "admin"}).content.decode()
    assert admin_client.get(url(Erasure, "change", erasure.id)).status_code == 200
    for page, *args in [("change", erasure.id), ("delete", erasure.id), ("add",)]:
        assert admin_client.post(url(Erasure, page, *args), {"post": "yes"}).status_code == 403
    assert Erasure.objects.get() == erasure


def test_what_was_erased_is_in_no_list(admin_client, full_event):
    admin_client.post(url(Event, "delete", full_event.id), {"post": "yes"})

    addresses = [url(model, "changelist") for model in (Event, Session, ApiKey, BeaconToken)]
    for address in [*addresses, reverse("admin:anomalies_anomaly_changelist")]:
        assert admin_client.get(address).context["cl"].result_count == 0


@pytest.mark.parametrize("model", [Event, Session, ApiKey, BeaconToken])
def test_list_costs_the_same_queries_for_one_row_and_three(admin_client, model):
    def add(number: int) -> None:
        event = Event.objects.create(name=f"School {number}")
        event.organizers.add(User.objects.create(username=f"organizer-{number}"))
        ApiKey.objects.issue(event, "Platform")
        session = Session.objects.create(event=event, title="Opening")
        BeaconToken.objects.issue(session, "Player", ["https://player.example.org"])

    def count_queries() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(url(model, "changelist")).status_code == 200
        return len(queries)

    add(1)
    admin_client.get(url(model, "changelist"))  # content types are cached from here on
    one = count_queries()
    add(2)
    add(3)

    assert count_queries() == one


def test_staff_with_view_permission_reads_and_changes_nothing(session):
    client = login(("view_session",))

    assert "Opening" in client.get(url(Session, "change", session.id)).content.decode()
    assert client.post(url(Session, "change", session.id), session_form(title="Keynote")).status_code == 403
    assert client.get(url(Session, "delete", session.id)).status_code == 403
    assert client.get(url(Event, "changelist")).status_code == 403


@pytest.mark.parametrize("term", ["Opening", "room-1", "Spring"])
def test_session_is_found_by_title_external_id_and_event(admin_client, session, term):
    Session.objects.filter(id=session.id).update(external_id="room-1")
    Session.objects.create(event=Event.objects.create(name="Another"), title="Elsewhere")

    page = admin_client.get(url(Session, "changelist"), {"q": term}).content.decode()

    assert str(session.id) in page
    assert "Elsewhere" not in page
