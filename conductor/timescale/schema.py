"""Create and change tables so that a hypertable and a plain table have the same columns, keys and indexes."""

from django.db.models import CompositePrimaryKey, Model
from timescale.db.backends.postgresql.schema import TimescaleSchemaEditor
from timescale.db.models.fields import TimescaleDateTimeField


def time_field(model: type[Model]) -> TimescaleDateTimeField | None:
    """Return the field that a model's hypertable is cut by, None where the model is an ordinary one."""
    return next((field for field in model._meta.local_fields if isinstance(field, TimescaleDateTimeField)), None)


class SchemaEditor(TimescaleSchemaEditor):
    # The models declare their indexes; the extension's own would be there on one kind of server only.
    sql_add_hypertable = TimescaleSchemaEditor.sql_add_hypertable.replace(
        "migrate_data", "create_default_indexes => false, migrate_data"
    )
    sql_widen_primary_key = "ALTER TABLE {table} DROP CONSTRAINT {key}, ADD CONSTRAINT {key} PRIMARY KEY ({columns})"

    def convert_to_hypertable(self, model: type[Model], field: TimescaleDateTimeField) -> None:
        """Make a hypertable of a plain table and move its rows."""
        self._create_hypertable(model, field, should_migrate=True)

    def _create_hypertable(
        self, model: type[Model], field: TimescaleDateTimeField, should_migrate: bool = False
    ) -> None:
        if self.connection.has_timescaledb():
            super()._create_hypertable(model, field, should_migrate)
        else:
            self._drop_primary_key(model)

    def _drop_primary_key(self, model: type[Model]) -> None:
        """Widen the key by the time column, which a hypertable's key must hold; the package would drop it.

        The admin refuses composite keys, so for Django the key of such a model may stay a single column.
        """
        key, time = model._meta.pk, time_field(model)
        if isinstance(key, CompositePrimaryKey) or time is None:
            return
        self.execute(
            self.sql_widen_primary_key.format(
                table=self.quote_name(model._meta.db_table),
                key=self.quote_name(f"{model._meta.db_table}_pkey"),
                columns=", ".join(self.quote_name(column) for column in (key.column, time.column)),
            )
        )

    def _set_chunk_time_interval(self, model: type[Model], field: TimescaleDateTimeField) -> None:
        if self.connection.has_timescaledb():
            super()._set_chunk_time_interval(model, field)
