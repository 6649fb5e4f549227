"""Who reaches what by REST: a valid key its own event's sessions, and nobody else anything."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model

from conductor import keys
from conductor.api.throttle import count
from conductor.tests.api.test_bad_input import check_problem
from conductor.tests.rest import START, Rest, signals
from engagement.erasure import erase_events
from engagement.models import ApiKey, EngagementRow, Erasure, Session

CALLS = [
    ("POST", "/sessions", {"title": "Keynote"}),
    ("GET", "/sessions", None),
    ("DELETE", "/people/u-17", None),
    ("GET", "/anomalies", None),
    ("GET", "/sessions/{}", None),
    ("PATCH", "/sessions/{}", {"title": "Closing"}),
    ("POST", "/sessions/{}/end", None),
    ("POST", "/sessions/{}/signals", signals()),
    ("GET", "/sessions/{}/engagement", None),
    ("GET", "/sessions/{}/engagement?bucket=1m", None),
    ("GET", "/sessions/{}/anomalies", None),
    ("GET", "/sessions/{}/report", None),
    ("POST", "/sessions/{}/anomalies/6f1c2e3a-5b7d-4c8e-9f00-1a2b3c4d5e6f/actions", {"action": "acknowledge"}),
    ("GET", "/sessions/{}/beacon-tokens", None),
    ("POST", "/sessions/{}/beacon-tokens", {"name": "Player", "origins": ["https://player.example.org"]}),
    ("DELETE", "/sessions/{}/beacon-tokens/6f1c2e3a-5b7d-4c8e-9f00-1a2b3c4d5e6f", None),
    ("DELETE", "/sessions/{}", None),
]
every_call = pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=[f"{m} {p}" for m, p, _ in CALLS])
every_session_call = pytest.mark.parametrize(
    ("method", "path", "body"), CALLS[4:], ids=[f"{m} {p}" for m, p, _ in CALLS[4:]]
)


def check_untouched(session: Session) -> None:
    """See that a session is the only one, and as it was."""
    found = Session.objects.get()
    assert (found.id, found.title, found.status) == (session.id, "Keynote", "scheduled")
    assert not EngagementRow.objects.exists()
    assert not Erasure.objects.exists()


@every_call
@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer ec_unknown", "Basic {}", "{}", "Bearer {}x", "Bearer \xff"]
)
def test_without_a_valid_key_nothing_is_reached(rest, method, path, body, header):
    session = rest.new_session()

    answer = rest.call(method, path.format(session.id), body, authorization=header.format(rest.secret))

    check_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
    check_untouched(session)


@every_call
def test_a_revoked_key_reaches_nothing(rest, method, path, body):
    session = rest.new_session()
    ApiKey.objects.get().revoke(datetime.now(UTC))

    check_problem(rest.call(method, path.format(session.id), body), 401)

    check_untouched(session)


@every_call
def test_a_login_is_no_key(rest, method, path, body):
    session = rest.new_session()
    rest.client.force_login(get_user_model().objects.create_superuser("ada"))

    check_problem(rest.call(method, path.format(session.id), body, authorization=""), 401)

    check_untouched(session)


@every_session_call
def test_another_events_key_finds_no_session(rest, method, path, body):
    session = rest.new_session()
    other = Rest.of_new_event("Another")

    check_problem(other.call(method, path.format(session.id), body), 404)

    check_untouched(session)


@every_session_call
@pytest.mark.parametrize("session_id", [uuid4(), "1", "not-a-uuid", "%00"])
def test_a_session_that_is_not_there_is_not_found(rest, method, path, body, session_id):
    check_problem(rest.call(method, path.format(session_id), body), 404)


def test_another_events_sessions_are_not_listed(rest):
    rest.new_session()

    assert Rest.of_new_event("Another").get("/sessions").json() == {"items": [], "next": None}


def test_the_scheme_is_read_in_any_case(rest):
    assert rest.call("GET", "/sessions", authorization=f"bearer  {rest.secret} ").status_code == 200


def test_a_key_is_stored_as_its_digest_only(rest):
    (stored,) = ApiKey.objects.values()

    assert rest.secret not in str(stored)
    assert bytes(stored["sha256"]) == ApiKey.digest(rest.secret)


def test_a_revoked_key_works_for_seconds_at_most(rest):
    known = keys.find_caller(rest.secret, seconds=100.0)
    ApiKey.objects.get().revoke(START)

    assert known == keys.Caller(ApiKey.objects.get().id, rest.event.id)
    assert keys.find_caller(rest.secret, seconds=100.0 + keys.CACHE_SECONDS - 0.1) == known
    assert keys.find_caller(rest.secret, seconds=100.0 + keys.CACHE_SECONDS) is None
    assert keys.find_caller(rest.secret, seconds=100.0) is None
    assert keys.CACHE_SECONDS <= 30


@every_call
def test_the_key_of_an_erased_event_is_refused_at_once(rest, method, path, body):
    session = rest.new_session()
    other = Rest.of_new_event("Another")
    for caller in (rest, other):
        assert caller.get("/sessions").status_code == 200  # and the key is remembered
    erase_events([rest.event.id], "ada", START)

    check_problem(rest.call(method, path.format(session.id), body), 401)

    assert other.get("/sessions").status_code == 200
    assert Erasure.objects.get().kind == "event"


@pytest.mark.django_db(transaction=True)  # the database minds a missing event when it commits
@pytest.mark.parametrize("body", [{"title": "Keynote"}, {"title": "Keynote", "external_id": "room-1"}])
def test_the_key_of_an_event_that_was_deleted_makes_no_session(rest, body):
    other = Rest.of_new_event("Another")
    for caller in (rest, other):
        assert caller.get("/sessions").status_code == 200
    rest.event.delete()

    check_problem(rest.post("/sessions", body), 401)

    assert not Session.objects.exists()
    check_problem(rest.get("/sessions"), 401)
    assert other.post("/sessions", body).status_code == 201


def test_a_known_key_is_looked_up_once(rest, django_assert_num_queries):
    with django_assert_num_queries(1):
        for seconds in (100.0, 101.0, 114.0):
            keys.find_caller(rest.secret, seconds)


def test_guesses_are_not_remembered(rest, django_assert_num_queries):
    before = len(keys.KEYS.known)

    with django_assert_num_queries(2):
        assert keys.find_caller("ec_guess", 100.0) is None
        assert keys.find_caller("ec_guess", 100.0) is None

    assert len(keys.KEYS.known) == before


def test_too_many_requests_are_told_when_to_come_back(rest, settings):
    settings.RATE_LIMIT = 1
    other = Rest.of_new_event("Another")

    answers = [rest.get("/sessions") for _ in range(20)]

    refused = next(answer for answer in answers if answer.status_code != 200)
    check_problem(refused, 429)
    assert refused.headers["Retry-After"] == "1"
    assert answers[0].status_code == 200
    assert other.get("/sessions").status_code == 200


@pytest.mark.servers
def test_requests_are_counted_by_key_and_second(settings):
    first, second = uuid4(), uuid4()

    counts = [count("requests", key, at, 1, 2) for key, at in ((first, 7), (first, 7), (second, 7), (first, 8))]

    assert counts == [1, 2, 1, 1]


def test_an_event_that_sends_too_much_is_told_when_to_come_back(rest, settings):
    settings.ITEM_LIMIT = 1
    session, other = rest.new_session(), Rest.of_new_event("Another")
    batches = [[signals(second) for second in range(first, first + 20)] for first in range(0, 200, 20)]

    answers = [rest.post(f"/sessions/{session.id}/signals", batch) for batch in batches]

    assert answers[0].status_code == 202, "a batch of any size is taken where nothing was sent before"
    refused = next(answer for answer in answers if answer.status_code != 202)
    check_problem(refused, 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 10
    assert session.rows.count() == 20 * sum(answer.status_code == 202 for answer in answers)
    assert other.post(f"/sessions/{other.new_session().id}/signals", batches[0]).status_code == 202


def test_a_limit_of_zero_is_none(rest, settings):
    settings.RATE_LIMIT = 0

    assert {rest.get("/sessions").status_code for _ in range(5)} == {200}
