"""Guessing passwords: who fails too often waits, is told how long, and locks nobody else out."""

import logging
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import F, Sum
from django.http import HttpRequest
from django.test import Client
from django.utils.timezone import now

from conductor.logins import ADDRESS_FAILURES, find_address, forget_failures
from conductor.tests import stage
from conductor.tests.test_bodies import post

pytestmark = pytest.mark.django_db

LOGIN, ADMIN_LOGIN = "/accounts/login/", "/admin/login/"
LIMIT, COOL_OFF = settings.AXES_FAILURE_LIMIT, settings.AXES_COOLOFF_TIME
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def mara(quick_hashes):
    return stage.organizer("mara")


@pytest.fixture
def boss(quick_hashes):
    return User.objects.create_superuser("boss", password="correct horse")


def log_in(name="mara", password="correct horse", address=HERE, path=LOGIN, **headers):
    return Client(REMOTE_ADDR=address).post(path, {"username": name, "password": password}, headers=headers)


def fail(times, **attempt):
    """Return the statuses of so many logins with a wrong password."""
    return [log_in(**{"password": f"guess {place}", **attempt}).status_code for place in range(times)]


def let_pass(time: timedelta) -> None:
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - time)


@pytest.mark.parametrize("path", [LOGIN, ADMIN_LOGIN])
def test_the_right_password_is_refused_after_too_many_wrong_ones_and_taken_again_later(boss, path):
    assert fail(LIMIT, name="boss", path=path) == [200] * (LIMIT - 1) + [429]
    for _ in range(3):
        refused = log_in("boss", path=path)
        assert refused.status_code == 429
        assert settings.SESSION_COOKIE_NAME not in refused.cookies

    let_pass(COOL_OFF)

    assert log_in("boss", path=path).status_code == 302


def test_both_doors_count_together(boss):
    fail(LIMIT - 1, name="boss", path=LOGIN)
    assert fail(1, name="boss", path=ADMIN_LOGIN) == [429]
    assert log_in("boss").status_code == 429


def test_the_page_says_when_to_try_again(mara):
    fail(LIMIT)
    let_pass(COOL_OFF - timedelta(minutes=4, seconds=30))

    refused = log_in()

    page = refused.content.decode()
    assert 240 < int(refused.headers["Retry-After"]) <= 270
    assert "Logging in failed too often, so it is locked for now." in page
    assert re.search(
        r'Try again in 5 minutes, from <time datetime="[\d-]+T\d\d:\d\d:00\+00:00">\d\d:\d\d UTC</time> on\.', page
    )
    assert 'class="site-name"' in page
    let_pass(timedelta(minutes=4))
    assert "Try again in 1 minute, from" in log_in().content.decode()


def test_trying_while_it_is_locked_does_not_prolong_it(mara):
    fail(LIMIT)
    let_pass(COOL_OFF - timedelta(minutes=1))
    assert fail(5) == [429] * 5
    let_pass(timedelta(minutes=1))
    assert log_in().status_code == 302


def test_failures_of_several_browsers_count_together_and_are_forgotten_one_by_one(mara):
    fail(3, **{"user-agent": "Old"})
    let_pass(timedelta(minutes=10))
    assert fail(LIMIT - 3, **{"user-agent": "New"}) == [200] * (LIMIT - 4) + [429]
    assert int(log_in().headers["Retry-After"]) <= 300
    let_pass(timedelta(minutes=5))
    assert log_in().status_code == 302


def test_nobody_else_is_locked_out(mara, boss):
    fail(LIMIT)
    assert log_in(address=ELSEWHERE).status_code == 302, "a stranger must not lock an organizer out"
    assert log_in("boss").status_code == 302
    assert log_in().status_code == 429


def test_who_is_logged_in_stays_so(mara, client):
    client.force_login(mara)
    fail(LIMIT)
    assert client.get("/").status_code == 200


def test_a_name_that_nobody_has_is_answered_alike(mara):
    fail(LIMIT)
    assert fail(LIMIT, name="nobody") == [200] * (LIMIT - 1) + [429]
    pages = [re.sub(r"X-CSRFToken.*|<time.*</time>", "", log_in(name).content.decode()) for name in ("mara", "nobody")]
    assert pages[0] == pages[1]


def test_an_address_that_guesses_at_many_names_is_locked(mara):
    for place in range(ADDRESS_FAILURES - 1):
        fail(1, name=f"user{place}")
    assert fail(1, name="user") == [429]
    assert log_in().status_code == 429
    assert log_in(address=ELSEWHERE).status_code == 302
    let_pass(COOL_OFF)
    assert log_in().status_code == 302


