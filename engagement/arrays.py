"""Arrays go to the database as bytes: written out as text, a value costs five times as much on our side.

Django puts values into the text of a statement. Here they are sent beside it, which psycopg does by itself: where the
statement has `%b`, as bytes. For a thousand rows that is as good as a COPY. Where it says of which kind an array is, as
in `%b::uuid[]`, the bytes are made here, as psycopg asks of each value anew what it is.

A statement that comes again is prepared, so that the server reads and plans it once and not at each sweep. Behind a
pooler the next transaction may be another connection of the server's, which knows of no such statement, so there none
is.
"""

import re
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakSet

import msgspec
import psycopg
from django.db import connection, models
from django.db.models.base import ModelState
from psycopg.adapt import Dumper, Loader
from psycopg.postgres import types
from psycopg.pq import Format

from engagement.moments import to_microseconds

M = TypeVar("M", bound=models.Model)

PREPARED_AFTER = 5  # times that a connection has run a statement
YEAR_2000 = to_microseconds(datetime(2000, 1, 1, tzinfo=UTC))  # from where PostgreSQL counts microseconds
NULL = struct.pack(">i", -1)
ARRAY = re.compile(r"%b(?:::(\w+)\[\])?|%s")
_known: "WeakSet[psycopg.Connection[Any]]" = WeakSet()


def execute(statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
    """Run a statement and return the rows that it answers, none where it is of another kind. Raises Django's errors."""
    connection.ensure_connection()
    own = connection.connection
    if own not in _known:
        _get_to_know(own)
    sender: Any = psycopg.Cursor(own)
    sender.format = Format.BINARY  # of the answer
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    packed = [pack(value) for pack, value in zip(_packers(statement), parameters, strict=True)]
    with wrap(sender) as cursor:
        cursor.execute(statement, packed)
        # psycopg would describe each column, to be asked whether there are any.
        return cursor.fetchall() if sender.pgresult and sender.pgresult.nfields else []


def load(model: type[M], names: Sequence[str], statement: str, *parameters: Any) -> list[M]:
    """Return what a statement answers as instances that have these fields, in this order, and others when asked.

    As `from_db` makes them, but for the signals of it, at a tenth of its cost. Raises Django's errors.
    """
    found = execute(statement, *parameters)
    alias = connection.alias
    return [_instance(model, alias, dict(zip(names, values, strict=True))) for values in found]


def _instance(model: type[M], alias: str, values: dict[str, Any]) -> M:
    made = model.__new__(model)
    values["_state"] = state = ModelState()
    state.db, state.adding = alias, False
    made.__dict__ = values
    return made


def _get_to_know(own: "psycopg.Connection[Any]") -> None:
    """Teach a new connection our arrays, and have it prepare statements where it is one to the server itself.

    A pooler says of itself another process than that which answers.
    """
    for kind in KINDS.values():
        own.adapters.register_dumper(kind.array, kind.dumper)
    own.adapters.register_loader("jsonb", _JsonbLoader)
    with psycopg.Cursor(own) as cursor:
        [pid] = cursor.execute("SELECT pg_backend_pid()").fetchone() or [0]
    if pid == own.info.backend_pid:
        own.prepare_threshold = PREPARED_AFTER
    _known.add(own)


class _JsonbLoader(Loader):
    format = Format.BINARY

    def load(self, data: Any) -> Any:
        return msgspec.json.decode(memoryview(data)[1:])  # behind the version


class _Array:
    """An array as the server reads it."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _Kind:
    """A kind of arrays, by PostgreSQL's name of their values, and how one of these is written, its length before it."""

    def __init__(self, name: str, write: Callable[[Any], bytes]) -> None:
        info = types[name]
        self.array = type("Array", (_Array,), {"__slots__": ()})
        self.dumper = type("Dumper", (_Dumper,), {"oid": info.array_oid})
        self._oid, self._write = info.oid, write

    def pack(self, values: Any) -> Any:
        """Return the array of some values; a list of them where psycopg is to see to it, or to say what is wrong."""
        write = self._write
        try:
            written = [NULL if value is None else write(value) for value in values]
        except (struct.error, AttributeError, TypeError):
            return list(values)
        # One dimension, nulls perhaps, of which kind, how many, counted from 1.
        head = struct.pack(">iiIii", 1, 1, self._oid, len(written), 1)
        return self.array(head + b"".join(written))


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        data: bytes = obj.data
        return data


def _with_length(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data


def _write_uuid(value: UUID) -> bytes:
    return b"\0\0\0\x10" + value.int.to_bytes(16, "big")


_eight_bytes, _a_float, _an_int = struct.Struct(">iq").pack, struct.Struct(">id").pack, struct.Struct(">ii").pack


def _write_moment(value: datetime) -> bytes:
    return _eight_bytes(8, to_microseconds(value) - YEAR_2000)


def _write_text(value: str) -> bytes:
    return _with_length(value.encode())


KINDS = {
    name: _Kind(name, write)
    for name, write in (
        ("uuid", _write_uuid),
        ("timestamptz", _write_moment),
        ("float8", lambda value: _a_float(8, value)),
        ("int4", lambda value: _an_int(4, value)),
        ("bool", lambda value: b"\0\0\0\1\1" if value else b"\0\0\0\1\0"),
        ("bytea", _with_length),
        ("text", _write_text),
        ("varchar", _write_text),
        ("jsonb", lambda value: _with_length(b"\1" + msgspec.json.encode(value))),  # behind the version
    )
}
KINDS["int"] = KINDS["int4"]


@cache
def _packers(statement: str) -> list[Callable[[Any], Any]]:
    """Return what makes of each parameter what is sent."""
    kinds = [KINDS.get(found[1] or "") for found in ARRAY.finditer(statement)]
    return [_as_it_is if kind is None else kind.pack for kind in kinds]


def _as_it_is(value: Any) -> Any:
    return value
