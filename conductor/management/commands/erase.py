"""manage.py erase session|event|person: have it vanish at once and its rows erased by the worker."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from conductor.management.commands.apikey import find_event
from engagement.cursors import Busy
from engagement.erasure import erase_events, erase_person, erase_sessions
from engagement.limits import MAX_TEXT
from engagement.models import Erasure

BY = "manage.py erase"


class Command(BaseCommand):
    help = (
        "Erases a session, an event or a person. It is gone for everybody at once; its rows go within minutes, "
        "in the worker. Nothing brings it back but a backup."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True, metavar="session|event|person")
        session = kinds.add_parser("session", help="one session with everything of it")
        session.add_argument("session", metavar="ID", type=UUID, help="the session's id")
        event = kinds.add_parser("event", help="an event with all its sessions and keys")
        event.add_argument("event", metavar="EVENT", help="the event's id or exact name")
        person = kinds.add_parser("person", help="a person's pseudonym in every session of an event")
        person.add_argument("event", metavar="EVENT", help="the event's id or exact name")
        person.add_argument("user", metavar="USER", help="the pseudonym, as the platform sent it")

    def handle(self, *, kind: str, **named: Any) -> None:
        try:
            erasures = self._erase(kind, **named)
        except Busy:
            raise CommandError("A session is in use just now, so nothing was erased. Try again.") from None
        if not erasures:
            raise CommandError("There is nothing like that.")
        for erasure in erasures:
            self.stdout.write(f"{erasure.id}")
        self.stderr.write("Gone for everybody; the worker erases its rows. The admin says when that is finished.")

    def _erase(
        self, kind: str, session: UUID | None = None, event: str = "", user: str = "", **options: object
    ) -> list[Erasure]:
        if session is not None:
            return erase_sessions([session], BY, now())
        found = find_event(event)
        if kind == "event":
            return erase_events([found.id], BY, now())
        if not user or len(user) > MAX_TEXT or "\0" in user:
            raise CommandError(f"A pseudonym has 1 to {MAX_TEXT} characters.")
        return [erase_person(found.id, user, BY, now())]
