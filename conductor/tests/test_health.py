"""Liveness and readiness: what is missing is said, fast, and never as an error of ours."""

import json
import time
import urllib.error
import urllib.request

import pytest
from django.db import connection


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


def test_readyz_is_ready_while_a_worker_answers(stack):
    ready = fetch(f"{stack.url}/readyz")
    stack.stop("worker")
    without_worker = fetch(f"{stack.url}/readyz")

    assert ready == (200, {"status": "ready", "missing": []})
    assert without_worker == (503, {"status": "not ready", "missing": ["worker"]})
