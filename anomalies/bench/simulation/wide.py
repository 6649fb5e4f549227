"""Draw sessions as widely as nobody knows how they are: shapes, depths, unrest, tempo, how rates come. Pure."""

from collections.abc import Sequence
from math import exp, log

import numpy as np

from anomalies.bench.simulation.degrade import DEGRADATIONS
from anomalies.bench.simulation.script import SHAPES, Manner, Script, Stretch
from engagement.readings import Reading

EMITS_ODDS = {"activity": 0.46, "actors": 0.2, "connected": 0.2, "chat": 0.14}
DEGRADED_CHANCE = 0.2
RECOVERY_CHANCE = 0.25
RAMP_SECONDS = (60.0, 720.0)  # of a gradual decline
STEP_SECONDS = (2.0, 25.0)  # of a sudden drop


def draw_emits(rng: np.random.Generator) -> str:
    """Return what the platform can tell."""
    return str(rng.choice(list(EMITS_ODDS), p=list(EMITS_ODDS.values())))


def unsettle(rng: np.random.Generator, script: Script) -> None:
    """Let the room, in place, differ more from others than its kind says."""
    script.chat *= exp(rng.normal(0.0, 0.4))
    script.reactions *= exp(rng.normal(0.0, 0.4))
    script.active = float(np.clip(rng.normal(0.69, 0.13), 0.3, 0.94))
    script.churn = exp(rng.normal(-5.0, 0.8))
    script.unrest = exp(rng.normal(-0.1, 0.25))
    script.tempo = exp(rng.normal(0.0, 0.4))


def draw_wide_incident(rng: np.random.Generator, script: Script, incident_type: str) -> Stretch:
    """Draw an incident of a type, at second 0: of any shape, depth and length that such a one may have."""
    match incident_type:
        case "MASS_EXIT":
            leaving = rng.uniform(8, 75)
            stretch = Stretch(0, leaving + 60, incident_type, exits=rng.uniform(0.17, 0.65), exit_seconds=leaving)
            stretch.chat, stretch.rise = rng.uniform(0.6, 1.7), 20
            stretch.returns = rng.uniform(0, 0.4) if rng.random() < RECOVERY_CHANCE else 0.0
            return stretch
        case "LOW_ENGAGEMENT":
            stretch = Stretch(0, rng.uniform(150, 700), incident_type, rise=rng.uniform(10, 90))
            stretch.chat, stretch.reactions = rng.uniform(0.0, 0.06), rng.uniform(0.0, 0.06)
            stretch.active = min(0.6, rng.uniform(0.08, 0.26) / script.active)
        case "GRADUAL_DECLINE":
            ramp = exp(rng.uniform(log(RAMP_SECONDS[0]), log(RAMP_SECONDS[1])))
            stretch = Stretch(0, ramp + rng.uniform(30, 240), incident_type, rise=ramp)
            stretch.chat, stretch.reactions = rng.uniform(0.05, 0.45), rng.uniform(0.05, 0.5)
            stretch.active = rng.uniform(0.35, 0.75)
            stretch.shape = str(rng.choice(SHAPES, p=(0.6, 0.25, 0.15)))
        case _:
            stretch = Stretch(0, rng.uniform(50, 400), incident_type, rise=rng.uniform(*STEP_SECONDS))
            stretch.chat, stretch.reactions = rng.uniform(0.05, 0.5), rng.uniform(0.03, 0.5)
            stretch.active = rng.uniform(0.3, 0.78)
    stretch.fall = rng.uniform(15, 90)
    stretch.recovers = rng.uniform(0.1, 0.5) if rng.random() < RECOVERY_CHANCE else 0.0
    return stretch


WIDE = Manner(unsettle, draw_wide_incident, rate_spread=0.3, least_snr=2.5)


def as_platforms_send(rng: np.random.Generator, rows: Sequence[Reading]) -> list[Reading]:
    """Return the rows as some platform gives them: exact, smoothed, rounded, or fewer."""
    names = list(DEGRADATIONS)
    name = names[int(rng.integers(len(names)))]
    return DEGRADATIONS[name](rows) if rng.random() < DEGRADED_CHANCE else list(rows)
