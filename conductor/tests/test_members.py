"""Who belongs to an event: roles, invitations, and an owner at all times."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from conductor import hub
from conductor.tests import stage
from conductor.tests.test_consumers import closed_with, cookie_of, open_socket  # noqa: F401  a fixture
from engagement import membership
from engagement.membership import InvalidInvitation, NoOwnerLeft, accept_invitation, find_invitation, invite
from engagement.models import Event, Invitation, Membership, Role

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
PASSWORD = "staple battery horse"


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def owner(event, client) -> User:
    user = stage.organizer("mara", event, Role.OWNER)
    client.force_login(user)
    return user


def roles(event: Event) -> dict[str, str]:
    return dict(event.memberships.values_list("user__username", "role"))


def test_a_login_is_added_by_its_name(client, owner, event):
    User.objects.create_user("leo")

    assert client.post(f"/events/{event.id}/members/", {"username": "leo", "role": "viewer"}).status_code == 302

    assert roles(event) == {"mara": "owner", "leo": "viewer"}


@pytest.mark.parametrize(
    ("username", "role", "field", "words"),
    [
        ("nobody", "viewer", "username", "No login of that name works here. Invite them by a link."),
        ("gone", "viewer", "username", "No login of that name works here. Invite them by a link."),
        ("mara", "viewer", "username", "mara belongs to the event already. Change the role in the list."),
        ("leo", "king", "role", "Select a valid choice. king is not one of the available choices."),
    ],
)
def test_what_cannot_be_added_is_said_and_what_was_typed_stays(client, owner, event, username, role, field, words):
    User.objects.create_user("leo")
    User.objects.create_user("gone", is_active=False)

    answer = client.post(f"/events/{event.id}/members/", {"username": username, "role": role})

    assert answer.context["member_form"].errors == {field: [words]}
    assert f'value="{username}"' in answer.content.decode()
    assert roles(event) == {"mara": "owner"}


def test_a_role_is_changed(client, owner, event):
    leo = stage.organizer("leo", event)

    assert client.post(f"/events/{event.id}/members/{leo.id}/", {"role": "owner"}).status_code == 302
    assert client.post(f"/events/{event.id}/members/{leo.id}/", {"role": "king"}).status_code == 400
    assert client.post(f"/events/{event.id}/members/999999/", {"role": "owner"}).status_code == 404

    assert roles(event) == {"mara": "owner", "leo": "owner"}


@pytest.mark.parametrize("way", ["remove/", ""])
def test_the_last_owner_stays_one(client, owner, event, way):
    stage.organizer("leo", event)
    stage.organizer("gone", event, Role.OWNER)
    User.objects.filter(username="gone").update(is_active=False)  # who cannot log in owns nothing

    answer = client.post(f"/events/{event.id}/members/{owner.id}/{way}", {"role": "viewer"})

    assert "An event always has an owner." in answer.content.decode()
    assert roles(event)["mara"] == "owner"


def test_an_owner_leaves_where_there_is_another(client, owner, event):
    stage.organizer("leo", event, Role.OWNER)

    assert client.post(f"/events/{event.id}/members/{owner.id}/remove/")["Location"] == "/"

    assert roles(event) == {"leo": "owner"}
    assert client.get(f"/events/{event.id}/").status_code == 404


@pytest.mark.parametrize("role", ["viewer", "organizer"])
def test_whoever_is_no_owner_leaves_and_removes_nobody(client, event, role):
    owner, leo = stage.organizer("mara", event, Role.OWNER), stage.organizer("leo", event, Role(role))
    client.force_login(leo)

    assert client.post(f"/events/{event.id}/members/{owner.id}/remove/").status_code == 403
    assert client.post(f"/events/{event.id}/members/{leo.id}/", {"role": "owner"}).status_code == 403
    assert client.post(f"/events/{event.id}/members/{leo.id}/remove/").status_code == 302

    assert roles(event) == {"mara": "owner"}


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_remove_each_other_at_once_leave_one(event):
    one, other = (stage.organizer(name, event, Role.OWNER) for name in ("mara", "leo"))
    both, refused = Barrier(2), []

    def remove(user: User) -> None:
        try:
            both.wait()
            membership.remove_member(event, user.id)
        except NoOwnerLeft:
            refused.append(user)
        finally:
            connection.close()

    threads = [Thread(target=remove, args=[user]) for user in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    assert list(roles(event).values()) == ["owner"]


@pytest.mark.django_db(transaction=True)
async def test_removing_somebody_closes_their_sockets(event, session, open_socket, monkeypatch):  # noqa: F811
    monkeypatch.setattr(hub, "ACCESS_SECONDS", 0.05)
    owner = await sync_to_async(stage.organizer)("mara", event, Role.OWNER)
    leo = await sync_to_async(stage.organizer)("leo", event, Role.VIEWER)
    socket, is_open = await open_socket(f"/ws/sessions/{session.id}/", cookie=await cookie_of(leo))
    assert is_open

    client = Client()
    await sync_to_async(client.force_login)(owner)
    path = f"/events/{event.id}/members/{leo.id}/remove/"
    assert (await sync_to_async(client.post)(path)).status_code == 302

    assert await closed_with(socket) == 4403


def test_a_link_makes_a_login_and_a_member_once(client, owner, event):
    page = client.post(f"/events/{event.id}/invitations/", {"role": "viewer", "note": "Ida"})
    link = page.context["link"].removeprefix("http://testserver")
    assert page.context["link"] in page.content.decode()
    assert page.context["link"] not in client.get(f"/events/{event.id}/").content.decode()
    assert "Ida" in client.get(f"/events/{event.id}/").content.decode()

    ida = Client()
    assert "mara invites you" in ida.get(link).content.decode()
    sent = {"username": "ida", "password1": PASSWORD, "password2": PASSWORD}
    assert ida.post(link, sent)["Location"] == f"/events/{event.id}/"

    assert roles(event) == {"mara": "owner", "ida": "viewer"}
    assert ida.get(f"/events/{event.id}/").status_code == 200
    assert Client().get(link).status_code == Client().post(link, sent | {"username": "eve"}).status_code == 404
    assert not User.objects.filter(username="eve").exists()
    assert "Ida" not in client.get(f"/events/{event.id}/").content.decode()


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"username": "mara"}, "username"),
        ({"username": ""}, "username"),
        ({"password2": "something else"}, "password2"),
        ({"password1": "12345678", "password2": "12345678"}, "password2"),
        ({"email": "nonsense"}, "email"),
    ],
)
def test_a_login_that_cannot_be_made_leaves_the_link_as_it_is(owner, event, sent, field):
    _, token = invite(event, Role.VIEWER, "", owner, datetime.now(UTC))
    right = {"username": "ida", "password1": PASSWORD, "password2": PASSWORD}

    answer = Client().post(f"/invitations/{token}/", right | sent)

    assert list(answer.context["form"].errors) == [field]
    assert roles(event) == {"mara": "owner"}
    assert Client().post(f"/invitations/{token}/", right).status_code == 302


def test_who_has_a_login_accepts_with_it(client, owner, event):
    _, token = invite(event, Role.ORGANIZER, "", owner, datetime.now(UTC))
    leo = User.objects.create_user("leo")
    client.force_login(leo)

    assert "Join as leo" in client.get(f"/invitations/{token}/").content.decode()
    assert roles(event) == {"mara": "owner"}
    assert client.post(f"/invitations/{token}/")["Location"] == f"/events/{event.id}/"

    assert roles(event) == {"mara": "owner", "leo": "organizer"}


@pytest.mark.parametrize(
    ("had", "offered", "has"), [("viewer", "organizer", "organizer"), ("owner", "viewer", "owner")]
)
def test_nobody_loses_by_a_link(event, had, offered, has):
    leo = stage.organizer("leo", event, Role(had))
    _, token = invite(event, Role(offered), "", leo, NOW)

    accept_invitation(token, leo, NOW)

    assert roles(event) == {"leo": has}


@pytest.mark.parametrize(("moment", "is_valid"), [(LATER - timedelta(microseconds=1), True), (LATER, False)])
def test_a_link_lasts_seven_days(event, moment, is_valid):
    leo = User.objects.create_user("leo")
    _, token = invite(event, Role.VIEWER, "", leo, NOW)

    if is_valid:
        assert accept_invitation(token, leo, moment) == event
    else:
        with pytest.raises(InvalidInvitation):
            accept_invitation(token, leo, moment)


def test_a_link_that_was_forged_or_withdrawn_leads_nowhere(client, owner, event):
    invitation, token = invite(event, Role.OWNER, "", owner, datetime.now(UTC))
    for forged in (invitation.id.hex, f"{invitation.id.hex}:x", "x", token[:-1] + ("a" if token[-1] != "a" else "b")):
        assert Client().get(f"/invitations/{forged}/").status_code == 404
    assert find_invitation(token, datetime.now(UTC)) == invitation

    assert client.post(f"/events/{event.id}/invitations/{invitation.id}/withdraw/").status_code == 302

    assert Client().get(f"/invitations/{token}/").status_code == 404
    assert not Invitation.objects.exists()


def test_the_links_of_an_erased_event_lead_nowhere(owner, event):
    _, token = invite(event, Role.OWNER, "", owner, NOW)
    Event.objects.filter(id=event.id).update(erased_at=NOW)

    with pytest.raises(InvalidInvitation):
        find_invitation(token, NOW)


def test_the_links_of_an_owner_who_was_removed_lead_nowhere(event):
    mara, leo = (stage.organizer(name, event, Role.OWNER) for name in ("mara", "leo"))
    _, of_mara = invite(event, Role.OWNER, "", mara, NOW)
    _, of_leo = invite(event, Role.OWNER, "", leo, NOW)

    membership.remove_member(event, mara.id)

    assert find_invitation(of_leo, NOW).invited_by == leo
    with pytest.raises(InvalidInvitation):
        find_invitation(of_mara, NOW)


def test_a_viewers_page_has_no_buttons_but_to_leave(client, event, session):
    mara = stage.organizer("mara", event, Role.OWNER)
    client.force_login(stage.organizer("leo", event, Role.VIEWER))

    page = client.get(f"/events/{event.id}/").content.decode()

    assert page.count("<form") == 2  # to log out, and to leave
    assert mara.username in page
    page = client.get(f"/sessions/{session.id}/").content.decode()
    assert 'data-role="viewer"' in page
    assert f'<a class="for-organizers" href="/events/{event.id}/channels/">' in page
    assert Membership.objects.count() == 2
