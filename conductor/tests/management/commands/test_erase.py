"""manage.py erase, as an operator runs it."""

from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from engagement.cursors import Busy
from engagement.models import Erasure, Event, Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> Session:
    return Session.objects.create(event=Event.objects.create(name="Spring school"), title="Opening")


def run(*arguments: str) -> str:
    printed = StringIO()
    call_command("erase", *arguments, stdout=printed, stderr=StringIO())
    return printed.getvalue().removesuffix("\n")


def test_erase_lets_a_session_vanish_and_prints_the_fact(session):
    printed = run("session", str(session.id))

    fact = Erasure.objects.get()
    assert (str(fact.id), fact.kind, fact.target) == (printed, "session", session.id)
    assert fact.requested_by == "manage.py erase"
    assert not Session.objects.exists()


@pytest.mark.parametrize("field", ["id", "name"])
def test_erase_lets_an_event_vanish(session, field):
    run("event", str(getattr(session.event, field)))

    assert Erasure.objects.get().target == session.event_id
    assert not Event.objects.exists()
    assert not Session.objects.exists()


@pytest.mark.parametrize("user", ["u-17", "a/b", " ", "-x"])
def test_erase_asks_for_a_person(session, user):
    run("person", "Spring school", "--", user) if user.startswith("-") else run("person", "Spring school", user)

    fact = Erasure.objects.get()
    assert (fact.kind, fact.target, fact.user) == ("person", session.event_id, user)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["session", str(uuid4())], "nothing like that"),
        (["session", "first"], "invalid UUID value"),
        (["event", "Autumn school"], "no event with the id or name"),
        (["person", "Autumn school", "u-17"], "no event with the id or name"),
        (["person", "Spring school", ""], "1 to 200 characters"),
        (["person", "Spring school", "x" * 201], "1 to 200 characters"),
        ([], "are required"),
    ],
)
def test_erase_says_what_it_cannot_erase(session, arguments, complaint):
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)

    assert Session.objects.exists()
    assert not Erasure.objects.exists()


def test_erase_says_that_a_session_is_in_use(session, monkeypatch):
    def be_busy(*_: object) -> None:
        raise Busy

    monkeypatch.setattr("conductor.management.commands.erase.erase_sessions", be_busy)

    with pytest.raises(CommandError, match="in use just now"):
        run("session", str(session.id))
