"""manage.py apikey, as an operator runs it."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from engagement.models import ApiKey, Event

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    printed = StringIO()
    call_command("apikey", *arguments, stdout=printed, stderr=StringIO())
    return printed.getvalue()


@pytest.mark.parametrize("field", ["id", "name"])
def test_apikey_prints_a_key_that_is_kept_as_a_digest(field):
    event = Event.objects.create(name="Spring school")

    secret = run(str(getattr(event, field)), "Platform").removesuffix("\n")

    key = event.api_keys.get(name="Platform")
    assert bytes(key.sha256) == ApiKey.digest(secret)
    assert secret.startswith(key.prefix)
    assert len(secret) > 40


def test_apikey_is_another_one_each_time():
    Event.objects.create(name="Spring school")

    assert run("Spring school", "Platform") != run("Spring school", "Platform")


def test_apikey_names_the_events_there_are_when_there_is_no_such_one():
    Event.objects.create(name="Spring school")

    with pytest.raises(CommandError, match=r"no event .* “Autumn”\. The events: Spring school\."):
        run("Autumn", "Platform")


def test_apikey_asks_for_the_id_when_the_name_is_taken_twice():
    events = [Event.objects.create(name="Spring school") for _ in range(2)]

    with pytest.raises(CommandError, match="2 events") as refused:
        run("Spring school", "Platform")

    assert all(str(event.id) in str(refused.value) for event in events)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("name", [" ", "x" * 101])
def test_apikey_refuses_a_name_that_does_not_fit(name):
    Event.objects.create(name="Spring school")

    with pytest.raises(CommandError, match="1 to 100 characters"):
        run("Spring school", name)
