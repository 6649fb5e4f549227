"""Webhooks over REST: made with a secret that is shown once, looked at, tried, deleted."""

from uuid import uuid4

import pytest
from auditlog.models import LogEntry
from django.db import transaction
from django.utils.timezone import now

from conductor.models import Attempt, Channel, Message
from conductor.telling import channels, outbox, sender
from conductor.telling.rules import Kind
from conductor.tests import stage
from conductor.tests.api.test_bad_input import check_problem
from conductor.tests.rest import Rest
from conductor.tests.telling.receivers import answer, receiver

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.org/engagement?room=1"


def make(rest: Rest, **fields) -> dict:
    answer = rest.post("/webhooks", {"url": URL, **fields})
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_webhook_is_made_with_a_secret_that_is_shown_once(rest):
    made = make(rest)

    secret = made.pop("secret")
    assert secret == Channel.objects.get().secret
    assert secret.startswith("whsec_")
    assert made == {
        "id": made["id"], "event_id": str(rest.event.id), "url": URL, "name": "https://hooks.example.org/…",
        "types": [], "least_severity": "WARNING", "created_at": made["created_at"], "paused_at": None,
        "pause_reason": None,
    }  # fmt: skip
    listed = rest.get("/webhooks")
    assert listed.json() == {"items": [made]}
    assert secret not in listed.content.decode()


def test_webhook_keeps_what_it_is_told(rest):
    made = make(rest, name="Stage", types=["anomaly.detected", "anomaly.detected"], least_severity="CRITICAL")
    assert (made["name"], made["types"], made["least_severity"]) == ("Stage", ["anomaly.detected"], "CRITICAL")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": 1}, "/url"),
        ({"url": "http://127.0.0.1/"}, "/url"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "/url"),
        ({"url": "ftp://example.org/"}, "/url"),
        ({"url": "https://mara:secret@example.org/"}, "/url"),
        ({"url": URL + "x" * 2_000}, "/url"),
        ({"url": URL, "types": ["anomaly.invented"]}, "/types/0"),
        ({"url": URL, "types": ["webhook.test"]}, "/types/0"),
        ({"url": URL, "least_severity": "MILD"}, "/least_severity"),
        ({"url": URL, "name": " "}, "/name"),
        ({"url": URL, "secret": "mine"}, "/secret"),
    ],
)
def test_wrong_webhook_names_the_field_and_makes_nothing(rest, body, pointer):
    errors = check_problem(rest.post("/webhooks", body), 422)["errors"]
    assert [error["pointer"] for error in errors] == [pointer]
    assert not Channel.objects.exists()


def test_event_has_so_many_channels_at_most(rest, monkeypatch):
    monkeypatch.setattr(channels, "MOST_CHANNELS", 1)
    make(rest)
    check_problem(rest.post("/webhooks", {"url": URL}), 422)


def test_webhook_of_another_event_is_not_there(rest):
    strange = make(Rest.of_new_event("Another"))["id"]
    for method, path in [("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")]:
        for id_ in (strange, uuid4()):
            check_problem(rest.call(method, f"/webhooks/{id_}{path}"), 404)
    assert rest.get("/webhooks").json() == {"items": []}
    assert Channel.objects.filter(id=strange).exists()


def test_channel_for_people_is_no_webhook(rest):
    mail = Channel.objects.create(
        event=rest.event, kind="mail", name="Mara", target="mara@example.org", created_at=now()
    )
    assert rest.get("/webhooks").json() == {"items": []}
    check_problem(rest.call("DELETE", f"/webhooks/{mail.id}"), 404)


def test_deleted_webhook_takes_its_deliveries_along(rest):
    made = make(rest)
    rest.post(f"/webhooks/{made['id']}/test")
    Message.objects.get().tries.create(at=now())

    deleted = rest.call("DELETE", f"/webhooks/{made['id']}")

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert [model.objects.count() for model in (Channel, Message, Attempt)] == [0, 0, 0]


def test_test_is_sent_and_its_answer_is_kept(rest, settings):
    settings.PRIVATE_RECEIVERS = True
    with receiver(lambda handler, before: answer(handler, 202, b"got it")) as found:
        made = make(rest, url=found.url)
        told = rest.post(f"/webhooks/{made['id']}/test")
        assert sender.send_next(now)

    (received,) = found.received
    assert (told.status_code, told.json()["id"]) == (202, received.key)
    assert received.open(made["secret"])["type"] == "webhook.test"
    (item,) = rest.get(f"/webhooks/{made['id']}/deliveries").json()["items"]
    (attempt,) = item["attempts"]
    assert (item["type"], item["given_up"], item["next_attempt_at"]) == ("webhook.test", None, None)
    assert item["delivered_at"] >= item["created_at"]
    assert (attempt["status"], attempt["error"], attempt["answer"]) == (202, None, "got it")


def test_deliveries_are_pages_newest_first(rest, monkeypatch):
    monkeypatch.setattr("conductor.api.webhooks.ITEMS_PER_PAGE", 2)
    made = make(rest)
    anomaly = stage.incident(stage.live_session(rest.event))
    for _ in range(5):
        anomaly.metadata.setdefault("history", []).append({"at": "2026-03-02T09:00:00Z"})
        with transaction.atomic():
            outbox.tell_incidents([(Kind.UPDATED, anomaly)], now())

    address, found = f"/webhooks/{made['id']}/deliveries", []
    while address:
        answered = rest.get(address).json()
        assert len(answered["items"]) <= 2
        found += [item["id"] for item in answered["items"]]
        address = answered["next"]
    assert found == [str(key) for key in Message.objects.order_by("-id").values_list("key", flat=True)]
    assert len(found) == 5


def test_audit_says_who_made_it_and_knows_no_secret(rest):
    made = make(rest, name="Stage")
    rest.call("DELETE", f"/webhooks/{made['id']}")
    entries = LogEntry.objects.filter(object_pk=made["id"]).order_by("id")
    assert [entry.get_action_display() for entry in entries] == ["create", "delete"]
    assert all(entry.additional_data["key"] for entry in entries)
    told = str([entry.changes for entry in entries])
    assert "Stage" in told
    assert not any(secret in told for secret in (made["secret"], "whsec_", "room=1", "hooks.example.org"))
