"""Database engine: django-timescaledb where the server has the extension, plain PostgreSQL where it has not."""

import logging
from collections.abc import Sequence

from django.apps import apps
from django.db import ProgrammingError, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model
from timescale.db.backends.postgresql.base import DatabaseWrapper as TimescaleWrapper

from conductor.timescale import compression, plain
from conductor.timescale.schema import SchemaEditor, time_field

logger = logging.getLogger(__name__)

COMPRESSION = ("engagement", "0016_compression")  # the migration that begins and ends it


class DatabaseWrapper(TimescaleWrapper):
    SchemaEditorClass = SchemaEditor

    def has_timescaledb(self) -> bool:
        return self._exists("SELECT FROM pg_extension WHERE extname = 'timescaledb'")

    def prepare_database(self) -> None:
        """Make the database ready for the migrations; `migrate` calls this first, every time."""
        if not self.has_timescaledb():
            if self._exists("SELECT FROM pg_available_extensions WHERE name = 'timescaledb'"):
                self._create_extension()
            else:
                self._stay_plain("has no TimescaleDB")
        if self.has_timescaledb():
            self._convert_plain_tables()
            if COMPRESSION in MigrationRecorder(self).applied_migrations():  # and the server can do more since
                self.enable_compression()

    def enable_compression(self) -> None:
        """Have old rows compressed, where the server can; elsewhere do nothing."""
        if self.has_timescaledb() and self._exists(compression.IS_POSSIBLE, [compression.TABLE]):
            self._execute_all(compression.ENABLE)
            logger.info("Rows of more than a week ago are compressed from now on.")

    def disable_compression(self) -> None:
        """Unpack what is compressed, and compress nothing any more."""
        if self.has_timescaledb() and self._exists(compression.IS_ENABLED, [compression.TABLE]):
            self._execute_all(compression.DISABLE)

    def _create_extension(self) -> None:
        try:
            with transaction.atomic(using=self.alias), self.cursor() as cursor:
                cursor.execute(plain.DROP_FUNCTIONS)  # the extension brings functions of the same names
                cursor.execute("CREATE EXTENSION timescaledb")
        except ProgrammingError as error:
            self._stay_plain(f"has TimescaleDB, but did not let us create the extension ({str(error).strip()})")

    def _stay_plain(self, reason: str) -> None:
        if self._exists("SELECT FROM pg_proc WHERE proname = 'time_bucket'"):
            return  # said when they were made
        with self.cursor() as cursor:
            cursor.execute(plain.CREATE_FUNCTIONS)
        logger.info("The server %s: the tables are plain ones with the same columns, keys and indexes.", reason)

    def _convert_plain_tables(self) -> None:
        """Make hypertables of what was migrated while the server had no extension."""
        present = set(self.introspection.table_names())
        for model in apps.get_models():
            field = time_field(model)
            if field is not None and model._meta.db_table in present and not self._is_hypertable(model):
                with self.schema_editor() as editor:
                    editor.convert_to_hypertable(model, field)
                logger.info("The table %s is a hypertable now.", model._meta.db_table)

    def _is_hypertable(self, model: type[Model]) -> bool:
        return self._exists(
            "SELECT FROM timescaledb_information.hypertables WHERE hypertable_name = %s", [model._meta.db_table]
        )

    def _execute_all(self, statements: Sequence[str]) -> None:
        with self.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _exists(self, query: str, params: Sequence[object] | None = None) -> bool:
        with self.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS ({query})", params)
            return bool(cursor.fetchone()[0])
