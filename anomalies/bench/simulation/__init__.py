"""Simulate live sessions: seeded, with labelled incidents and with what only looks like one. Pure."""

from anomalies.bench.simulation.demo import DEMO_SEED, webinar_demo, workshop_demo
from anomalies.bench.simulation.kinds import KINDS
from anomalies.bench.simulation.script import EMITS
from anomalies.bench.simulation.session import MAKERS, simulate

__all__ = ["DEMO_SEED", "EMITS", "KINDS", "MAKERS", "simulate", "webinar_demo", "workshop_demo"]
