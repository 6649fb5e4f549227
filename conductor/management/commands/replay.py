"""`manage.py replay`: post a recording through the REST endpoint, in event time."""

import json
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from conductor.local.rest_client import CannotReach, Refused, RestClient
from engagement.limits import MAX_BATCH
from engagement.moments import NoOffset, read_moment
from engagement.readings import Reading
from engagement.recordings import BadRecording, DateOrder, Hints, Recording, UnknownColumns, open_recordings
from engagement.recordings.jsonl import event_object, signals_object
from engagement.recordings.reader import known
from engagement.windows import RawEvent

EVENTS_EVERY_SECONDS = 1.0  # a request for each event would be many; later ones could come late
SECONDS_BETWEEN_BARS = 10.0  # where nobody looks, as in a log


Items = Sequence[Reading] | Sequence[RawEvent]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a recording's rows or raw events, and the session they went to."""

    session_id: str
    accepted: int
    duplicates: int
    late: int


def replay(
    items: Items,
    client: RestClient,
    session_id: str,
    speed: float = 1.0,
    backfill: timedelta = timedelta(0),
    progress: Callable[[int], object] = lambda count: None,
    wait_until: Callable[[float], object] | None = None,
) -> Replayed:
    """Post rows or raw events in time order, `speed` times faster than they happened, 0: as fast as it goes.

    Those of the first `backfill` go at once, and the clock starts with what comes after. What is due by the time a
    request is answered goes in the next one, so a slow server gets larger batches and not a delay. `progress` hears
    how many each request took; `wait_until` waits for a number of seconds since the start.
    Raises what `RestClient.post` raises.
    """
    started = time.monotonic()
    wait_until = wait_until or (lambda seconds: time.sleep(max(0.0, started + seconds - time.monotonic())))
    totals = {"accepted": 0, "duplicates": 0, "late": 0}
    has_events = isinstance(items[0], RawEvent)
    path = f"/sessions/{quote(session_id, safe='')}/{'events' if has_events else 'signals'}"
    at_once, paced = _split(items, backfill)
    sent, free_at = 0, 0.0
    while sent < len(items):
        if sent < len(at_once):
            batch = at_once[sent : sent + MAX_BATCH]
        elif speed == 0:
            batch = items[sent : sent + MAX_BATCH]
        else:
            place = sent - len(at_once)
            wait_until(max(_due(paced, place, speed), free_at))
            elapsed = time.monotonic() - started
            free_at = elapsed + EVENTS_EVERY_SECONDS if has_events else 0.0
            until = place + 1
            while until < len(paced) and until - place < MAX_BATCH and _due(paced, until, speed) <= elapsed:
                until += 1
            batch = paced[place:until]
        answer = client.post(path, [_as_object(item) for item in batch])
        for name in totals:
            totals[name] += int(str(answer[name]))
        sent += len(batch)
        progress(len(batch))
    return Replayed(session_id, **totals)


def _as_object(item: Reading | RawEvent) -> dict[str, object]:
    return event_object(item) if isinstance(item, RawEvent) else signals_object(item)


def _due(paced: Items, place: int, speed: float) -> float:
    return (paced[place].timestamp - paced[0].timestamp).total_seconds() / speed


def _split(items: Items, backfill: timedelta) -> tuple[Items, Items]:
    """Return what happened in the first `backfill`, and the rest."""
    until = items[0].timestamp + backfill
    count = sum(item.timestamp < until for item in items)
    return items[:count], items[count:]


def shift_to(now: datetime, items: Items, speed: float, backfill: timedelta) -> Items:
    """Return rows or raw events as if the recording played now: the first one after the backfill is `now`.

    Faster than real time they would soon lie in the future; then the last one is `now`.
    """
    paced = _split(items, backfill)[1]
    anchor = paced[0] if paced and 0 < speed <= 1 else items[-1]
    shift = now - anchor.timestamp
    return cast(Items, [replace(item, timestamp=item.timestamp + shift) for item in items])


