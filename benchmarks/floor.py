"""The floor: what a row costs at least, where River's trees score and learn it and binary COPY stores it."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import timedelta
from random import Random
from statistics import fmean
from typing import Any
from uuid import UUID

import psycopg
from django.utils.timezone import now
from river.anomaly import HalfSpaceTrees

from anomalies.bench.simulation import simulate
from anomalies.detector.prior import FOREST
from anomalies.detector.trees import as_features
from benchmarks.processes import cpu_alone
from benchmarks.rooms import AUDIENCE, ROW_SECONDS, SEED, draw_rooms
from engagement.ingest import COLUMNS
from engagement.readings import STORED
from engagement.scoring import find_score

RIVER_ROWS = 10_000
ROOMS, ROWS_A_COPY, COPIES = 100, 1_000, 40
TABLE = "benchmark_floor"
TYPES = ["timestamptz", *({"int": "int4"}.get(kind, kind) for kind in COLUMNS.values())]
COPY = f"COPY {TABLE} (received_at, {', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"


@dataclass(frozen=True, slots=True)
class Floor:
    """CPU of a row in µs: of River, and of COPY in the client and in PostgreSQL."""

    river: float
    copy_client: float
    copy_server: float

    @property
    def all(self) -> float:
        return self.river + self.copy_client + self.copy_server


def mean(floors: Sequence[Floor]) -> Floor:
    """Return the floor between some."""
    return Floor(*map(fmean, zip(*map(astuple, floors), strict=True)))


def measure(database_url: str, copies: int = COPIES) -> Floor:
    """Measure in a table like that of the rows but for its foreign key."""
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute(f"DROP TABLE IF EXISTS {TABLE}")
        database.execute(f"CREATE TABLE {TABLE} (LIKE engagement INCLUDING ALL)")
        try:
            return Floor(_river(), *_copy(database, copies))
        finally:
            database.execute(f"DROP TABLE {TABLE}")


def _river() -> float:
    """Return what it costs River to score and to learn a row, with the trees of our detector."""
    trees = HalfSpaceTrees(n_trees=FOREST.n_trees, height=FOREST.height, seed=FOREST.seed)
    random = Random(SEED)
    rows = [as_features(FOREST, [random.random() / 3 for _ in FOREST.features]) for _ in range(RIVER_ROWS)]
    began = time.process_time()
    for row in rows:
        trees.score_one(row)  # type: ignore[no-untyped-call]
        trees.learn_one(row)  # type: ignore[no-untyped-call]
    return (time.process_time() - began) / RIVER_ROWS * 1e6


def _copy(database: "psycopg.Connection[Any]", copies: int) -> tuple[float, float]:
    """Return what COPY costs a row, in the client and in the server's process; each COPY is a commit."""
    backend = database.info.backend_pid
    batches = list(_batches(copies))
    own, server = time.process_time(), cpu_alone(backend)
    for batch in batches:
        with database.cursor().copy(COPY) as copy:
            copy.set_types(TYPES)
            for row in batch:
                copy.write_row(row)
    own, server = time.process_time() - own, cpu_alone(backend) - server
    [(rows,)] = database.execute(f"SELECT count(*) FROM {TABLE}").fetchall()
    return own / rows * 1e6, server / rows * 1e6


def _batches(copies: int) -> Iterator[list[list[Any]]]:
    """Yield the rows of many rooms, so many at a time, as they would be stored."""
    received_at, rooms = now(), [UUID(room) for room in draw_rooms(ROOMS, "floor")]
    readings = [row for row in simulate(SEED, "webinar", AUDIENCE, quiet=True).rows if not row.is_empty]
    tails = [[*(getattr(row, name) for name in STORED), find_score(row), False] for row in readings]
    rows_a_room = ROWS_A_COPY // ROOMS
    for batch in range(copies):
        places = range(batch * rows_a_room, (batch + 1) * rows_a_room)
        moments = [readings[0].timestamp + timedelta(seconds=place * ROW_SECONDS) for place in places]
        yield [
            [received_at, room, moment, *tails[place % len(tails)]]
            for place, moment in zip(places, moments, strict=True)
            for room in rooms
        ]
