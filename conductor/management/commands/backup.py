"""manage.py backup FILE: put all that the database holds into one file, while everything goes on."""

from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conductor.backups.take import CannotBackUp, take_backup
from conductor.local.embedded import CannotStart, postgres_at_hand


class Command(BaseCommand):
    help = (
        "Puts all that the database holds at one moment into a new file, while everything goes on. "
        "`manage.py restore` makes a database of it again: on any PostgreSQL from 15 on, with or without TimescaleDB."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="must not be there yet, such as conductor.zip")

    def handle(self, *, file: Path, **options: object) -> None:
        try:
            with postgres_at_hand(settings.DATA_DIR):
                manifest = take_backup(file)
        except (CannotBackUp, CannotStart) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{manifest.rows:,} rows of {len(manifest.tables)} tables, as they were at {manifest.taken_at:%F %T} UTC, "
            f"are in {file} ({file.stat().st_size / 1e6:,.1f} MB)."
        )
        self.stdout.write("It holds no SECRET_KEY: keep that too, and apart.")
