"""manage.py restore FILE: make an empty database what a backup says."""

from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conductor.backups.form import CannotRestore
from conductor.backups.restore import restore_backup
from conductor.local.embedded import CannotStart, postgres_at_hand


class Command(BaseCommand):
    help = (
        "Makes an empty database what a backup says, and migrates it to this release: all of it or, where something "
        "is wrong, nothing. Web, worker, telling and beat must not run meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="what `manage.py backup` made")
        parser.add_argument(
            "--overwrite",
            action="store_true",
            help="drop all tables of the database first; they are back where the restore fails",
        )

    def handle(self, *, file: Path, overwrite: bool, **options: object) -> None:
        try:
            with postgres_at_hand(settings.DATA_DIR):
                manifest = restore_backup(file, overwrite=overwrite)
        except (CannotRestore, CannotStart) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"The database holds {manifest.rows:,} rows of {len(manifest.tables)} tables, as release "
            f"{manifest.version} had them at {manifest.taken_at:%F %T} UTC."
        )
