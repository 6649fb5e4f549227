"""`manage.py play_demo`: play the demo's rooms through the REST endpoint; `manage.py up` starts it."""

import json
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from conductor import live
from conductor.local.demo import CALM, WEBINAR
from conductor.local.demo.captions import drop_caption
from conductor.local.demo.player import PlayedRoom, Player, play
from conductor.local.rest_client import CannotReach, Refused, RestClient
from engagement.recordings import open_recording


class Command(BaseCommand):
    help = "Plays the demo of the running `manage.py up` into two of its sessions, over and over; `up` starts it."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("session", type=UUID, help="where attention falls, from the moment that its page is open")
        parser.add_argument("calm_session", type=UUID, help="the one beside it")

    def handle(self, *, session: UUID, calm_session: UUID, **_: Any) -> None:
        notes = settings.DATA_DIR / "demo.json"
        try:
            demo = json.loads(notes.read_text())
        except OSError:
            raise CommandError(f"No demo is running: {notes} is not there.") from None
        client = RestClient(demo["url"], demo["api_key"])
        webinar, calm = (
            PlayedRoom(str(id_), open_recording(show.recording, show.title).rows)
            for id_, show in ((session, WEBINAR), (calm_session, CALM))
        )
        try:
            play(Player(client, webinar, calm, settings.DATA_DIR), lambda: session in live.find_watched())
        except (CannotReach, Refused) as error:
            raise CommandError(str(error)) from None
        finally:
            client.close()
            drop_caption(settings.DATA_DIR)
