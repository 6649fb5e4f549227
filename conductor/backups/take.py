"""Taking one: what a single snapshot sees, while everything goes on."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import psycopg
from django.db import Error, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model
from psycopg import sql

from conductor.backups.form import (
    BLOCK,
    FORMAT,
    MANIFEST,
    PLAIN_TEXT,
    Manifest,
    Migration,
    Sequence,
    Table,
    copy_statement,
    listed,
    member_of,
    release,
)
from conductor.local.private_files import new_private_file
from conductor.outages import first_line

logger = logging.getLogger(__name__)

COPY_OUT = sql.SQL("COPY (SELECT {columns} FROM {table}) TO STDOUT")  # of a hypertable's name alone COPY finds no rows


class CannotBackUp(Exception):
    """No backup can be taken; the message is a sentence to act on."""


def take_backup(path: Path) -> Manifest:
    """Put all that the database holds now into a new file, while everything goes on. Raises `CannotBackUp`."""
    try:
        with new_private_file(path) as file, ZipFile(file, "w", ZIP_DEFLATED) as archive, _snapshot() as cursor:
            manifest = _copy_out(cursor, archive)
            archive.writestr(MANIFEST, manifest.model_dump_json(indent=2))
    except FileExistsError as error:
        raise CannotBackUp(f"{error.filename} is there already: choose another name.") from None
    except OSError as error:
        raise CannotBackUp(f"{error.filename or path}: {error.strerror}.") from error
    except (Error, psycopg.Error) as error:
        raise CannotBackUp(f"The database says: {first_line(error)}.") from error
    return manifest


@contextmanager
def _snapshot() -> Iterator[CursorWrapper]:
    """Yield a cursor that sees one moment; it keeps nobody from reading or writing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(PLAIN_TEXT)
        yield cursor


def _copy_out(cursor: CursorWrapper, archive: ZipFile) -> Manifest:
    loader = MigrationLoader(connection)
    applied = sorted(loader.applied_migrations)
    if not applied:
        raise CannotBackUp("The database holds nothing yet.")
    if unknown := [key for key in applied if key not in loader.graph.nodes]:
        raise CannotBackUp(f"The database is one of another release ({listed(unknown)}): take the backup with that.")
    models = _models_at(loader, applied)
    strangers = set(connection.introspection.table_names(cursor)) - {m._meta.db_table for m in models}
    if strangers := strangers - {"django_migrations"}:  # the manifest says it
        logger.warning("Tables that are not ours are not in the backup: %s.", ", ".join(sorted(strangers)))
    cursor.execute("SELECT now()")
    return Manifest(
        format=FORMAT,
        version=release(),
        taken_at=cursor.fetchone()[0],
        migrations=applied,
        tables=[_copy_table(cursor, archive, model) for model in models],
    )


def _models_at(loader: MigrationLoader, applied: list[Migration]) -> list[type[Model]]:
    """Return the models whose tables these migrations made, each after those that it refers to.

    Not the models of the code: its database may not have been migrated yet.
    """
    models = [
        model
        for model in loader.project_state(applied).apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    ]
    needs = {model: [referred for referred in _referred(model) if referred is not model] for model in models}
    return [model for model in TopologicalSorter(needs).static_order() if model in needs]


def _referred(model: type[Model]) -> list[type[Model]]:
    """Return the models whose rows a model's rows need, as a foreign key says."""
    related = [field.related_model for field in model._meta.local_concrete_fields]
    concrete = [other._meta.concrete_model for other in related if isinstance(other, type)]
    return [other for other in concrete if other is not None]


def _copy_table(cursor: CursorWrapper, archive: ZipFile, model: type[Model]) -> Table:
    name = model._meta.db_table
    columns = [field.column for field in model._meta.local_concrete_fields if field.column and not field.generated]
    numbered = model._meta.auto_field
    digest = hashlib.sha256()
    with (
        archive.open(member_of(name), "w", force_zip64=True) as member,
        cursor.copy(copy_statement(COPY_OUT, name, columns)) as rows,
    ):
        for block in _in_blocks(rows):
            digest.update(block)
            member.write(block)
    return Table(
        name=name,
        columns=columns,
        rows=cursor.rowcount,
        sha256=digest.hexdigest(),
        sequence=_find_sequence(cursor, name, str(numbered.column)) if numbered else None,
    )


def _in_blocks(rows: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Return rows joined to blocks that are worth a call."""
    block = bytearray()
    for row in rows:
        block += row
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _find_sequence(cursor: CursorWrapper, table: str, column: str) -> Sequence:
    """Return where a numbering stands now, which is never before the snapshot."""
    cursor.execute("SELECT pg_get_serial_sequence(quote_ident(%s), %s)", [table, column])
    cursor.execute(f"SELECT last_value, is_called FROM {cursor.fetchone()[0]}")  # quoted by PostgreSQL
    last_value, is_called = cursor.fetchone()
    return Sequence(column=column, last_value=last_value, is_called=is_called)
