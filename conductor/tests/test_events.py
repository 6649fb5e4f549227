"""The pages of an event, and its keys."""

import shlex

import pytest
from django.contrib.auth.models import User
from django.test import Client

from conductor.keys import find_caller
from conductor.tests import stage
from engagement.models import ApiKey, EngagementRow, Event, Membership, Role, Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(event, client) -> User:
    user = stage.organizer("mara", event, Role.OWNER)
    client.force_login(user)
    return user


def run_curl(commands: str) -> list[int]:
    """Send what lines of curl would send, and return the answers' statuses."""
    statuses = []
    for line in commands.replace("\\\n", " ").splitlines():
        program, url, *options = shlex.split(line)
        headers = dict(
            text.split(": ") for option, text in zip(options[::2], options[1::2], strict=True) if option == "-H"
        )
        (body,) = (text for option, text in zip(options[::2], options[1::2], strict=True) if option == "-d")
        assert program == "curl"
        headers = {name.lower(): value for name, value in headers.items()}
        path = url.removeprefix("http://testserver")
        statuses.append(Client().post(path, body, headers["content-type"], headers=headers).status_code)
    return statuses


def test_whoever_makes_an_event_owns_it(client):
    ada = User.objects.create_user("ada")
    client.force_login(ada)

    answer = client.post("/events/new/", {"name": "Autumn school"})

    event = Event.objects.get()
    assert answer["Location"] == f"/events/{event.id}/"
    assert Membership.objects.values_list("event__name", "user", "role").get() == ("Autumn school", ada.id, "owner")
    assert "You are its owner" in client.get(answer["Location"]).content.decode()


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_an_event_without_a_name_is_not_made_and_the_field_says_why(client, organizer, name):
    answer = client.post("/events/new/", {"name": name})

    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == ["name"]
    assert 'aria-invalid="true"' in answer.content.decode()
    assert Event.objects.count() == 1


def test_name_and_sensitivity_change(client, organizer, event):
    assert client.post(f"/events/{event.id}/edit/", {"name": "Summit", "sensitivity": "calm"}).status_code == 302

    event.refresh_from_db()
    assert (event.name, event.sensitivity) == ("Summit", "calm")


def test_a_wrong_name_keeps_what_was_typed_and_changes_nothing(client, organizer, event):
    answer = client.post(f"/events/{event.id}/edit/", {"name": "", "sensitivity": "calm"})

    assert list(answer.context["form"].errors) == ["name"]
    assert answer.context["form"]["sensitivity"].value() == "calm"
    assert "Settings of <a" in answer.content.decode()
    assert event.name in answer.content.decode()
    event.refresh_from_db()
    assert event.sensitivity == "normal"


def test_a_key_is_shown_once_with_lines_that_run_as_they_are(client, owner, event):
    answer = client.post(f"/events/{event.id}/keys/", {"name": "Our platform"})

    secret, key = answer.context["secret"], ApiKey.objects.get()
    page = answer.content.decode()
    assert (key.event, key.name) == (event, "Our platform")
    assert find_caller(secret, 0.0).key_id == key.id
    lines = page.partition('id="curl">')[2].partition("</code>")[0].replace("&quot;", '"').replace("&#x27;", "'")
    assert run_curl(lines) == [201, 202]
    assert EngagementRow.objects.get().session == Session.objects.get(event=event, external_id="first")
    again = client.get(f"/events/{event.id}/").content.decode()
    assert "Our platform" in again
    assert secret not in again


def test_a_key_without_a_name_is_not_made(client, owner, event):
    answer = client.post(f"/events/{event.id}/keys/", {"name": ""})

    assert list(answer.context["key_form"].errors) == ["name"]
    assert not ApiKey.objects.exists()


def test_a_revoked_key_opens_nothing_and_is_not_shown(client, owner, event):
    key, secret = ApiKey.objects.issue(event, "Former platform")

    for _ in range(2):
        assert client.post(f"/events/{event.id}/keys/{key.id}/revoke/").status_code == 302

    assert find_caller(secret, 0.0) is None
    assert "Former platform" not in client.get(f"/events/{event.id}/").content.decode()


def test_a_key_of_another_event_is_not_revoked(client, owner, event):
    key, _ = ApiKey.objects.issue(Event.objects.create(name="Another"), "Platform")

    assert client.post(f"/events/{event.id}/keys/{key.id}/revoke/").status_code == 404
    assert ApiKey.objects.valid().count() == 1


@pytest.mark.parametrize(
    ("role", "sees"),
    [
        ("viewer", [False, False, False, False]),
        ("organizer", [True, True, True, False]),
        ("owner", [True, True, True, True]),
    ],
)
def test_everybody_sees_what_they_may_do(client, event, role, sees):
    client.force_login(stage.organizer("leo", event, Role(role)))
    ApiKey.objects.issue(event, "Platform")

    page = client.get(f"/events/{event.id}/").content.decode()

    assert [words in page for words in ("Name and sensitivity", "Channels", "Platform", "Make a key")] == sees


def test_sessions_are_on_pages_newest_first(client, organizer, event, django_assert_max_num_queries):
    for number in range(26):
        Session.objects.create(event=event, title=f"Talk {number:02}")

    with django_assert_max_num_queries(10):
        first = client.get(f"/events/{event.id}/").content.decode()
    second = client.get(f"/events/{event.id}/?page=2").content.decode()

    assert "Talk 25" in first
    assert "Talk 00" not in first
    assert "Talk 00" in second


def test_event_is_linked_from_the_list_and_from_its_sessions(client, organizer, session):
    link = f'href="/events/{session.event_id}/"'

    assert link in client.get("/").content.decode()
    assert link in client.get(f"/sessions/{session.id}/").content.decode()
