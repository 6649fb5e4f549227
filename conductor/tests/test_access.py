import pytest
from django.test import Client
from django.utils.timezone import now

from conductor.access import Claim, find_allowed
from conductor.tests import stage
from engagement.erasure import erase_events, erase_sessions
from engagement.models import ApiKey, Event

pytestmark = pytest.mark.django_db


def log_in(user) -> str:
    client = Client()
    client.force_login(user)
    return client.session.session_key


def test_claims_hold_of_whoever_may_see_the_session(event, session):
    mara, stranger = stage.organizer("mara", event), stage.organizer("stranger")
    admin = stage.User.objects.create(username="admin", is_superuser=True)
    _, secret = ApiKey.objects.issue(event, "platform")
    other, _ = ApiKey.objects.issue(Event.objects.create(name="Other"), "platform")

    claims = {
        "mara": Claim(session.id, login=log_in(mara)),
        "stranger": Claim(session.id, login=log_in(stranger)),
        "admin": Claim(session.id, login=log_in(admin)),
        "nobody": Claim(session.id),
        "invented": Claim(session.id, login="invented"),
        "key": Claim(session.id, key=ApiKey.digest(secret)),
        "other key": Claim(session.id, key=bytes(other.sha256)),
        "list": Claim(None, login=log_in(stranger)),
        "list of nobody": Claim(None),
        "list of a key": Claim(None, key=ApiKey.digest(secret)),
    }
    allowed = find_allowed(claims.values())

    found = {name: allowed[claim] for name, claim in claims.items() if claim in allowed}
    assert found == {"mara": mara, "admin": admin, "key": None, "list": stranger}


def test_many_claims_cost_as_many_queries_as_a_few(event, django_assert_num_queries):
    def claims(number: int) -> list[Claim]:
        made = []
        for place in range(number):
            session = stage.live_session(event, rows=1)
            _, secret = ApiKey.objects.issue(event, "platform")
            login = log_in(stage.organizer(f"{number}-{place}", event))
            made += [Claim(session.id, login=login), Claim(session.id, key=ApiKey.digest(secret))]
        return made

    for asked in (claims(1), claims(20)):
        with django_assert_num_queries(5):
            assert set(find_allowed(asked)) == set(asked)


@pytest.mark.parametrize("end", ["logged out", "new password", "deactivated", "revoked", "session gone", "event gone"])
def test_claims_end_with_what_they_rest_on(event, session, end):
    mara = stage.organizer("mara", event)
    client = Client()
    client.force_login(mara)
    key, secret = ApiKey.objects.issue(event, "platform")
    login = Claim(session.id, login=client.session.session_key)
    keyed, listed = Claim(session.id, key=ApiKey.digest(secret)), Claim(None, login=login.login)
    if end == "logged out":
        client.logout()
    elif end == "new password":
        mara.set_password("another horse")
        mara.save()
    elif end == "deactivated":
        mara.is_active = False
        mara.save()
    elif end == "revoked":
        key.revoke(now())
    elif end == "session gone":
        erase_sessions([session.id], "ada", now())
    else:
        erase_events([event.id], "ada", now())

    left = {"revoked": {login, listed}, "session gone": {listed}, "event gone": {listed}}.get(end, {keyed})
    assert set(find_allowed([login, keyed, listed])) == left
