"""The command: what it is given, what it says, and how it stops."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from conductor.tests.platforms.follow.servers import message, messages, video, youtube
from conductor.tests.waiting import wait_until
from engagement.models import ApiKey, RawEventRow


@pytest.mark.parametrize(
    ("chats", "options", "words"),
    [
        ([], {"api_key": "ec_a"}, "Name a chat"),
        (["vimeo:1"], {"api_key": "ec_a"}, "is no chat"),
        (["twitch:stage"], {}, "Name --api-key"),
        (["twitch:stage"], {"api_key": "ec_a", "url": "ftp://x"}, "no address"),
        (["twitch:stage"], {"api_key": "schlüssel"}, "no key has"),
    ],
)
def test_what_it_cannot_do_it_says(chats, options, words):
    with pytest.raises(CommandError, match=words):
        call_command("follow", *chats, **options)


@pytest.mark.django_db(transaction=True)
def test_it_follows_what_the_settings_say_until_it_is_stopped(stack, event):
    """As docker compose runs it: told by the environment, and stopped by SIGTERM."""
    started = now().replace(microsecond=0) - timedelta(minutes=1)
    page = messages([message(number, started + timedelta(seconds=number)) for number in range(9)], "p2")
    with youtube([video()], [page, messages([], "p3")]) as server:
        environment = {
            **os.environ, "CONDUCTOR_FOLLOW": "youtube:v1", "CONDUCTOR_FOLLOW_URL": stack.url,
            "CONDUCTOR_FOLLOW_KEY": ApiKey.objects.issue(event, "follow")[1], "CONDUCTOR_YOUTUBE_KEY": "a secret key",
        }  # fmt: skip
        command = [sys.executable, "manage.py", "follow", "--youtube-server", server.url]
        with subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as process:  # fmt: skip
            is_over = lambda: process.poll() is not None  # noqa: E731
            wait_until(lambda: RawEventRow.objects.count() == 9, seconds=60, is_hopeless=is_over)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said == "youtube:v1: reading the chat of “Spring keynote”.\n"
    assert {key for *_, key in server.asked} == {"a secret key"}
