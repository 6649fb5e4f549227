"""The demo: a scripted 45-minute webinar with two incidents, around which everything else is drawn. Pure.

`manage.py simulate --demo conductor/local/demo/webinar.jsonl.gz` wrote the recording that `manage.py up` plays.
"""

from math import exp

import numpy as np

from anomalies.bench.corpus import LabelledSession
from anomalies.bench.simulation.kinds import KINDS
from anomalies.bench.simulation.script import Script, Stretch
from anomalies.bench.simulation.session import FIRST_DAY, enact

DEMO_SEED = 3
FIRST_INCIDENT_SECOND = 12 * 60


def webinar_demo(seed: int = DEMO_SEED) -> LabelledSession:
    """Return a webinar of about 120 people: at minute 12 attention falls and comes back, at minute 31 many leave."""
    script = Script(
        kind=KINDS["webinar"],
        audience=120,
        emits="activity",
        seconds=45 * 60,
        overtime=0,  # the recording stops before everybody goes home
        chat=0.2,
        reactions=0.11,
        active=0.74,
        churn=exp(-5.5),
        reconnecting=0.5,
        stretches=[
            Stretch(
                FIRST_INCIDENT_SECOND,
                FIRST_INCIDENT_SECOND + 210,
                "SUDDEN_DROP",
                chat=0.2,
                reactions=0.2,
                active=0.5,
                rise=10,
                fall=30,
            ),
            Stretch(31 * 60, 31 * 60 + 105, "MASS_EXIT", exits=0.45, exit_seconds=45, rise=20),
            Stretch(24 * 60, 24 * 60 + 75, why="spike", chat=3, reactions=6, rise=8, fall=20),
        ],
        polls=[(19 * 60, 21 * 60, 0.7)],
    )
    return enact(np.random.default_rng(seed), script, "demo", FIRST_DAY, faulty=False)
