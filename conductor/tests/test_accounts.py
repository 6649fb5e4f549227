"""One's own account: how times are shown, and passwords."""

import re

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from engagement.models import Preferences

pytestmark = pytest.mark.django_db
OLD, NEW = "correct horse", "staple battery horse"


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(client) -> User:
    user = User.objects.create_user("ada", "ada@example.org", OLD)
    client.force_login(user)
    return user


@pytest.fixture
def has_mail(settings) -> None:
    settings.EMAIL_URL = "smtp://mail.example.org"


def link_of(message: str) -> str:
    return re.search(r"http://testserver(/accounts/reset/\S+)", message)[1]


def test_times_are_shown_as_somebody_wants(client, ada):
    assert '<body data-zone="" data-clock=""' in client.get("/").content.decode()

    sent = {"zone": "Asia/Tokyo", "clock": "12", "email": "ada@example.org"}
    assert client.post("/accounts/", sent)["Location"] == "/accounts/"

    assert Preferences.objects.values_list("user", "zone", "clock").get() == (ada.id, "Asia/Tokyo", "12")
    assert "Saved." in client.get("/accounts/").content.decode()
    assert '<body data-zone="Asia/Tokyo" data-clock="12"' in client.get("/").content.decode()
    assert '<option value="Asia/Tokyo" selected>' in client.get("/accounts/").content.decode()


@pytest.mark.parametrize(("field", "value"), [("zone", "Nowhere/Land"), ("clock", "13"), ("email", "nonsense")])
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_saved(client, ada, field, value):
    answer = client.post("/accounts/", {"zone": "Asia/Tokyo", "clock": "24", "email": "new@example.org", field: value})

    assert [name for form in answer.context["forms"] for name in form.errors] == [field]
    assert not Preferences.objects.exists()
    ada.refresh_from_db()
    assert ada.email == "ada@example.org"


def test_a_new_password_ends_all_other_logins(client, ada):
    other = Client()
    other.force_login(ada)
    wrong = client.post("/accounts/password/", {"old_password": "x", "new_password1": NEW, "new_password2": NEW})
    assert list(wrong.context["form"].errors) == ["old_password"]

    sent = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}
    assert client.post("/accounts/password/", sent)["Location"] == "/accounts/"

    ada.refresh_from_db()
    assert ada.check_password(NEW)
    assert client.get("/").status_code == 200
    assert other.get("/").status_code == 302


def test_a_password_is_reset_by_a_link_once(client, ada, has_mail):
    visitor = Client()
    assert 'href="/accounts/reset/"' in visitor.get("/accounts/login/").content.decode()

    assert visitor.post("/accounts/reset/", {"email": "ADA@example.org"})["Location"] == "/accounts/reset/sent/"
    (message,) = mail.outbox
    assert (message.to, message.subject) == (["ada@example.org"], "A new password for testserver")
    link = link_of(message.body)

    form = visitor.get(link, follow=True)
    assert visitor.post(form.request["PATH_INFO"], {"new_password1": NEW, "new_password2": NEW}).status_code == 302
    ada.refresh_from_db()
    assert ada.check_password(NEW)
    assert client.get("/").status_code == 302
    assert "leads nowhere any more" in Client().get(link).content.decode()


def test_who_asks_does_not_learn_whether_there_is_such_an_account(client, ada, has_mail):
    answers = [Client().post("/accounts/reset/", {"email": f"{name}@example.org"}) for name in ("ada", "eve")]

    assert len({(each.status_code, each["Location"], each.content) for each in answers}) == 1
    assert len(mail.outbox) == 1
    assert Client().get("/accounts/reset/sent/").status_code == 200


def test_without_mail_the_page_says_whom_to_ask(ada):
    for answer in (Client().get("/accounts/reset/"), Client().post("/accounts/reset/", {"email": "ada@example.org"})):
        assert "Ask an administrator" in answer.content.decode()
    assert not mail.outbox