def test_a_login_forgets_the_failures_of_its_name_only(mara):
    fail(LIMIT - 1)
    fail(2, name="other")
    assert log_in().status_code == 302
    assert fail(LIMIT - 1) == [200] * (LIMIT - 1)
    assert AccessAttempt.objects.get(username="other").failures_since_start == 2


@pytest.mark.django_db(transaction=True)
def test_the_application_that_is_served_locks_too(mara):
    token = "t" * 32
    headers = {"content_type": "application/x-www-form-urlencoded", "cookie": f"csrftoken={token}"}

    def log_in_by_socket(password: str) -> tuple[int, str]:
        form = {"csrfmiddlewaretoken": token, "username": "mara", "password": password}
        body = urlencode(form).encode()
        return post(LOGIN, [body], len(body), **headers)

    assert [log_in_by_socket("wrong")[0] for _ in range(LIMIT)] == [200] * (LIMIT - 1) + [429]
    status, page = log_in_by_socket("correct horse")
    assert status == 429
    assert "Try again in 15 minutes" in page
    let_pass(COOL_OFF)
    assert log_in_by_socket("correct horse")[0] == 302


def test_no_password_and_nothing_but_failures_is_stored(mara):
    log_in()
    fail(1, password="hunter2")
    stored = str(AccessAttempt.objects.values().get())
    assert "hunter2" not in stored
    assert not AccessLog.objects.exists()
    assert not AccessFailureLog.objects.exists()


def test_failures_are_forgotten_when_they_count_no_more(mara):
    fail(2, name="old")
    let_pass(COOL_OFF)
    AccessAttempt.objects.create(username="new", ip_address=HERE, failures_since_start=1)
    assert forget_failures(now()) == 1
    assert AccessAttempt.objects.get().username == "new"


def test_the_log_says_who_failed_and_holds_no_line_of_theirs(mara, caplog):
    with caplog.at_level(logging.WARNING, "axes"):
        fail(1, name="mara\nERROR root: all is lost")
    (line,) = caplog.messages
    assert line.startswith(r"AXES: New login failure by 'mara\nERROR root: all is lost' from 192.0.2.1.")


def test_an_admin_unlocks(mara, boss):
    fail(LIMIT)
    fail(1, name="other")
    admin = Client()
    admin.force_login(boss)
    page = admin.get("/admin/axes/accessattempt/")
    assert "mara" in page.content.decode()
    chosen = AccessAttempt.objects.get(username="mara").id
    answer = admin.post("/admin/axes/accessattempt/", {"action": "unlock", "_selected_action": chosen}, follow=True)
    assert "Unlocked: mara." in answer.content.decode()
    assert AccessAttempt.objects.get().username == "other"
    assert log_in().status_code == 302


def test_a_command_unlocks(mara):
    fail(LIMIT)
    call_command("axes_reset_username", "mara", verbosity=0)
    assert log_in().status_code == 302


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "203.0.113.9", HERE),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.0.0.1, 203.0.113.9", "203.0.113.9"),
        (2, "10.0.0.1, 203.0.113.9, 192.0.2.77", "203.0.113.9"),
        (2, "203.0.113.9", "203.0.113.9"),
        (1, "", HERE),
        (1, "unknown", HERE),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (1, "[2001:db8:1:2:a::]:443", "2001:db8:1:2::"),
    ],
)
def test_an_address_is_believed_as_far_as_proxies_are_trusted(settings, proxies, forwarded, address):
    settings.PROXIES = proxies
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": HERE, "HTTP_X_FORWARDED_FOR": forwarded}
    assert find_address(request) == address


def test_an_invented_header_is_no_other_address(mara):
    for place in range(LIMIT):
        fail(1, **{"x-forwarded-for": f"10.0.0.{place}"})
    assert log_in(**{"x-forwarded-for": "10.1.1.1"}).status_code == 429
    assert AccessAttempt.objects.aggregate(count=Sum("failures_since_start"))["count"] == LIMIT


def test_behind_a_proxy_its_users_are_told_apart(mara, settings):
    settings.PROXIES = 1
    fail(LIMIT, **{"x-forwarded-for": "203.0.113.9"})
    assert log_in(**{"x-forwarded-for": "203.0.113.9"}).status_code == 429
    assert log_in(**{"x-forwarded-for": "203.0.113.10"}).status_code == 302
