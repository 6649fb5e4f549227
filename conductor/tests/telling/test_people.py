"""Mail to a real SMTP server, and chat services as far as their doors."""

import email
from collections.abc import Callable
from email.policy import default
from urllib.parse import urlsplit

import pytest
import requests
from apprise import URLBase
from django.conf import settings as configured

from benchmarks.chaos.mailbox import serve_mail
from conductor.models import Channel, Message
from conductor.telling import outbox, people, sender
from conductor.telling.addresses import RefusedAddress
from conductor.telling.channels import RefusedChannel, make_channel
from conductor.telling.people import check_chat, check_mail, tell_people
from conductor.telling.rules import Kind
from conductor.tests import stage
from conductor.tests.telling.test_outbox import NOW, tell
from conductor.tests.telling.test_sender import send_all

CHATS = {
    "discord": ("discord://123456789012345678/abcdefghijklmnopqrstuvwxyz_ABCDEFG", "discord.com"),
    "slack": ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/", "hooks.slack.com"),
    "gchat": ("gchat://workspace/key/token", "chat.googleapis.com"),
    "tgram": ("tgram://123456789:abcdefg_hijklmnop/12345", "api.telegram.org"),
    "wxteams": (f"wxteams://{'a' * 80}", "api.ciscospark.com", "webexapis.com"),
    "flock": (f"flock://{'a' * 24}", "api.flock.com"),
    "feishu": (f"feishu://{'a' * 36}", "open.feishu.cn"),
    "lark": (f"lark://{'a' * 36}", "open.larksuite.com"),
    "dingtalk": (f"dingtalk://{'a' * 64}", "oapi.dingtalk.com"),
    "line": (f"line://{'a' * 30}/U123", "api.line.me"),
    "pover": (f"pover://{'u' * 30}@{'t' * 30}", "api.pushover.net"),
    "pbul": (f"pbul://{'a' * 34}", "api.pushbullet.com"),
}
INSIDE = ("127.0.0.1", "10.0.0.1:8080", "internal.example.org")


class Mailbox:
    """What a mail server took."""

    def __init__(self):
        self.mails = []
        self.refuses = False

    async def handle_DATA(self, server, session, envelope):
        if self.refuses:
            return "554 We want none of it"
        self.mails.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=default)))
        return "250 OK"


@pytest.fixture
def mailbox(settings):
    box = Mailbox()
    settings.PUBLIC_URL = "https://live.example.org"
    with serve_mail(box) as settings.MAIL_URL:
        yield box


@pytest.mark.django_db(transaction=True)
def test_mail_says_which_room_what_how_bad_what_to_try_and_where(event, mailbox):
    make_channel(event.id, Channel.Kind.MAIL, "mara@example.org", NOW)
    session = stage.live_session(event, "Keynote")
    anomaly = stage.incident(session)
    tell(Kind.DETECTED, anomaly)
    anomaly.resolved_at = NOW
    tell(Kind.RESOLVED, anomaly)

    assert send_all() == 2

    (to, first), (_, last) = mailbox.mails
    assert to == ["mara@example.org"]
    assert first["from"].addresses[0].addr_spec == "live@example.org"
    assert first["subject"] == "Critical in Keynote: sudden drop"
    assert first.get_body(("plain", "html")).get_content().strip().splitlines() == [
        "Chat fell from 14 to 2 a minute.",
        "Score .31, expected .74.",
        "Try: Ask the room a question.",
        f"https://live.example.org/sessions/{session.id}/",
    ]
    assert last["subject"] == "Keynote: sudden drop is over"
    assert "It lasted 59 min" in last.get_body(("plain", "html")).get_content()


@pytest.mark.django_db(transaction=True)
def test_mail_that_is_refused_is_tried_again_and_says_why(event, mailbox):
    channel = make_channel(event.id, Channel.Kind.MAIL, "mara@example.org", NOW)
    mailbox.refuses = True
    tell(Kind.DETECTED, stage.incident(stage.live_session(event)))
    assert send_all() == 1
    message = channel.messages.get()
    assert (message.done_at, message.tries.get().error != "") == (None, True)
    mailbox.refuses = False
    assert send_all(message.next_attempt_at) == 1
    assert len(mailbox.mails) == 1


@pytest.mark.django_db(transaction=True)
def test_mail_that_was_taken_is_not_sent_again_by_who_follows_a_killed_sender(event, mailbox, monkeypatch):
    channel = make_channel(event.id, Channel.Kind.MAIL, "mara@example.org", NOW)
    tell(Kind.DETECTED, stage.incident(stage.live_session(event)))

    def be_killed(*_):
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(sender, "_finish", be_killed)
        with pytest.raises(SystemExit):
            send_all()
    assert channel.messages.get().delivered_at == NOW
    assert channel.messages.get().tries.get().milliseconds == 0

    assert send_all(NOW + sender.LEASE) == 0
    assert len(mailbox.mails) == 1


