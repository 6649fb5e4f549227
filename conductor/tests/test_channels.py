"""The page of an event's channels: forms without scripts, what came of a test, and nothing of anybody else's."""

import pytest
from django.utils.timezone import now

from conductor.models import Channel
from conductor.telling import sender
from conductor.tests import stage
from conductor.tests.telling.receivers import answer, receiver
from conductor.tests.test_fragments import Outline

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {
    "kind": "webhook",
    "target": "https://hooks.example.org/secret-path",
    "least_severity": "WARNING",
    "delay_seconds": 0,
}


@pytest.fixture
def page(client, event, organizer):
    def read(**fields) -> str:
        address = f"/events/{event.id}/channels/"
        shown = client.post(address, {**FORM, **fields}, follow=True) if fields else client.get(address)
        assert shown.status_code == 200
        return shown.content.decode()

    return read


def click(client, channel: Channel, what: str) -> str:
    return client.post(f"/events/{channel.event_id}/channels/{channel.id}/{what}/", follow=True).content.decode()


def test_channel_is_made_with_what_the_form_says_and_its_secret_is_shown_once(page):
    made = page(name="Stage", least_severity="CRITICAL", delay_seconds=60, tells_end="on", is_mine="on")

    channel = Channel.objects.get()
    assert (channel.name, channel.least_severity, channel.delay_seconds) == ("Stage", "CRITICAL", 60)
    assert (channel.tells_end, channel.user.username) == (True, "mara")
    assert channel.secret in made
    again = page()
    assert "Stage" in again
    assert not any(word in again for word in (channel.secret, "whsec_", "secret-path"))


def test_webhook_is_told_of_what_was_chosen_and_people_of_incidents(page, settings):
    settings.MAIL_URL = "mailto://127.0.0.1?from=live@example.org"
    page(name="Stage", types=["anomaly.detected", "session.ended"])
    page(name="Mara", kind="mail", target="mara@example.org", types=["session.ended"])
    assert [each.types for each in Channel.objects.all()] == [["anomaly.detected", "session.ended"], []]
    assert "anomaly.detected, session.ended" in page()
    assert "form-error" in page(name="Pigeon", types=["anomaly.imagined"])


@pytest.mark.parametrize(
    "fields",
    [
        {"target": "http://127.0.0.1/"}, {"target": ""}, {"kind": "chat"},
        {"kind": "mail", "target": "mara@example.org"},
        {"kind": "pigeon"}, {"delay_seconds": 7}, {"least_severity": "MILD"}, {"kind": "chat", "target": "json://10.0.0.1/"},
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_said_and_nothing_is_made(page, fields):
    assert "form-error" in page(**{"name": "x", **fields})
    assert not Channel.objects.exists()


def test_page_says_that_there_is_no_mail(page, settings):
    assert "sends no mail" in page()
    assert 'value="mail"' not in page()
    settings.MAIL_URL = "mailto://127.0.0.1?from=live@example.org"
    assert "sends no mail" not in page()
    page(kind="mail", target="mara@example.org")
    assert Channel.objects.get().target == "mara@example.org"


def test_test_shows_what_the_receiver_said(page, client, settings):
    settings.PRIVATE_RECEIVERS = True
    with receiver(lambda handler, before: answer(handler, 418, b"<b>I am a teapot</b>")) as found:
        page(target=found.url)
        channel = Channel.objects.get()
        waiting = click(client, channel, "test")
        assert sender.send_next(now)
    after = page()

    assert 'http-equiv="refresh"' in waiting
    assert 'http-equiv="refresh"' not in after
    assert "It answered 418." in after
    assert "&lt;b&gt;I am a teapot&lt;/b&gt;" in after
    assert 'data-state="failing"' in after


def test_paused_resumed_and_deleted(page, client):
    page(name="Stage")
    channel = Channel.objects.get()
    assert 'data-state="paused"' in click(client, channel, "pause")
    assert 'data-state="untried"' in click(client, channel, "resume")
    assert "Nobody is told yet" in click(client, channel, "delete")
    assert not Channel.objects.exists()


def test_what_is_somebody_elses_own_is_neither_shown_nor_touched(page, client, event):
    ada = stage.organizer("ada", event)
    own = Channel.objects.create(
        event=event, user=ada, kind="webhook", name="Of Ada", target="https://example.org/", created_at=now()
    )
    assert "Of Ada" not in page()
    assert client.post(f"/events/{event.id}/channels/{own.id}/delete/").status_code == 404
    assert Channel.objects.exists()


def test_page_costs_the_same_for_many_deliveries(page, client, django_assert_num_queries):
    page(name="Stage")
    channel = Channel.objects.get()
    click(client, channel, "test")
    page()
    with django_assert_num_queries(8):
        page()
    for _ in range(12):
        click(client, channel, "test")
    page()
    with django_assert_num_queries(8):
        shown = page()
    assert shown.count('class="delivery-when"') == 10


def test_ids_are_unique_and_forms_have_tokens(page):
    for name in ("One", "Two"):
        shown = page(name=name)
    ids = Outline(shown).ids
    assert sorted(ids) == sorted(set(ids))
    assert shown.count("<form") == shown.count("csrfmiddlewaretoken")
    assert shown.count('class="channel"') == 2
