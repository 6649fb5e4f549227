"""Liveness and readiness: what is missing is said, fast, and never as an error of ours."""

import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection
from django.utils.timezone import now

from conductor import carrier, health, requests, wakeups
from conductor.local.rest_client import RestClient
from conductor.tests.rest import START, signals
from conductor.tests.waiting import wait_until
from engagement.models import ApiKey, Event, Session


@pytest.fixture(autouse=True)
def nothing_known():
    """What another test has found is not fresh here."""
    health.READINESS.forget()
    carrier._asked_again_at.clear()


def fetch(url: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, json.load(answer)


def test_healthz_needs_nothing(client, monkeypatch, settings):
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    settings.REDIS_URL = "unix:///nowhere/redis.sock"

    answer = client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


@pytest.mark.django_db
def test_readyz_misses_the_worker(client):
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "missing": ["worker"]})


@pytest.mark.django_db
def test_readyz_misses_redis_and_so_the_worker(client, settings):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"

    assert client.get("/readyz").json()["missing"] == ["redis", "worker"]


@pytest.mark.django_db
def test_readyz_misses_everything_without_delay_or_detail(client, settings, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    settings.REDIS_URL = "redis://192.0.2.1:6379/0"  # an address that nobody has: no answer, not even a refusal
    started = time.monotonic()

    answer = client.get("/readyz")

    assert time.monotonic() - started < 6
    assert (answer.status_code, answer.json()["missing"]) == (503, ["database", "redis", "worker"])
    assert "nowhere" not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_readyz_misses_a_judge_where_rows_wait(client, session):
    wakeups.say_worker_lives()
    waited = timedelta(seconds=health.NEGLECT_SECONDS + 60)
    session.rows.update(received_at=now() - waited)
    Session.objects.update(judged_until=None, heard_at=None)
    assert client.get("/readyz").json()["missing"] == ["judging"]


def test_readiness_is_found_once_for_all_who_ask():
    looks = []

    def look():
        looks.append(time.sleep(0.2))
        return ["redis"]

    readiness = health.Readiness(look)
    with ThreadPoolExecutor(30) as askers:
        answers = list(askers.map(lambda _: readiness.missing(), range(30)))
    assert (answers, len(looks)) == ([["redis"]] * 30, 1)


def test_healthz_fails_while_a_request_hangs(client, monkeypatch):
    async def hang(scope, receive, send):
        monkeypatch.setattr(requests, "STUCK_SECONDS", -1.0)
        send(await sync_to_async(client.get)("/healthz"))
        monkeypatch.undo()
        send(await sync_to_async(client.get)("/healthz"))

    answers = []
    async_to_sync(requests.noted(hang))({}, None, answers.append)
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(503, "stuck"), (200, "alive")]
    assert requests._started_at == {}


@pytest.mark.django_db(transaction=True)
def test_however_many_ask_for_readiness_posts_go_on(stack):
    """Their pings once took all connections to the broker, and the next post waited for one for ever."""
    event = Event.objects.create(name="Conference")
    _, key = ApiKey.objects.issue(event, "platform")
    session = Session.objects.create(event=event, title="Keynote")
    client = RestClient(stack.url, key)
    try:
        with ThreadPoolExecutor(30) as askers:
            asked = [askers.submit(fetch, f"{stack.url}/readyz") for _ in range(120)]
            for second in range(20):
                answer = client.post(f"/sessions/{session.id}/signals", signals(second))
                assert answer["accepted"] == 1
            assert {answer.result()[0] for answer in asked} <= {200, 503}
    finally:
        client.close()
    wait_until(lambda: Session.objects.filter(id=session.id, judged_until=START + timedelta(seconds=19)).exists())


def test_readyz_is_ready_while_a_worker_answers(stack):
    wait_until(lambda: fetch(f"{stack.url}/readyz") == (200, {"status": "ready", "missing": []}))
    stack.stop("worker")
    wait_until(lambda: fetch(f"{stack.url}/readyz") == (503, {"status": "not ready", "missing": ["worker"]}))
