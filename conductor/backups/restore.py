"""Restoring one: all of it in one transaction."""

from pathlib import Path
from zipfile import ZipFile

import psycopg
from django.core.management import call_command
from django.db import Error, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor
from django.utils.timezone import now
from psycopg import sql

from conductor.backups.form import (
    BLOCK,
    PLAIN_TEXT,
    CannotRestore,
    Manifest,
    Migration,
    copy_statement,
    member_of,
    open_backup,
)
from conductor.outages import first_line
from conductor.telling import outbox

MADE_BY_MIGRATE = {"django_migrations", "django_content_type", "auth_permission"}  # there before anybody did anything
LOCK_SECONDS = 10
COPY_IN = sql.SQL("COPY {table} ({columns}) FROM STDIN")


def restore_backup(path: Path, *, overwrite: bool = False) -> Manifest:
    """Make the database what the file says, at the migrations of this release: all of it or, with a reason, nothing.

    The database must be empty, or have no row but those that `migrate` makes. With `overwrite` its tables are dropped
    first, which is undone with all else where something fails. Raises `CannotRestore`.
    """
    try:
        with open_backup(path) as (archive, manifest), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(PLAIN_TEXT)
            _make_room(cursor, overwrite)
            _migrate_to(manifest.migrations)
            _load(cursor, archive, manifest)
            call_command("migrate", interactive=False, verbosity=0)
            outbox.settle_restored(now())
            cursor.execute("ANALYZE")  # else the first pages are planned as if all tables were empty
    except (Error, psycopg.Error) as error:
        raise CannotRestore(f"The database refused it, and is as it was: {first_line(error)}.") from error
    return manifest


def _make_room(cursor: CursorWrapper, overwrite: bool) -> None:
    """Drop all tables; without `overwrite` only where they hold nothing."""
    tables = connection.introspection.table_names(cursor)
    if not tables:
        return
    names = _named(tables)
    cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
    try:
        cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
    except OperationalError as error:
        raise CannotRestore("Somebody is at work in the database: stop web, worker and beat.") from error
    for table in () if overwrite else sorted(set(tables) - MADE_BY_MIGRATE):
        cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table)))
        if cursor.fetchone()[0]:
            raise CannotRestore(f"The database is not empty, {table} has rows: restore into an empty one.")
    cursor.execute(sql.SQL("DROP TABLE {}").format(names))


def _migrate_to(migrations: list[Migration]) -> None:
    """Bring an empty database to where these migrations are applied, and no other."""
    connection.prepare_database()
    executor = MigrationExecutor(connection)
    wanted = set(migrations)
    nodes = executor.loader.graph.node_map
    # Of each app only the last: for the others Django would go back again.
    targets = [
        key
        for key in migrations
        if not any(child.key in wanted and child.key[0] == key[0] for child in nodes[key].children)
    ]
    executor.migrate(targets)


def _load(cursor: CursorWrapper, archive: ZipFile, manifest: Manifest) -> None:
    # Else all references would be checked at the end, kept in the server's memory until then. As each table comes after
    # those that it refers to, they hold when it is there.
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    tables = _named([table.name for table in manifest.tables])
    cursor.execute(sql.SQL("TRUNCATE {}").format(tables))  # what migrations have put there
    for table in manifest.tables:
        with (
            archive.open(member_of(table.name)) as member,
            cursor.copy(copy_statement(COPY_IN, table.name, table.columns)) as rows,
        ):
            while block := member.read(BLOCK):
                rows.write(block)
        if cursor.rowcount != table.rows:
            raise CannotRestore(f"{table.name} has {cursor.rowcount:,} rows, where the backup had {table.rows:,}.")
        if table.sequence:
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(quote_ident(%s), %s), %s, %s)",
                [table.name, table.sequence.column, table.sequence.last_value, table.sequence.is_called],
            )


def _named(tables: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table) for table in tables)
