"""Posting one message: what came of it is said, whatever the receiver does."""

import socket
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import WebhookVerificationError

from conductor.models import Channel
from conductor.telling import webhooks
from conductor.telling.webhooks import post_message
from conductor.tests.telling.receivers import (
    answer,
    close_at_once,
    flood,
    hanging_receiver,
    ok,
    receiver,
    redirect_to,
)

SECRET = Channel.draw_secret()
PAYLOAD = {"type": "anomaly.detected", "timestamp": "2026-03-02T09:00:00Z", "data": {"title": "Größe «1»"}}


def post(url: str, *, may_be_private: bool = True, payload: dict = PAYLOAD):
    return post_message(url, SECRET, "msg-1", payload, datetime.now(UTC), may_be_private=may_be_private)


def test_message_is_one_that_the_library_takes():
    with receiver(ok) as found:
        outcome = post(f"{found.url}?room=1")

    (received,) = found.received
    assert (outcome.is_delivered, outcome.status, outcome.answer) == (True, 200, "thanks")
    assert received.open(SECRET) == PAYLOAD
    assert (received.path, received.headers["content-type"], received.key) == (
        "/hook?room=1", "application/json", "msg-1",
    )  # fmt: skip
    with pytest.raises(WebhookVerificationError):
        received.open(Channel.draw_secret())


def test_signature_is_that_of_the_standard():
    """Its own example: https://github.com/standard-webhooks/standard-webhooks, libraries/python/tests."""
    at = datetime.fromtimestamp(1614265330, UTC)
    secret, key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    headers = webhooks.sign(secret, key, '{"test": 2432232314}', at)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_status_that_is_no_success_is_said(status):
    with receiver(lambda handler, before: answer(handler, status, b"no")) as found:
        outcome = post(found.url)
    assert (outcome.error, outcome.status, outcome.answer) == (f"It answered {status}.", status, "no")


def test_410_wants_nothing_more():
    with receiver(lambda handler, before: answer(handler, 410)) as found:
        assert post(found.url).is_unwanted


def test_redirect_is_not_followed():
    with receiver(ok) as inside, receiver(redirect_to(inside.url)) as found:
        outcome = post(found.url)
    assert (outcome.status, outcome.is_delivered, inside.received) == (302, False, [])


def test_answer_of_ten_megabytes_is_read_no_further_than_it_is_kept(monkeypatch):
    read = []
    monkeypatch.setattr(webhooks, "_judge", lambda answer, text: read.append(answer.length))
    with receiver(flood) as found:
        post(found.url)
    assert 10_000_000 - read[0] <= webhooks.MOST_BYTES


def test_closing_at_once_is_said():
    with receiver(close_at_once) as found:
        assert post(found.url).error == "It closed the connection without an answer."


def test_nobody_there_is_said():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/").error == "Connection refused."


def test_hanging_is_cut_off(monkeypatch):
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 0.5)
    with hanging_receiver() as found:
        began = time.monotonic()
        outcome = post(found.url)
    assert outcome.error == "It did not answer in time."
    assert 0.4 < time.monotonic() - began < 10


@pytest.mark.parametrize("slow", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b""])
def test_byte_now_and_then_is_cut_off(monkeypatch, slow):
    """Each of them comes in time; all of them never do."""
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 1.0)

    def drip(handler, before):
        try:
            handler.wfile.write(slow)
            for _ in range(600):
                handler.wfile.write(b"a")
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass

    with receiver(drip) as found:
        began = time.monotonic()
        assert not post(found.url).is_delivered
    assert time.monotonic() - began < 10


def test_hanging_handshake_is_cut_off(monkeypatch):
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 0.5)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        outcome = post(f"https://127.0.0.1:{listening.getsockname()[1]}/")
    assert outcome.error == "It did not answer in time."


def test_server_that_speaks_no_tls_is_said():
    with receiver(ok) as found:
        assert not post(found.url.replace("http:", "https:")).is_delivered
        assert found.received == []


def test_private_address_is_not_called():
    with receiver(ok) as found:
        outcome = post(found.url, may_be_private=False)
        named = post(found.url.replace("127.0.0.1", "localhost"), may_be_private=False)
    assert outcome.error == "It was not called: 127.0.0.1 is no address of the public internet."
    assert "is no address of the public internet" in named.error
    assert found.received == []