def moment(text: str) -> datetime:
    """Read a moment that names its offset."""
    try:
        return read_moment(text)
    except NoOffset:
        raise ArgumentTypeError(f"{text!r} names no offset, such as +01:00") from None
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date and time") from None


def column(text: str) -> tuple[str, str]:
    """Read what a column holds, and what it is called."""
    field, _, name = text.partition("=")
    if field not in ("name", "joined", "left") or not name.strip():
        raise ArgumentTypeError(f"{text!r} is not such as joined=Beitritt; there are name, joined and left")
    return field, name


def zone(name: str) -> tzinfo:
    """Read the name of a time zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ArgumentTypeError(f"{name!r} is no time zone, such as Europe/Berlin") from None


class Command(BaseCommand):
    help = (
        f"Posts a recording through the REST endpoint in event time. It may be {known()}. What is there already counts "
        "as a duplicate, so it may be replayed into a session again."
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
        parser.add_argument(
            "--starts-at", type=moment, metavar="TIME", help="when it started, with an offset: for a log without a date"
        )
        parser.add_argument(
            "--time-zone", type=zone, default=UTC, metavar="ZONE", help="of times that name none (default UTC)"
        )
        parser.add_argument(
            "--date-order",
            type=DateOrder,
            choices=list(DateOrder),
            help="of dates such as 03/04 (default: what the file says, else month-first)",
        )
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            type=column,
            metavar="WHAT=NAME",
            help="what a column of a table is called in a language that is not known: name, joined and left",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["speed"] < float("inf") or not 0 <= options["backfill"] < 1e6:
            raise CommandError("--speed and --backfill are 0 or more.")
        speed, backfill = options["speed"], timedelta(minutes=options["backfill"])
        recording = self._read(options)
        items: Items = recording.events or recording.rows
        kind = "event" if recording.events else "row"
        if options["now"]:
            items = shift_to(datetime.now(UTC), items, speed, backfill)
        try:
            client = RestClient(*self._target(options["url"], options["api_key"]))
        except ValueError as error:
            raise CommandError(str(error)) from None
        minimum = 0.1 if sys.stderr.isatty() else SECONDS_BETWEEN_BARS
        try:
            session_id = options["session"] or self._make_session(client, options["file"])
            self.stdout.write(f"Replaying {len(items):,} {kind}s into {client.url}/sessions/{session_id}/")
            self.stdout.flush()
            with tqdm(total=len(items), unit=kind, mininterval=minimum) as bar:
                client.on_retry = lambda reason: bar.write(f"{reason}; trying again", file=sys.stderr)
                done = replay(items, client, session_id, speed, backfill, bar.update)
        except (CannotReach, Refused) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped; what was posted stays.", returncode=130) from None
        finally:
            client.close()
        self.stdout.write(f"{done.accepted:,} {kind}s accepted, {done.duplicates:,} duplicates, {done.late:,} late.")

    def _read(self, options: dict[str, Any]) -> Recording:
        """Return the recording, and say how it was read and what in it cannot be used."""
        path = options["file"]
        hints = Hints(
            options["starts_at"],
            options["time_zone"],
            options["date_order"],
            dict(options["column"]),
            datetime.now(UTC),
        )
        try:
            recording = open_recordings([(path, str(path))], hints)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        except UnknownColumns as error:
            raise CommandError(f"{error}, with --column name=…, --column joined=… and --column left=….") from None
        except BadRecording as error:
            raise CommandError(str(error)) from None
        for note in recording.notes:
            self.stdout.write(note)
        if recording.dates is not None and recording.dates.is_doubtful:
            self.stdout.write(f"Was it on {recording.dates.day_first}? Then say --date-order {DateOrder.DAY_FIRST}.")
        for reason, count in recording.unused.items():
            self.stdout.write(f"Not used: {count:,} {reason}.")
        return recording

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
