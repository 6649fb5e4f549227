"""Errors as problem documents: at every address of the API, and whatever is broken."""

import logging

import pytest
from django.db import connection

from conductor import carrier
from conductor.api import routes as api_module
from conductor.tests.api.test_bad_input import check_problem
from conductor.tests.rest import Rest, signals
from engagement.models import EngagementRow


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/sessions/", "/sessions/1/2/3", "/openapi.yaml"])
def test_an_unknown_address_is_a_problem(rest, path):
    answer = rest.client.get(f"/api/v1{path}", follow=True)

    check_problem(answer, 404)
    assert answer.headers["Content-Length"] == str(len(answer.content))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/sessions", {"GET", "POST"}),
        ("GET", "/sessions/{}/end", {"POST"}),
        ("PUT", "/sessions/{}", {"GET", "PATCH", "DELETE"}),
    ],
)
def test_a_wrong_method_is_a_problem(rest, method, path, allowed):
    answer = rest.call(method, path.format(rest.new_session().id))

    check_problem(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_an_unknown_host_is_a_problem(rest):
    check_problem(rest.call("GET", "/sessions", host="evil.example"), 400)


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_says_nothing_of_itself(rest, settings, monkeypatch, caplog, debug):
    def broken(*_):
        raise RuntimeError("the secret sauce")

    settings.DEBUG = debug
    monkeypatch.setattr(api_module, "record_rows", broken)

    with caplog.at_level(logging.ERROR):
        answer = rest.post(f"/sessions/{rest.new_session().id}/signals", signals())

    problem = check_problem(answer, 500)
    assert "sauce" not in answer.content.decode()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert "the secret sauce" in caplog.text


def test_pages_keep_their_own_errors(client, db):
    answer = client.get("/nothing")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_known", [False, True], ids=["a new key", "a known key"])
def test_a_database_that_is_away_is_said(monkeypatch, is_known):
    rest = Rest.of_new_event()
    session = rest.new_session()
    if is_known:
        assert rest.get("/sessions").status_code == 200
    connection.close()

    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "HOST", "/nowhere")
        answer = rest.post(f"/sessions/{session.id}/signals", signals())

    check_problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert "nowhere" not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_is_away_refuses_nothing(settings, caplog):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    carrier._asked_again_at.clear()
    rest = Rest.of_new_event()
    session = rest.new_session()

    answer = rest.post(f"/sessions/{session.id}/signals", signals())

    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "duplicates": 0, "late": 0})
    assert EngagementRow.objects.count() == 1
    assert caplog.text.count("Redis does not answer") == 1, "nobody else has waited for it"
