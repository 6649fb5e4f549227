"""The page of an event's platforms: forms without scripts, what was heard, and no secret twice."""

import hashlib
import html
import re
from urllib.parse import urlsplit

import pytest
from auditlog.models import LogEntry
from django.utils.timezone import now

from conductor.models import Heard, Platform
from conductor.platforms.record import record_told
from conductor.platforms.zoom import read
from conductor.tests import stage
from conductor.tests.platforms.payloads import Webinar, make_platform
from engagement.models import Event, Session

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {"name": "Main stage", "kind": "zoom", "secret": "a zoom token"}


@pytest.fixture
def page(client, event, organizer):
    def read(**fields) -> str:
        address = f"/events/{event.id}/platforms/"
        shown = client.post(address, {**FORM, **fields}) if fields else client.get(address)
        assert shown.status_code == 200
        return html.unescape(shown.content.decode())

    return read


def test_platform_is_made_and_its_address_is_told(page):
    made = page(name="Main stage")
    platform = Platform.objects.get()
    assert (platform.name, platform.kind, platform.secret) == ("Main stage", "zoom", "a zoom token")
    assert len(bytes.fromhex(platform.pepper)) == 32
    assert f"http://testserver/api/v1/platforms/{platform.id}" in made
    assert "marketplace.zoom.us" in made
    assert "Nothing has been heard of it yet" in page()


def test_class_is_told_how_its_server_registers_us_once(page):
    made = page(kind="bigbluebutton", secret="a shared secret")
    call = urlsplit(re.search(r"https://YOUR-SERVER(/bigbluebutton/api/hooks/create\S+?)<", made)[1])
    query, _, checksum = call.query.rpartition("&checksum=")
    assert checksum == hashlib.sha256(f"hooks/create{query}a shared secret".encode()).hexdigest()
    assert "hooks/create" not in page()


def test_secret_is_never_shown(page):
    assert "a zoom token" not in page(name="Main stage")
    assert "a zoom token" not in page(kind="")
    assert "a zoom token" not in page()
    assert Platform.objects.get().pepper not in page()


def test_who_made_it_is_known_and_its_secret_is_not(page, organizer):
    page(name="Main stage")
    entry = LogEntry.objects.get_for_model(Platform).get()
    assert entry.actor == organizer
    assert set(entry.changes) == {"event", "kind", "name"}


def test_address_is_that_under_which_people_reach_the_server(page, settings):
    settings.PUBLIC_URL = "https://live.example.org"
    made = page(name="Main stage")
    assert f"https://live.example.org/api/v1/platforms/{Platform.objects.get().id}" in made


@pytest.mark.parametrize("fields", [{"name": ""}, {"kind": "pigeon"}, {"secret": ""}, {"secret": "schlüssel"}])
def test_what_cannot_be_made_is_said(page, fields):
    assert "form-error" in page(**fields)
    assert not Platform.objects.exists()


def test_event_has_so_many_platforms_at_most(page, event):
    Platform.objects.bulk_create(
        Platform(event=event, kind="zoom", name=f"{n}", secret="s", pepper="ab", created_at=now()) for n in range(50)
    )
    assert "at most: delete one" in page(name="one more")
    assert Platform.objects.count() == 50


def test_page_tells_what_was_heard_and_what_was_ignored(page, event):
    platform = make_platform(event)
    Heard.objects.create(platform=platform, name="user.created", ignored=3, last_at=now())
    assert "nothing of it was of use" in page()
    record_told(platform, read(Webinar().start(now())), now())
    shown = page()
    assert "Heard last" in shown
    assert re.search(r"webinar\.started</th><td>1</td><td>0</td>", shown)
    assert re.search(r"user\.created</th><td>0</td><td>3</td>", shown)


def test_platform_that_is_deleted_is_heard_no_more_and_its_sessions_stay(page, client, event):
    platform = make_platform(event)
    record_told(platform, read(Webinar().start(now())), now())
    client.post(f"/events/{event.id}/platforms/{platform.id}/delete/")
    assert not Platform.objects.exists()
    assert not Heard.objects.exists()
    assert Session.objects.count() == 1
    assert "Its sessions stay" in page()


def test_platform_of_another_event_is_not_touched(client, event, organizer):
    other = make_platform(stage.organizer("ada").organized_events.get())
    assert client.post(f"/events/{event.id}/platforms/{other.id}/delete/").status_code == 404
    assert Platform.objects.exists()


def test_admin_sees_who_calls_and_never_with_what(admin_client, event):
    platform, silent = make_platform(event), make_platform(event, "bigbluebutton", name="Campus")
    for name, used in (("meeting.started", 3), ("user.created", 0)):
        Heard.objects.create(platform=platform, name=name, used=used, ignored=2, last_at=now())
    shown = admin_client.get("/admin/conductor/platform/").content.decode()
    shown += admin_client.get(f"/admin/conductor/platform/{platform.id}/change/").content.decode()
    assert [word in shown for word in (platform.name, "Campus", event.name)] == [True] * 3
    assert '<td class="field-used">3</td><td class="field-ignored">4</td>' in shown
    assert '<td class="field-used">-</td>' in shown, "of one that was never heard nothing is known"
    assert not [word for each in (platform, silent) for word in (each.secret, each.pepper) if word in shown]
    assert admin_client.post(f"/admin/conductor/platform/{platform.id}/change/", {"name": "Other"}).status_code == 403
    admin_client.post(f"/admin/conductor/platform/{platform.id}/delete/", {"post": "yes"})
    assert list(Platform.objects.all()) == [silent]
    Event.objects.filter(id=event.id).update(erased_at=now())
    assert admin_client.get("/admin/conductor/platform/").context["cl"].result_count == 0
