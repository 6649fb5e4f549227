"""Who changed what is noted, whichever way they did it; what sweeps do is not."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from auditlog.models import LogEntry
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import post_delete, post_save, pre_save
from django.utils.timezone import now

from anomalies.models import Actor, Anomaly, DetectorMemory
from anomalies.tests.rooms import at_minute, collapse, healthy_room
from conductor import audit, tasks
from conductor.local import addresses
from conductor.tests import plenty, stage, sweeping
from conductor.tests.rest import Rest
from engagement.erasure import erase_events, erase_sessions
from engagement.ingest import record_rows
from engagement.models import ApiKey, EngagementRow, Event, Presence, RawEventRow, RoomState, Session, Upload

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def admin(client, event) -> User:
    user = User.objects.create_superuser("ada", password="correct horse")
    client.force_login(user)
    return user


@pytest.fixture
def session(event) -> Session:
    session = stage.live_session(event)
    LogEntry.objects.all().delete()
    return session


def told() -> tuple[str, str, dict]:
    """Who did the one thing that was noted, to what, and what it was."""
    entry = LogEntry.objects.get()
    return audit.tell_who(entry), entry.object_repr, entry.changes


def clear() -> None:
    LogEntry.objects.all().delete()


def event_form(event: Event, **fields) -> dict[str, object]:
    inline = {"TOTAL_FORMS": 0, "INITIAL_FORMS": 0}
    return {
        "name": event.name,
        "sensitivity": event.sensitivity,
        **{f"{rows}-{name}": value for rows in ("api_keys", "memberships") for name, value in inline.items()},
        **fields,
    }


def test_sensitivity_on_the_page(client, organizer, session):
    clear()
    client.post(f"/sessions/{session.id}/sensitivity/", {"sensitivity": "calm"})
    assert told() == ("mara", "Spring summit", {"sensitivity": ["normal", "calm"]})


@pytest.mark.parametrize(
    ("click", "changes"),
    [
        ("acknowledge", {"status": ["open", "acknowledged"]}),
        ("dismiss", {"status": ["open", "dismissed"], "review": ["", "false_alarm"]}),
    ],
)
def test_a_review_on_the_page(client, organizer, session, click, changes):
    anomaly = stage.incident(session)
    clear()
    for _ in range(2):  # a second click changes nothing
        client.post(f"/sessions/{session.id}/anomalies/{anomaly.id}/{click}/")
    assert told() == ("mara", str(anomaly), changes)


def test_a_review_in_the_admin(client, admin, session):
    anomaly = stage.incident(session)
    clear()
    page = f"/admin/anomalies/anomaly/{anomaly.id}/change/"
    assert client.post(page, {"note": "The stream broke off."}).status_code == 302
    assert told() == ("ada", str(anomaly), {"note": ["", "The stream broke off."]})
    clear()
    client.post("/admin/anomalies/anomaly/", {"action": "confirm", "_selected_action": str(anomaly.id)})
    assert told() == ("ada", str(anomaly), {"review": ["", "confirmed"]})


def test_what_an_event_keeps_and_who_organizes_it(client, admin, event):
    mara = stage.organizer("mara", event)
    leo = User.objects.create_user("leo")
    clear()
    page = f"/admin/engagement/event/{event.id}/change/"
    assert client.post(page, event_form(event, raw_event_days=30)).status_code == 302
    assert told() == ("ada", "Spring summit", {"raw_event_days": ["None", "30"]})
    event.refresh_from_db()
    clear()
    mine = event.memberships.get()
    rows = {"TOTAL_FORMS": 2, "INITIAL_FORMS": 1, "0-id": mine.id, "0-event": event.id, "0-user": mara.id}
    rows |= {"0-role": "owner", "1-user": leo.id, "1-role": "viewer"}
    posted = {f"memberships-{name}": value for name, value in rows.items()}
    client.post(page, event_form(event, raw_event_days=30, **posted))
    changed, added = LogEntry.objects.order_by("id")
    assert [entry.actor for entry in (changed, added)] == [admin, admin]
    assert audit.tell_what(changed) == ["role: organizer → owner"]
    assert added.object_repr == "leo, viewer of Spring summit"
    assert {*audit.tell_what(added)} == {f"event: None → {event.id}", f"user: None → {leo.id}", "role: None → viewer"}


def test_members_are_noted_from_either_side(event):
    mara, leo = User.objects.create_user("mara"), User.objects.create_user("leo")
    clear()
    mara.organized_events.add(event)
    assert told()[1:] == ("Spring summit", {"organizers": {"operation": "add", "ids": [mara.id]}})
    mara.organized_events.add(event)  # who is there already does not join
    event.organizers.add(leo)
    clear()
    event.organizers.clear()
    left = {entry.object_repr for entry in LogEntry.objects.filter(action=LogEntry.Action.DELETE)}
    assert left == {"mara, organizer of Spring summit", "leo, organizer of Spring summit"}
    event.organizers.add(leo)
    clear()
    leo.organized_events.clear()
    assert told()[1:] == (
        "leo, organizer of Spring summit",
        {"event": [str(event.id), "None"], "user": [str(leo.id), "None"], "role": ["organizer", "None"]},
    )


def test_keys_that_are_made_and_revoked(client, admin, event):
    clear()
    new = {"api_keys-TOTAL_FORMS": 1, "api_keys-0-name": "Platform", "api_keys-0-event": str(event.id)}
    client.post(f"/admin/engagement/event/{event.id}/change/", event_form(event, **new))
    key = ApiKey.objects.get()
    who, what, changes = told()
    assert (who, what) == ("ada", str(key))
    assert changes == {"event": ["None", str(event.id)], "name": ["None", "Platform"]}
    clear()
    client.post("/admin/engagement/apikey/", {"action": "revoke", "_selected_action": str(key.id)})
    key.refresh_from_db()
    assert told() == ("ada", str(key), {"revoked_at": ["None", str(key.revoked_at.replace(tzinfo=None))]})


@pytest.mark.django_db(transaction=True)
def test_a_key_that_a_command_makes(event):
    clear()
    url = addresses.database_url(settings.DATA_DIR, connection.settings_dict["NAME"])
    subprocess.run(
        [sys.executable, "manage.py", "apikey", str(event.id), "Platform"],
        check=True,
        capture_output=True,
        cwd=settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": url},
    )
    assert told()[:2] == ("manage.py apikey", str(ApiKey.objects.get()))


def test_the_plan_of_a_session_over_rest(event):
    rest = Rest(event, ApiKey.objects.issue(event, "Platform")[1])
    clear()
    answer = rest.post("/sessions", {"title": "Keynote"}).json()
    key = ApiKey.objects.get()
    who, what, changes = told()
    assert (who, what, changes["title"]) == (f"API key {key}", "Keynote", ["None", "Keynote"])
    clear()
    rest.patch(f"/sessions/{answer['id']}", {"starts_at": "2026-03-02T09:00:00Z"})
    assert told() == (f"API key {key}", "Keynote", {"starts_at": ["None", "2026-03-02 09:00:00"]})
    assert LogEntry.objects.get().additional_data == {"key": str(key.id)}


def test_users_and_their_rights(client, admin):
    group = Group.objects.create(name="Reviewers")
    leo = User.objects.create_user("leo", email="leo@example.org")
    clear()
    leo.is_staff = True
    leo.set_password("another horse")
    leo.last_login = now()
    leo.save()
    assert told()[1:] == ("leo", {"is_staff": ["False", "True"]})
    clear()
    leo.groups.add(group)
    assert told()[1:] == ("leo", {"groups": {"operation": "add", "ids": [group.id]}})
    clear()
    client.post(f"/admin/auth/user/{leo.id}/delete/", {"post": "yes"})
    entry = LogEntry.objects.get(action=LogEntry.Action.DELETE)
    assert (audit.tell_who(entry), entry.object_repr) == ("ada", "leo")


@pytest.mark.django_db(transaction=True)
def test_who_deletes_their_own_account_is_noted_by_the_id(client, admin):
    clear()
    client.post(f"/admin/auth/user/{admin.id}/delete/", {"post": "yes"})
    entry = LogEntry.objects.get(action=LogEntry.Action.DELETE)
    assert not User.objects.exists()
    assert (entry.actor, audit.tell_who(entry)) == (None, f"deleted user {admin.id}")


def test_no_secret_is_in_it(client, admin, event):
    key, secret = ApiKey.objects.issue(event, "Platform")
    key.revoke(now())
    leo = User.objects.create_user("leo", password="a horse of leo's", email="leo@example.org", last_name="Quux")
    client.post("/accounts/login/", {"username": "leo", "password": "a horse of leo's"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM auditlog_logentry t")
        everything = "\n".join(text for (text,) in cursor.fetchall())
    assert "leo" in everything
    for hidden in (secret, bytes(key.sha256).hex(), leo.password, "horse", "example.org", "Quux"):
        assert hidden not in everything


def test_sweeps_and_ticks_leave_nothing(event):
    session = Session.objects.create(event=event, title="Keynote")
    clear()
    record_rows(session.id, collapse(healthy_room(minutes=30), at_minute(20), at_minute(24)), stage.NOW)
    sweeping.sweep_all(stage.NOW)
    sweeping.tick(stage.NOW + timedelta(hours=5))
    sweeping.tick(stage.NOW + timedelta(hours=5, seconds=10))
    session.refresh_from_db()
    assert (session.status, session.settled_at is not None, Anomaly.objects.count()) == ("ended", True, 1)
    assert not LogEntry.objects.exists()


def test_sweeps_save_nothing_that_is_looked_at(event, monkeypatch):
    session = Session.objects.create(event=event, title="Keynote")
    record_rows(session.id, collapse(healthy_room(minutes=30), at_minute(20), at_minute(24)), stage.NOW)
    looked_at = []
    for model in audit.FIELDS:
        pre_save.connect(lambda sender, **_: looked_at.append(sender), sender=model, weak=False, dispatch_uid="looks")
    try:
        sweeping.sweep_all(stage.NOW)
        sweeping.end(session.id, stage.NOW)
    finally:
        for model in audit.FIELDS:
            pre_save.disconnect(sender=model, dispatch_uid="looks")
    assert looked_at == []


@pytest.mark.parametrize("model", [EngagementRow, RawEventRow, Presence, RoomState, DetectorMemory, Upload])
def test_nobody_looks_at_what_is_measured(model):
    for signal in (pre_save, post_save, post_delete):
        assert not signal.has_listeners(model)


def test_nobody_can_edit_it(client, admin, event):
    entry = LogEntry.objects.earliest("timestamp")
    page = f"/admin/auditlog/logentry/{entry.id}/"
    assert client.get(f"{page}change/").status_code == 200
    assert client.post(f"{page}change/", {"object_repr": "x"}).status_code == 403
    assert client.post(f"{page}delete/", {"post": "yes"}).status_code == 403
    assert client.post("/admin/auditlog/logentry/add/", {"object_repr": "x"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": str(entry.id), "post": "yes"}
    client.post("/admin/auditlog/logentry/", chosen)
    assert LogEntry.objects.filter(id=entry.id, object_repr=entry.object_repr).exists()


def test_the_admin_shows_it_in_words(client, admin, session):
    client.post(f"/sessions/{session.id}/sensitivity/", {"sensitivity": "calm"})
    page = client.get("/admin/auditlog/logentry/").content.decode()
    assert "sensitivity: normal → calm" in page
    assert "Spring summit" in page


def test_it_is_kept_for_so_many_days(event, settings):
    settings.AUDIT_DAYS = 30
    old = LogEntry.objects.latest("timestamp")
    LogEntry.objects.filter(id=old.id).update(timestamp=now() - timedelta(days=30, minutes=1))
    Event.objects.create(name="Another")

    tasks.tidy()

    assert [entry.object_repr for entry in LogEntry.objects.all()] == ["Another"]


@pytest.mark.django_db(transaction=True)
def test_of_what_is_gone_only_ids_are_left(event):
    session = stage.live_session(event, "Secret keynote")
    kept = stage.live_session(event, "Kept")
    anomaly = stage.incident(session)
    mara = stage.organizer("mara", event)
    anomaly.annotate("Xylophonia said so.", Actor.of(mara), now())
    erase_sessions([session.id], "ada", now())

    audit.forget(now())
    plenty.erase_everything()
    audit.forget(now())

    of_gone = LogEntry.objects.filter(object_pk__in=[str(session.id), str(anomaly.id)])
    assert {(entry.object_repr, entry.changes) for entry in of_gone} == {("", None)}
    assert of_gone.count() == 3
    assert LogEntry.objects.get(object_pk=str(kept.id)).changes["title"] == ["None", "Kept"]
    mara.delete()
    erase_events([event.id], "ada", now())
    audit.forget(now())
    plenty.erase_everything()
    audit.forget(now())
    everything = json.dumps(list(LogEntry.objects.values("object_repr", "changes", "additional_data")))
    for word in ("Secret", "Xylophonia", "Kept", "mara", "Spring"):
        assert word not in everything


def test_a_command_of_django_is_named(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/app/manage.py", "createsuperuser", "--noinput"])
    call_command("createsuperuser", interactive=False, username="ada", email="", verbosity=0)
    assert told()[:2] == ("manage.py createsuperuser", "ada")
