"""What a client is to do, as it is handed to its process, and what it tells of it afterwards."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Story = list[tuple[float, str]]  # seconds from the beginning, and the item's JSON but for its session and timestamp


@dataclass(frozen=True, slots=True)
class Load:
    """Items for many rooms in turn. A room tells its story from item `first` on, and from the beginning at its end.

    A request of one room has `{room}` in its path; one that holds `is_alone` is an object and no array.
    """

    path: str
    rooms: tuple[str, ...]
    stories: tuple[Story, ...]
    period_seconds: float  # how long a story is, before it begins again
    first: int = 0
    rooms_a_request: int = 1
    items_a_room: int = 1
    is_alone: bool = False

    def __post_init__(self) -> None:
        if len(self.rooms) % self.rooms_a_request:
            raise ValueError("each request holds as many rooms: their number must be a multiple of that")

    @property
    def items_a_request(self) -> int:
        return self.rooms_a_request * self.items_a_room


@dataclass(frozen=True, slots=True)
class Watching:
    """Sockets that are open during all of it, `each` of one room of the first ones."""

    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    rooms: int = 0
    each: int = 1
    has_moments: bool = False  # whether its frames say the timestamp of their row, as those of the stream do


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a client has to know."""

    port: int  # of sockets
    post_ports: tuple[int, ...]  # where there are several, in turn
    key: str
    load: Load
    requests_a_second: float
    warm_seconds: float
    seconds: float
    watching: Watching = Watching()
    rounds: int = 0  # one request each, when all is quiet, instead of a rate


@dataclass(slots=True)
class Told:
    """What became of one phase. Latencies are in seconds, and count from when a request was due."""

    statuses: dict[str, int] = field(default_factory=dict)  # 0: the connection broke
    unanswered: int = 0  # when we gave up waiting
    unseen: int = 0  # rows that some socket of their room was never shown, or not in time
    accepted: int = 0  # items of requests that were answered 202
    seconds: float = 0.0  # until the last answer
    sending_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)  # from when a POST was due to each frame that shows it
    lasts: list[float] = field(default_factory=list)  # of each round: to the last of all sockets
    frame_bytes: int = 0  # of the newest frame
    sockets: int = 0
    sent_late: list[float] = field(default_factory=list)  # how much later than due we came to send: our own part
    client_share: float = 0.0  # of a core that we needed


def write_plan(path: Path, plan: Plan) -> None:
    path.write_text(json.dumps(asdict(plan)))


def read_plan(path: Path) -> Plan:
    fields: dict[str, Any] = json.loads(path.read_text())
    load = fields.pop("load")
    stories = tuple([(seconds, text) for seconds, text in story] for story in load.pop("stories"))
    load = Load(stories=stories, rooms=tuple(load.pop("rooms")), **load)
    ports = tuple(fields.pop("post_ports"))
    return Plan(post_ports=ports, load=load, watching=Watching(**fields.pop("watching")), **fields)
