"""Databases besides the suite's own: made on a server and dropped, and the product's commands run on them."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.conf import settings
from psycopg import sql

from conductor.local import addresses


@contextmanager
def database_on(url: str) -> Iterator[str]:
    """Yield the address of a new database on a server; it is dropped afterwards."""
    name = f"conductor_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    base, question, options = url.partition("?")
    try:
        yield f"{base.rpartition('/')[0]}/{name}{question}{options}"
    finally:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def plain_database():
    return database_on(addresses.database_url(settings.DATA_DIR))


def manage(url: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run manage.py on a database; fail with all that it said."""
    done = _run(url, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def refusal(url: str, *arguments: object) -> str:
    """Run manage.py on a database; return the sentence with which it refuses."""
    done = _run(url, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("20")]  # without the log
    assert len(said) == 1, done.stderr
    return said[0].removeprefix("CommandError: ")


def run_python(url: str, code: str):
    """Run a script that prints JSON, with Django on a database."""
    return json.loads(manage(url, "shell", "-v0", "-c", code).stdout)


def ask(url: str, query: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as database:
        cursor = database.execute(query)
        return cursor.fetchall() if cursor.description else []


def tables_of(url: str) -> list[str]:
    return [name for (name,) in ask(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]


def rows_of(url: str) -> dict[str, list[str]]:
    """Return every row of every table but that of the migrations, as COPY writes them, in order."""
    tables = tables_of(url)  # the WASM server takes one client at a time
    with psycopg.connect(url) as database:
        database.execute("SET timezone = 'UTC'")
        return {table: _rows_of(database, table) for table in tables if table != "django_migrations"}


def _rows_of(database: psycopg.Connection, table: str) -> list[str]:
    columns = database.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY 1", [table]
    ).fetchall()
    select = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(
        sql.SQL(", ").join(sql.Identifier(column) for (column,) in columns), sql.Identifier(table)
    )
    with database.cursor().copy(select) as copy:
        return sorted(bytes(row).decode() for row in copy)


def _run(url: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, settings.BASE_DIR / "manage.py", *map(str, arguments)],
        # Where this process has imported the ASGI application, its own pool is none of theirs.
        env=os.environ | {"DATABASE_URL": url, "DEBUG": "1", "CONDUCTOR_DB_POOL": ""}, capture_output=True, text=True,
    )  # fmt: skip
