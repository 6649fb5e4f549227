"""Play the demo's two rooms through the REST endpoint, a row of each every five seconds, for ever."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from conductor.local.demo.captions import write_caption
from conductor.local.demo.story import KNOWN_SECONDS, Playhead, calm_place, caption_of
from conductor.local.rest_client import RestClient
from engagement.readings import Reading
from engagement.recordings.jsonl import signals_object
from engagement.slots import ROW_SECONDS

ROW = timedelta(seconds=ROW_SECONDS)
KNOWN_ROWS = KNOWN_SECONDS // ROW_SECONDS


@dataclass(frozen=True, slots=True)
class PlayedRoom:
    """A session, and the rows of its recording, one every five seconds."""

    session_id: str
    rows: Sequence[Reading]


@dataclass(slots=True)
class Player:
    """Posts what is due at the moments that it is given."""

    client: RestClient
    webinar: PlayedRoom
    calm: PlayedRoom
    data_dir: Path
    head: Playhead = field(init=False)
    n_steps: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.head = Playhead(len(self.webinar.rows))

    def begin(self, now: datetime) -> None:
        """Post what is known of both rooms until now, and say what there is to see. Raises as `RestClient.post`."""
        known = [(now - ROW * (KNOWN_ROWS - 1 - place), place) for place in range(KNOWN_ROWS)]
        self.n_steps = KNOWN_ROWS
        self._post([row for at, place in known for row in self._rows(at, place, self._calm_place(place))])
        self._say(KNOWN_ROWS - 1)

    def step(self, now: datetime, *, is_watched: bool) -> int:
        """Post the next row of both rooms; return the place of the webinar's. Raises as `RestClient.post`."""
        place = self.head.step(is_watched=is_watched)
        self._say(place)
        self._post(self._rows(now, place, self._calm_place(self.n_steps)))
        self.n_steps += 1
        return place

    def _calm_place(self, step: int) -> int:
        return calm_place(step, len(self.calm.rows))

    def _rows(self, at: datetime, place: int, calm: int) -> list[dict[str, object]]:
        rows = ((self.webinar, place), (self.calm, calm))
        return [
            {"session_id": room.session_id, **signals_object(replace(room.rows[number], timestamp=at))}
            for room, number in rows
        ]

    def _post(self, rows: list[dict[str, object]]) -> None:
        self.client.post("/signals", rows)

    def _say(self, place: int) -> None:
        write_caption(self.data_dir, self.webinar.session_id, caption_of(place))


def play(player: Player, is_watched: Callable[[], bool]) -> None:
    """Play by the clock, until something raises. After a pause of the machine it goes on from then."""
    due = datetime.now(UTC)
    player.begin(due)
    while True:
        due = max(due + ROW, datetime.now(UTC) - ROW)
        time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
        player.step(due, is_watched=is_watched())
