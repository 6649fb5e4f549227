"""Follow chats of YouTube and Twitch, and post them to the REST endpoint."""

import asyncio
import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from conductor.local.rest_client import RestClient
from conductor.platforms.follow import twitch, youtube
from conductor.platforms.follow.chat import CannotFollow
from conductor.platforms.follow.program import Target, Wanted, follow_all


class Command(BaseCommand):
    help = (
        "Follows chats that must be asked for, and posts what is written there, under pseudonyms and without its text, "
        "to sessions of its own. It runs until all of them are over or it is stopped, and may be started again: "
        "nothing is posted twice."
    )
    requires_system_checks = []  # it is a client, and needs neither database nor Redis

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "chats", nargs="*", metavar="CHAT", help="twitch:CHANNEL or youtube:VIDEO (default: CONDUCTOR_FOLLOW)"
        )
        parser.add_argument("--url", default=settings.FOLLOW_URL, help="where it posts (default: CONDUCTOR_FOLLOW_URL)")
        parser.add_argument("--api-key", default=settings.FOLLOW_KEY, help="default: CONDUCTOR_FOLLOW_KEY")
        parser.add_argument(
            "--twitch-server", default=twitch.SERVER, help="another server that speaks as Twitch's does"
        )
        parser.add_argument("--youtube-server", default=youtube.SERVER, help="one that answers as YouTube's does")

    def handle(self, *args: Any, **options: Any) -> None:
        target = Target(options["url"], options["api_key"], settings.YOUTUBE_KEY, options["twitch_server"],
                        options["youtube_server"])  # fmt: skip
        try:
            wanted = [Wanted.read(word) for word in options["chats"] or settings.FOLLOW]
            RestClient(target.url, target.api_key)
        except (CannotFollow, ValueError) as error:
            raise CommandError(str(error)) from None
        if not wanted:
            raise CommandError("Name a chat, such as twitch:somebody, or set CONDUCTOR_FOLLOW.")
        if not target.api_key:
            raise CommandError("Name --api-key, or set CONDUCTOR_FOLLOW_KEY.")
        if not asyncio.run(self._follow(wanted, target)):
            sys.exit(1)

    async def _follow(self, wanted: list[Wanted], target: Target) -> bool:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        return await follow_all(wanted, target, self._tell, stop)

    def _tell(self, words: str) -> None:
        self.stdout.write(words)
        self.stdout.flush()
