"""The file: a member for each table, as COPY writes it, and the manifest, which comes last."""

import hashlib
import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zipfile import ZipFile

from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from psycopg import sql
from pydantic import BaseModel

FORMAT = 1
MANIFEST = "manifest.json"
BLOCK = 2**20
# What a role or a database may have set otherwise; pg_dump does the same.
PLAIN_TEXT = """
    SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC';
    SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; SET LOCAL row_security = off;
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
"""

Migration = tuple[str, str]


class CannotRestore(Exception):
    """The backup cannot be restored, and the database is as it was; the message is a sentence to act on."""


class Sequence(BaseModel):
    """Where the numbering of a column stands: numbers of deleted rows are not given again."""

    column: str
    last_value: int
    is_called: bool


class Table(BaseModel):
    name: str
    columns: list[str]
    rows: int
    sha256: str
    sequence: Sequence | None


class Manifest(BaseModel):
    """What is in a backup; its tables stand after those that they refer to."""

    format: int
    version: str
    taken_at: datetime
    migrations: list[Migration]
    tables: list[Table]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


@contextmanager
def open_backup(path: Path) -> Iterator[tuple[ZipFile, Manifest]]:
    """Yield a backup in which nothing is missing or damaged. Raises `CannotRestore`."""
    try:
        archive = ZipFile(path)
    except OSError as error:
        raise CannotRestore(f"{path}: {error.strerror}.") from error
    except Exception as error:  # where one bit is wrong, reading a ZIP can fail in any way
        raise CannotRestore(f"{path} is no backup, or one that was cut short: its end is missing.") from error
    with archive:
        manifest = _read_manifest(archive, path)
        _require_known(manifest)
        _require_whole(archive, manifest, path)
        yield archive, manifest


def _read_manifest(archive: ZipFile, path: Path) -> Manifest:
    try:
        content = json.loads(archive.read(MANIFEST))
        if content["format"] == FORMAT:
            return Manifest.model_validate(content)
        version = content["version"]
    except Exception as error:  # as above
        raise CannotRestore(f"{path} is no backup of this product, or its {MANIFEST} is damaged.") from error
    raise CannotRestore(f"{path} was made by release {version}, in a form that this one, {release()}, cannot read.")


def _require_known(manifest: Manifest) -> None:
    """Refuse what was made by a release that had migrations which this one has not."""
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    if unknown := [key for key in manifest.migrations if key not in known]:
        raise CannotRestore(
            f"The backup was made by release {manifest.version}, and this one, {release()}, does not know its "
            f"migrations {listed(unknown)}: restore it with that release."
        )


def _require_whole(archive: ZipFile, manifest: Manifest, path: Path) -> None:
    """Refuse a file in which something has changed, before the database is touched."""
    for table in manifest.tables:
        try:
            with archive.open(member_of(table.name)) as member:
                digest = hashlib.sha256()
                while block := member.read(BLOCK):
                    digest.update(block)
        except Exception as error:  # as above
            raise CannotRestore(f"{path} is damaged: the table {table.name} cannot be read.") from error
        if digest.hexdigest() != table.sha256:
            raise CannotRestore(f"{path} is damaged: the table {table.name} is not what the backup had.")


def copy_statement(template: sql.SQL, table: str, columns: list[str]) -> sql.Composed:
    return template.format(
        table=sql.Identifier(table), columns=sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    )


def member_of(table: str) -> str:
    return f"{table}.copy"


def release() -> str:
    return str(tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]["version"])


def listed(migrations: list[Migration]) -> str:
    return ", ".join(f"{app}.{name}" for app, name in migrations)
