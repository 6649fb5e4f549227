"""`manage.py replay`: post a recording through the REST endpoint, in event time."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from conductor.rest_client import CannotReach, Refused, RestClient
from engagement.readings import Reading
from engagement.recordings.jsonl import BadRecording, read_recording, signals_object
from engagement.windows import RawEvent, Windows

BATCH = 1_000  # the most that one request may hold
SECONDS_BETWEEN_BARS = 10.0  # where nobody looks, as in a log


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a recording's rows, and the session they went to."""

    session_id: str
    accepted: int
    duplicates: int
    late: int


def replay(
    rows: Sequence[Reading],
    client: RestClient,
    session_id: str,
    speed: float = 1.0,
    backfill: timedelta = timedelta(0),
    progress: Callable[[int], object] = lambda count: None,
    wait_until: Callable[[float], object] | None = None,
) -> Replayed:
    """Post rows in time order, `speed` times faster than they happened, 0: as fast as it goes.

    The rows of the first `backfill` go at once, and the clock starts with the row after them. What is due by
    the time a request is answered goes in the next one, so a slow server gets larger batches and not a delay.
    `progress` hears how many rows each request took; `wait_until` waits for a number of seconds since the start.
    Raises what `RestClient.post` raises.
    """
    started = time.monotonic()
    wait_until = wait_until or (lambda seconds: time.sleep(max(0.0, started + seconds - time.monotonic())))
    totals = {"accepted": 0, "duplicates": 0, "late": 0}
    at_once, paced = _split(rows, backfill)
    sent = 0
    while sent < len(rows):
        if sent < len(at_once):
            batch = at_once[sent : sent + BATCH]
        elif speed == 0:
            batch = rows[sent : sent + BATCH]
        else:
            place = sent - len(at_once)
            wait_until(_due(paced, place, speed))
            elapsed = time.monotonic() - started
            until = place + 1
            while until < len(paced) and until - place < BATCH and _due(paced, until, speed) <= elapsed:
                until += 1
            batch = paced[place:until]
        answer = client.post(f"/sessions/{quote(session_id, safe='')}/signals", [signals_object(row) for row in batch])
        for name in totals:
            totals[name] += int(str(answer[name]))
        sent += len(batch)
        progress(len(batch))
    return Replayed(session_id, **totals)


def _due(paced: Sequence[Reading], place: int, speed: float) -> float:
    return (paced[place].timestamp - paced[0].timestamp).total_seconds() / speed


def _split(rows: Sequence[Reading], backfill: timedelta) -> tuple[Sequence[Reading], Sequence[Reading]]:
    """Return the rows of the first `backfill`, and the others."""
    until = rows[0].timestamp + backfill
    count = sum(row.timestamp < until for row in rows)
    return rows[:count], rows[count:]


def shift_to(now: datetime, rows: Sequence[Reading], speed: float, backfill: timedelta) -> list[Reading]:
    """Return the rows as if the recording played now: the first one after the backfill is `now`.

    Faster than real time its rows would soon lie in the future; then the last one is `now`.
    """
    paced = _split(rows, backfill)[1]
    anchor = paced[0] if paced and 0 < speed <= 1 else rows[-1]
    shift = now - anchor.timestamp
    return [replace(row, timestamp=row.timestamp + shift) for row in rows]


def as_rows(recording: Sequence[Reading] | Sequence[RawEvent]) -> list[Reading]:
    """Return the rows of a recording; raw events are windowed here, as the server takes rows only."""
    return list(_rows(recording))


def _rows(recording: Sequence[Reading] | Sequence[RawEvent]) -> Iterator[Reading]:
    windows = Windows()
    for item in recording:
        if isinstance(item, Reading):
            yield item
        else:
            windows.add([item])
    yield from windows.finish()


class Command(BaseCommand):
    help = (
        "Posts a recording (.jsonl or .jsonl.gz: one signals object or one raw event a line) through the REST endpoint "
        "in event time. Raw events are turned into one row every 5 s on this side. Rows that are there already count "
        "as duplicates, so the same recording may be replayed into a session again."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--url", help="default: that of the running demo")
        parser.add_argument("--api-key", help="default: that of the running demo")
        parser.add_argument("--session", help="id of the session (default: a new one, titled after the file)")
        parser.add_argument(
            "--speed", type=float, default=1.0, metavar="N", help="times real time; 0: as fast as it goes (default 1)"
        )
        parser.add_argument("--now", action="store_true", help="shift the timestamps so that it happens now")
        parser.add_argument(
            "--backfill", type=float, default=0.0, metavar="MINUTES", help="post the first so many minutes at once"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["speed"] < float("inf") or not 0 <= options["backfill"] < 1e6:
            raise CommandError("--speed and --backfill are 0 or more.")
        speed, backfill = options["speed"], timedelta(minutes=options["backfill"])
        rows = self._read(options["file"])
        if options["now"]:
            rows = shift_to(datetime.now(UTC), rows, speed, backfill)
        try:
            client = RestClient(*self._target(options["url"], options["api_key"]))
        except ValueError as error:
            raise CommandError(str(error)) from None
        minimum = 0.1 if sys.stderr.isatty() else SECONDS_BETWEEN_BARS
        try:
            session_id = options["session"] or self._make_session(client, options["file"])
            self.stdout.write(f"Replaying {len(rows):,} rows into {client.url}/sessions/{session_id}/")
            self.stdout.flush()
            with tqdm(total=len(rows), unit="row", mininterval=minimum) as bar:
                client.on_retry = lambda reason: bar.write(f"{reason}; trying again", file=sys.stderr)
                done = replay(rows, client, session_id, speed, backfill, bar.update)
        except (CannotReach, Refused) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped; what was posted stays.", returncode=130) from None
        finally:
            client.close()
        self.stdout.write(f"{done.accepted:,} rows accepted, {done.duplicates:,} duplicates, {done.late:,} late.")

    def _read(self, path: Path) -> list[Reading]:
        try:
            recording = read_recording(path)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        except BadRecording as error:
            raise CommandError(str(error)) from None
        if isinstance(recording[0], RawEvent):
            self.stdout.write(f"{len(recording):,} raw events are turned into rows here, on this side.")
        return as_rows(recording)

    def _target(self, url: str | None, api_key: str | None) -> tuple[str, str]:
        if url and api_key:
            return url.rstrip("/"), api_key
        notes = settings.DATA_DIR / "demo.json"
        try:
            demo = json.loads(notes.read_text())
            return (url or demo["url"]).rstrip("/"), api_key or demo["api_key"]
        except (OSError, ValueError, KeyError):
            raise CommandError(f"No demo is running ({notes} is not there): name --url and --api-key.") from None

    def _make_session(self, client: RestClient, path: Path) -> str:
        title = path.name.removesuffix(".gz").removesuffix(".jsonl") or path.name
        return str(client.post("/sessions", {"title": title})["id"])
