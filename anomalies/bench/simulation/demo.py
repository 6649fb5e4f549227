"""The demo: a scripted webinar with two incidents, and a calm workshop beside it. Pure.

`manage.py simulate --demo conductor/local/demo` wrote the recordings that `manage.py up` plays.
"""

from dataclasses import replace
from math import exp

import numpy as np

from anomalies.bench.corpus import LabelledSession
from anomalies.bench.simulation.kinds import KINDS
from anomalies.bench.simulation.script import Script, Stretch
from anomalies.bench.simulation.session import FIRST_DAY, enact

DEMO_SEED = 3
FILLING_ROWS = 60  # in which people come


def webinar_demo(seed: int = DEMO_SEED) -> LabelledSession:
    """Return 23 minutes of a webinar of about 120 people.

    At minute 12 attention falls, by less than half, and comes back; then a poll; at minute 18:30 six of ten leave, and
    come back within minutes.
    """
    script = Script(
        kind=KINDS["webinar"],
        audience=120,
        emits="activity",
        seconds=23 * 60,
        overtime=0,  # the recording stops before everybody goes home
        chat=0.2,
        reactions=0.11,
        active=0.74,
        churn=exp(-5.5),
        reconnecting=0.5,
        stretches=[
            Stretch(
                12 * 60, 14 * 60 + 30, "SUDDEN_DROP", chat=0.35, reactions=0.35, active=0.64, rise=10, fall=30
            ),
            Stretch(
                18 * 60 + 30, 19 * 60 + 45, "MASS_EXIT", exits=0.62, exit_seconds=40, rise=20, returns=0.95
            ),
        ],
        polls=[(16 * 60 + 30, 17 * 60 + 40, 0.9)],
    )  # fmt: skip
    return enact(np.random.default_rng(seed), script, "demo", FIRST_DAY, faulty=False)


def workshop_demo(seed: int = DEMO_SEED) -> LabelledSession:
    """Return 25 minutes of a workshop of about 40 people in which nothing happens; all of them are there."""
    script = Script(
        kind=KINDS["workshop"],
        audience=40,
        emits="activity",
        seconds=30 * 60,
        overtime=0,
        chat=0.35,
        reactions=0.15,
        active=0.8,
        churn=exp(-6.5),
        reconnecting=0.5,
    )
    played = enact(np.random.default_rng(seed), script, "calm", FIRST_DAY, faulty=False)
    return replace(played, rows=played.rows[FILLING_ROWS:])