@pytest.mark.django_db(transaction=True)
def test_line_breaks_in_a_title_make_no_header(event, mailbox):
    make_channel(event.id, Channel.Kind.MAIL, "mara@example.org", NOW)
    session = stage.live_session(event, "Keynote\r\nBcc: everybody@example.org")
    tell(Kind.DETECTED, stage.incident(session))
    send_all()
    ((to, mail),) = mailbox.mails
    assert (to, mail["bcc"]) == (["mara@example.org"], None)


@pytest.mark.django_db(transaction=True)
def test_test_message_reaches_people_too(event, mailbox):
    channel = make_channel(event.id, Channel.Kind.MAIL, "mara@example.org", NOW)
    outbox.write_test(channel, NOW)
    send_all()
    assert mailbox.mails[0][1]["subject"] == "Test: Spring summit can reach you here"


@pytest.mark.django_db
def test_without_a_mail_server_there_is_no_mail_channel(event, settings):
    settings.MAIL_URL = ""
    with pytest.raises(RefusedChannel, match="sends no mail"):
        make_channel(event.id, Channel.Kind.MAIL, "mara@example.org", NOW)


@pytest.mark.parametrize("address", ["", "mara", "mara@example.org, ada@example.org", "mara@example.org\nBcc: a@b.org"])
def test_what_is_no_mail_address_is_refused(settings, address):
    settings.MAIL_URL = "mailto://127.0.0.1?from=live@example.org"
    with pytest.raises(RefusedAddress):
        check_mail(address)


@pytest.fixture
def called(monkeypatch) -> list[str]:
    """The hosts that Apprise calls; none of them answers."""
    hosts = []

    def request(self, method, url, **_):
        hosts.append(urlsplit(url).hostname)
        raise requests.ConnectionError(f"nobody is at {url}")

    monkeypatch.setattr(requests.Session, "request", request)
    monkeypatch.setattr(URLBase, "throttle", lambda *_, **__: None)  # seconds between two targets of one address
    return hosts


def in_memory(target: str) -> tuple[Channel, Message, Callable[[], None]]:
    event = stage.Event(name="Spring summit")
    channel = Channel(event=event, kind=Channel.Kind.CHAT, name="chat", target=target)
    return channel, Message(channel=channel, type=Message.Type.TEST, payload={"data": {}}), lambda: None


def test_every_service_that_is_allowed_is_known_here():
    assert set(configured.CHAT_SERVICES) == set(CHATS)


@pytest.mark.parametrize("service", CHATS)
def test_chat_calls_the_host_of_its_service_and_no_other(service, called):
    target, *hosts = CHATS[service]
    check_chat(target)
    outcome = tell_people(*in_memory(target))
    assert called
    assert set(called) <= set(hosts)
    assert outcome.error
    assert not any(part in outcome.error for part in target.partition("://")[2].split("/") if len(part) > 6)


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("service", CHATS)
def test_nobody_can_choose_the_host_of_a_service(service, host, called):
    """Wherever in the address it stands, the service's own host is called, or nobody."""
    _, _, rest = CHATS[service][0].partition("://")
    for written in (f"{host}/{rest}", f"user:word@{host}/{rest}", f"{rest}@{host}/", f"{rest.rstrip('/')}/{host}/"):
        tell_people(*in_memory(f"{service}://{written}"))
    assert set(called) <= set(CHATS[service][1:])


@pytest.mark.parametrize(
    "address",
    [
        "", "discord", "discord://", "json://127.0.0.1/", "mmost://127.0.0.1/token", "file:///etc/passwd",
        "mailto://a:b@example.org", "discord://123456789012345678/abcdefghijklmnopqrstuvwxyz_ABCDEFG?template=/etc/passwd",
    ],
)  # fmt: skip
def test_what_is_no_allowed_chat_is_refused(address, called):
    with pytest.raises(RefusedAddress):
        check_chat(address)
    assert not tell_people(*in_memory(address)).is_delivered
    assert called == []


def test_what_other_threads_say_is_not_told(called, monkeypatch):
    import threading

    class Service:
        def notify(self, **_):
            other = threading.Thread(target=lambda: people.logger.warning("Somebody else's secret."))
            other.start()
            other.join()
            return False

    monkeypatch.setattr(people, "_find_service", lambda channel: Service())
    assert tell_people(*in_memory(CHATS["slack"][0])).error == "It was not taken."


def test_lease_is_longer_than_people_may_take():
    assert sender.LEASE.total_seconds() > 4 * people.SECONDS
