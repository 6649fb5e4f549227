"""What a platform's address answers: signed and useful, signed and not, and anything else."""

import hashlib
import hmac
import json
import logging
import threading
import urllib.error
import urllib.request
from datetime import datetime, timedelta

import psycopg
import pytest
from django.db import OperationalError, connections
from django.test import Client
from django.utils.timezone import now

from anomalies.models import Anomaly
from conductor.models import Heard, Platform
from conductor.platforms import door
from conductor.platforms.record import record_told
from conductor.tests.platforms.payloads import (
    Classroom,
    Webinar,
    form,
    make_platform,
    send_class,
    send_zoom,
    sign_zoom,
    user,
    whole_webinar,
)
from conductor.tests.waiting import wait_until
from engagement.erasure import erase_events
from engagement.models import EngagementRow, RawEventRow, Session

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("flags_down")]


@pytest.fixture
def visitor() -> Client:
    return Client(raise_request_exception=False, enforce_csrf_checks=True)


def nothing_is_stored() -> bool:
    return not any(model.objects.exists() for model in (Session, RawEventRow, Heard))


def join() -> bytes:
    return Webinar().join("ada", now())[1]


def joined(at: datetime, number: int = 1) -> bytes:
    return form([Classroom().mapped("user-joined", at, user(f"w_{number}", f"u{number}"))], at)


def test_zoom_is_taken_at_its_word(visitor, by_zoom):
    answer = send_zoom(visitor, by_zoom, join())
    assert (answer.status_code, answer.json()) == (200, {"used": 1, "ignored": 0})
    assert RawEventRow.objects.get().type == "join"
    assert Session.objects.get().status == "live"


def test_class_is_taken_at_its_word(visitor, by_class):
    answer = send_class(visitor, by_class, joined(now()))
    assert (answer.status_code, answer.json()) == (200, {"used": 1, "ignored": 0})
    assert RawEventRow.objects.get().type == "join"


def test_class_may_have_been_told_of_the_public_address(visitor, by_class, settings):
    settings.PUBLIC_URL = "https://live.example.org"
    body, path = joined(now()), f"/api/v1/platforms/{by_class.id}"
    checksum = hashlib.sha1(f"https://live.example.org{path}".encode() + body + by_class.secret.encode()).hexdigest()
    answer = visitor.post(f"{path}?checksum={checksum}", body, "application/x-www-form-urlencoded")
    assert answer.status_code == 200


def test_bearer_of_the_secret_is_taken(visitor, by_class):
    headers = {"authorization": f"Bearer {by_class.secret}"}
    path = f"/api/v1/platforms/{by_class.id}"
    answer = visitor.post(path, joined(now()), "application/x-www-form-urlencoded", headers=headers)
    assert answer.status_code == 200


def test_zoom_is_proven_that_we_know_the_secret(visitor, by_zoom):
    asked = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8"}, "event_ts": 1}).encode()
    answer = send_zoom(visitor, by_zoom, asked)
    digest = hmac.new(by_zoom.secret.encode(), b"qgg8", hashlib.sha256).hexdigest()
    assert (answer.status_code, answer.json()) == (200, {"plainToken": "qgg8", "encryptedToken": digest})
    assert nothing_is_stored()
    assert visitor.post(f"/api/v1/platforms/{by_zoom.id}", asked, "application/json").status_code == 401


