"""Draw what will happen in a simulated session: timetable, incidents, and what must stay quiet. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, log, sqrt

import numpy as np

from anomalies.bench.simulation.kinds import KINDS, SessionKind

WARM_UP_SECONDS = 330
INCIDENT_TYPES = ("SUDDEN_DROP", "GRADUAL_DECLINE", "MASS_EXIT", "LOW_ENGAGEMENT")
INCIDENT_ODDS = (0.32, 0.2, 0.26, 0.22)
INCIDENTS_PER_SESSION = (0.3, 0.42, 0.18, 0.1)
DEAD_START_CHANCE = 0.04
# What the platform can tell: all of it; no focus and blur; joins and leaves alone; chat alone.
DRAWN = ("activity", "actors", "connections", "chat")
DRAWN_ODDS = (0.7, 0.16, 0.06, 0.08)
# Only where it is asked for: all that people do, and of those who are there that they are active; all of it, and hands,
# devices, voices and questions; the same, but no focus and blur.
EMITS = (*DRAWN, "connected", "everything", "signs")
RATE_SPREAD = 0.5  # the deviation of a healthy rate that no count explains, as a part of it
LEAST_SNR = 3.0  # a weaker incident is not in the data, so it is not in the labels either
FIRST_INCIDENT_SECOND = 150
SHAPES = ("line", "curve", "stairs")


@dataclass(slots=True)
class Stretch:
    """Something that lasts from `start` to `end` (seconds): an incident by its type, or a quiet one by its why."""

    start: float
    end: float
    type: str | None = None
    why: str = ""
    chat: float = 1.0  # what the rates and the active share are multiplied by, at its deepest
    reactions: float = 1.0
    active: float = 1.0
    rise: float = 15.0  # seconds until it is at its deepest
    fall: float = 30.0  # seconds back to normal, after the end
    exits: float = 0.0  # share of the audience that leaves ...
    exit_seconds: float = 0.0  # ... in the first so many seconds ...
    returns: float = 0.0  # ... and share of those that come back minutes later
    lost: float = 0.0  # share of the events that never reach us
    shape: str = "line"  # one of SHAPES: how it gets to its deepest
    recovers: float = 0.0  # part of the fall that is made good long before the end
    snr: float | None = None


@dataclass(slots=True)
class Script:
    """All that is drawn before the first second."""

    kind: SessionKind
    audience: int
    emits: str
    seconds: int  # planned length
    overtime: int  # rows go on for so long after the planned end
    chat: float  # per head and minute
    reactions: float
    active: float  # share of the audience in focus
    churn: float  # leaves per head and minute
    reconnecting: float  # share of the leaves that come back within the grace time
    unrest: float = 1.0  # what the deviations are multiplied by with which a healthy mood wanders ...
    tempo: float = 1.0  # ... and the seconds in which it forgets what it was
    stretches: list[Stretch] = field(default_factory=list)
    breaks: list[Stretch] = field(default_factory=list)
    polls: list[tuple[int, int, float]] = field(default_factory=list)  # opens, closes, share that votes

    @property
    def tells_focus(self) -> bool:
        return self.emits in ("activity", "everything")

    @property
    def tells_signs(self) -> bool:
        return self.emits in ("everything", "signs")

    @property
    def incidents(self) -> list[Stretch]:
        return [stretch for stretch in self.stretches if stretch.type]


def draw_script(
    rng: np.random.Generator,
    kind: str | None,
    audience: int | None,
    emits: str | None,
    quiet: bool,
    manner: "Manner | None" = None,
) -> Script:
    """Draw a session. What is given is kept; `quiet` leaves out every incident."""
    manner = manner or Manner()
    names = list(KINDS)
    weights = np.array([KINDS[name].weight for name in names])
    drawn = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    chosen = KINDS[kind or drawn]
    low, high = chosen.audience
    people = audience or int(np.clip(rng.lognormal(*chosen.log_audience), low, high))
    crowding = -chosen.chat_slope * (log(people) - chosen.log_audience[0])
    script = Script(
        kind=chosen,
        audience=people,
        emits=emits or str(rng.choice(DRAWN, p=DRAWN_ODDS)),
        seconds=round(60 * rng.uniform(*chosen.minutes)),
        overtime=int(rng.integers(18, 41)) * 5,
        chat=exp(crowding + rng.normal(*chosen.log_chat)),
        reactions=exp(crowding + rng.normal(*chosen.log_reactions)),
        active=float(np.clip(rng.normal(0.71, 0.09), 0.48, 0.92)),
        churn=exp(rng.normal(-5.0, 0.5)),
        reconnecting=rng.uniform(0.2, 0.7),
    )
    manner.unsettle(rng, script)
    _plan_breaks(rng, script)
    if not quiet:
        _plan_incidents(rng, script, manner)
    _plan_quiet_stretches(rng, script)
    _plan_polls(rng, script)
    return script


def find_place(
    rng: np.random.Generator, script: Script, seconds: float, earliest: float, margin: float
) -> float | None:
    """Return a start at which a stretch keeps `margin` seconds from all others and from the end, if there is one."""
    latest = script.seconds - seconds - 150
    for _ in range(30 if latest > earliest else 0):
        start = float(rng.uniform(earliest, latest))
        if all(
            start - margin > other.end or start + seconds + margin < other.start
            for other in script.stretches + script.breaks
        ):
            return start
    return None


def draw_incident(rng: np.random.Generator, script: Script, incident_type: str) -> Stretch:
    """Draw an incident of a type, at second 0."""
    deep = script.emits in ("actors", "chat", "signs")  # nothing but what people do can show it there
    match incident_type:
        case "MASS_EXIT":
            leaving = rng.uniform(10, 60)
            return Stretch(
                0,
                leaving + 60,
                "MASS_EXIT",
                exits=rng.uniform(0.18, 0.6),
                exit_seconds=leaving,
                chat=rng.uniform(0.7, 1.6),
                rise=20,
                returns=rng.uniform(0, 0.4) if rng.random() < 0.3 else 0.0,
            )
        case "LOW_ENGAGEMENT":
            return Stretch(
                0,
                rng.uniform(180, 600),
                "LOW_ENGAGEMENT",
                chat=rng.uniform(0.0, 0.05),
                reactions=rng.uniform(0.0, 0.05),
                active=rng.uniform(0.1, 0.26) / script.active,
                rise=rng.uniform(15, 50),
                fall=rng.uniform(20, 60),
            )
        case "GRADUAL_DECLINE":
            seconds = rng.uniform(110, 420)
            return Stretch(
                0,
                seconds,
                "GRADUAL_DECLINE",
                chat=rng.uniform(0.05, 0.25 if deep else 0.4),
                reactions=rng.uniform(0.05, 0.4),
                active=rng.uniform(0.4, 0.72),
                rise=0.8 * seconds,
                fall=rng.uniform(20, 60),
            )
    return Stretch(
        0,
        rng.uniform(60, 300),
        "SUDDEN_DROP",
        chat=rng.uniform(0.05, 0.25 if deep else 0.5),
        reactions=rng.uniform(0.03, 0.5),
        active=rng.uniform(0.35, 0.75),
        rise=rng.uniform(3, 18),
        fall=rng.uniform(15, 50),
    )


def signal_to_noise(script: Script, stretch: Stretch, rate_spread: float = RATE_SPREAD) -> float:
    """Return how far the incident stands out of the session's usual spread, in standard deviations."""
    people = float(script.audience)
    if stretch.exits:
        if script.emits == "chat":
            return 0.0
        leavers = stretch.exits * people
        usual = script.churn * people * stretch.exit_seconds / 60
        return leavers / sqrt(usual + 1.0) if leavers >= 3 else 0.0
    if script.emits == "connections":
        return 0.0
    minutes = min(2.0, (stretch.end - stretch.start) / 60) * (0.5 if stretch.rise > 60 else 1.0)
    squares = _count_z(script.chat * people * minutes, stretch.chat, rate_spread) ** 2
    if script.emits != "chat":
        squares += _count_z(script.reactions * people * minutes, stretch.reactions, rate_spread) ** 2
    if script.tells_focus:
        share = script.active
        squares += ((1 - stretch.active) * share / sqrt(share * (1 - share) / people + 0.08**2)) ** 2
    return sqrt(squares)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a session is drawn: what unsettles its room, in place, and how an incident of a type comes out."""

    unsettle: Callable[[np.random.Generator, Script], None] = lambda rng, script: None
    draw_incident: Callable[[np.random.Generator, Script, str], Stretch] = draw_incident
    rate_spread: float = RATE_SPREAD  # by which it is told how far an incident stands out ...
    least_snr: float = LEAST_SNR  # ... and which are too weak to be one


def _count_z(expected: float, factor: float, rate_spread: float) -> float:
    return (1 - factor) * expected / sqrt(2.5 * expected + (rate_spread * expected) ** 2 + 0.5)


def _plan_breaks(rng: np.random.Generator, script: Script) -> None:
    if script.seconds > 40 * 60 and rng.random() < script.kind.break_chance:
        seconds = rng.uniform(300, 600)
        start = script.seconds * rng.uniform(0.4, 0.65)
        script.breaks.append(
            Stretch(
                round(start),
                round(start + seconds),
                why="planned break",
                chat=0.06,
                reactions=0.03,
                active=rng.uniform(0.35, 0.6) / script.active,
                rise=8,
                fall=20,
            )
        )


def _plan_incidents(rng: np.random.Generator, script: Script, manner: "Manner") -> None:
    if script.tells_focus and rng.random() < DEAD_START_CHANCE:
        dead = manner.draw_incident(rng, script, "LOW_ENGAGEMENT")
        dead.end = min(dead.end + 180, script.seconds - 300.0)
        dead.rise = 1.0
        dead.start, dead.snr = 0.0, signal_to_noise(script, dead, manner.rate_spread)
        script.stretches.append(dead)
    for _ in range(int(rng.choice(4, p=INCIDENTS_PER_SESSION))):
        incident = manner.draw_incident(rng, script, str(rng.choice(INCIDENT_TYPES, p=INCIDENT_ODDS)))
        incident.snr = signal_to_noise(script, incident, manner.rate_spread)
        if incident.snr < manner.least_snr:
            continue
        earliest = FIRST_INCIDENT_SECOND if rng.random() < 0.12 else WARM_UP_SECONDS
        start = find_place(rng, script, incident.end, earliest, 240)
        if start is not None:
            incident.start, incident.end = start, start + incident.end
            script.stretches.append(incident)


def _plan_quiet_stretches(rng: np.random.Generator, script: Script) -> None:
    def place(chance: float, stretch: Stretch, margin: float = 120) -> None:
        if rng.random() < chance:
            start = find_place(rng, script, stretch.end, WARM_UP_SECONDS, margin)
            if start is not None:
                stretch.start, stretch.end = start, start + stretch.end
                script.stretches.append(stretch)

    for _ in range(2):
        cheer = Stretch(0, rng.uniform(60, 120), why="spike", rise=rng.uniform(5, 30), fall=rng.uniform(10, 40))
        cheer.chat, cheer.reactions = rng.uniform(2, 7), rng.uniform(2.5, 8)
        place(0.35, cheer)
    if script.tells_focus:  # elsewhere nobody could tell these from a real drop
        listening = Stretch(0, rng.uniform(60, 240), why="listening", active=rng.uniform(0.97, 1.1), rise=30)
        listening.chat, listening.reactions = rng.uniform(0.4, 0.75), rng.uniform(0.35, 0.8)
        place(0.35, listening)
        place(0.15, Stretch(0, rng.uniform(70, 120), why="lost events", lost=rng.uniform(0.6, 1.0)))
    if script.audience >= 40:
        seconds = rng.uniform(600, 1200)
        drift = Stretch(0, seconds, why="audience drift", exits=rng.uniform(0.08, 0.22), exit_seconds=seconds)
        place(0.3, drift, margin=30)


def _plan_polls(rng: np.random.Generator, script: Script) -> None:
    if script.emits in ("connections", "chat"):
        return
    opens = rng.uniform(200, 700)
    while opens < script.seconds - 200:
        closes = opens + rng.uniform(60, 150)
        if not any(opens < planned.end and closes > planned.start for planned in script.breaks):
            script.polls.append((round(opens), round(closes), float(rng.uniform(0.35, 0.95))))
        opens = closes + 120 + rng.exponential(3600 / script.kind.polls_per_hour)
