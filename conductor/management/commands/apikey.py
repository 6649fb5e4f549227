"""manage.py apikey EVENT NAME: make an API key and print it, once."""

from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from engagement.models import ApiKey, Event

LONGEST_NAME = ApiKey._meta.get_field("name").max_length or 0


class Command(BaseCommand):
    help = "Makes an API key for an event and prints it. The key is stored nowhere and cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("event", metavar="EVENT", help="the event's id or exact name")
        parser.add_argument("name", metavar="NAME", help="who or what will use the key")

    def handle(self, *, event: str, name: str, **options: object) -> None:
        if not name.strip() or len(name) > LONGEST_NAME:
            raise CommandError("The name of a key has 1 to 100 characters.")
        _, secret = ApiKey.objects.issue(find_event(event), name)
        self.stdout.write(secret)
        self.stderr.write("Copy it now: only its SHA-256 is kept.")


def find_event(wanted: str) -> Event:
    """Return the event of this id or exact name; raise `CommandError` where that is none, or more than one."""
    try:
        found = Event.objects.filter(id=UUID(wanted))
    except ValueError:
        found = Event.objects.filter(name=wanted)
    match list(found):
        case [event]:
            return event
        case []:
            names = ", ".join(Event.objects.values_list("name", flat=True)[:10]) or "none yet"
            raise CommandError(f"There is no event with the id or name “{wanted}”. The events: {names}.")
        case several:
            ids = ", ".join(str(event.id) for event in several)
            raise CommandError(f"{len(several)} events have the name “{wanted}”. Name one by its id: {ids}.")