@pytest.mark.parametrize("kind", ["zoom", "bigbluebutton"])
def test_wrong_signature_is_401_and_nothing_is_stored(visitor, event, kind, caplog):
    platform = make_platform(event, kind)
    other = make_platform(event, kind, secret="another secret")
    other.id = platform.id
    send, body = (send_zoom, join()) if kind == "zoom" else (send_class, joined(now()))
    with caplog.at_level(logging.DEBUG):
        answer = send(visitor, other, body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
    assert nothing_is_stored()
    assert platform.secret not in answer.content.decode() + caplog.text


def test_request_that_was_recorded_is_worth_nothing_later(visitor, by_zoom):
    body = join()
    old = sign_zoom(by_zoom.secret, body, now() - timedelta(minutes=6))
    assert send_zoom(visitor, by_zoom, body, **old).status_code == 401
    assert nothing_is_stored()


def test_what_is_of_no_use_is_counted_and_answered_200(visitor, by_zoom):
    answer = send_zoom(visitor, by_zoom, json.dumps({"event": "user.created", "payload": {}}).encode())
    assert (answer.status_code, answer.json()) == (200, {"used": 0, "ignored": 1})
    assert [(each.name, each.ignored) for each in Heard.objects.all()] == [("user.created", 1)]
    assert not Session.objects.exists()


def test_what_cannot_be_read_is_400(visitor, by_zoom):
    answer = send_zoom(visitor, by_zoom, b"not JSON")
    assert (answer.status_code, answer.json()["detail"]) == (400, "The body cannot be read: it is not JSON.")
    assert nothing_is_stored()


def test_body_is_bounded(visitor, by_zoom):
    answer = send_zoom(visitor, by_zoom, b" " * (door.MAX_BODY + 1))
    assert (answer.status_code, answer.json()["detail"]) == (413, "A platform sends 256 KB at most.")


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_other_methods_are_405(visitor, by_zoom, method):
    answer = getattr(visitor, method)(f"/api/v1/platforms/{by_zoom.id}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_platform_that_is_not_there_is_404(visitor, by_zoom, event):
    erase_events([event.id], "a test", now())
    assert send_zoom(visitor, by_zoom, join()).status_code == 404
    by_zoom.id = event.id
    assert send_zoom(visitor, by_zoom, join()).status_code == 404


def test_too_many_requests_are_429(visitor, by_zoom, settings):
    settings.RATE_LIMIT = 1
    answers = [send_zoom(visitor, by_zoom, join()) for _ in range(4)]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Retry-After"] == "1"


def test_too_many_events_are_429(visitor, by_class, settings):
    settings.ITEM_LIMIT = 1
    body = form([Classroom().mapped("user-joined", now(), user(f"w_{n}", f"u{n}")) for n in range(20)], now())
    answers = [send_class(visitor, by_class, body).status_code for _ in range(3)]
    assert answers[0] == 200
    assert 429 in answers[1:]


def test_platform_that_is_deleted_while_it_tells_is_told_so_the_next_time(visitor, by_zoom, monkeypatch):
    """What it told stays, as all that it told before."""

    def delete_first(platform, told, at):
        Platform.objects.get(id=platform.id).delete()
        return record_told(platform, told, at)

    monkeypatch.setattr(door, "record_told", delete_first)
    answer = send_zoom(visitor, by_zoom, join())
    assert (answer.status_code, answer.json()) == (200, {"used": 1, "ignored": 0})
    assert RawEventRow.objects.get().type == "join"
    assert not Heard.objects.exists()
    assert send_zoom(visitor, by_zoom, join()).status_code == 404


def test_database_that_does_not_work_is_503(visitor, by_zoom, monkeypatch):
    def fail(*_: object) -> None:
        raise OperationalError from psycopg.errors.LockNotAvailable()

    monkeypatch.setattr(door, "record_told", fail)
    answer = send_zoom(visitor, by_zoom, join())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["detail"] == "The database is too busy. Nothing was stored; send it again."


def test_many_at_once_lose_and_double_nothing(by_class):
    """Zoom and several servers send at the same time, and the first things make the session."""
    started = now()
    bodies = [joined(started, number) for number in range(24)] * 2
    codes: list[int] = []

    def send(mine: list[bytes]) -> None:
        client = Client(raise_request_exception=False)
        try:
            codes.extend(send_class(client, by_class, body).status_code for body in mine)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=(bodies[place::4],)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 48
    assert Session.objects.count() == 1
    assert RawEventRow.objects.count() == 24
    assert Heard.objects.get().used == 48


def test_running_product_takes_a_whole_webinar(stack, event):
    """daphne, a worker and beat: the room is seen, its exit told, and the session over."""
    platform = make_platform(event)
    requests = whole_webinar(now().replace(microsecond=0) - timedelta(minutes=16))
    for _, body in requests:
        assert call(stack, platform, body) == 200
    session = Session.objects.get(event=event)
    wait_until(lambda: Session.objects.get(id=session.id).settled_at is not None, seconds=60)
    assert [each.anomaly_type for each in Anomaly.objects.for_session(session)] == ["MASS_EXIT"]
    assert EngagementRow.objects.for_session(session).count() > 120
    assert call(stack, platform, requests[5][1], secret="another") == 401


def call(stack, platform: Platform, body: bytes, secret: str = "") -> int:
    headers = sign_zoom(secret or platform.secret, body, now()) | {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{stack.url}/api/v1/platforms/{platform.id}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
