"""Simulate live sessions: seeded, with labelled incidents and with what only looks like one. Pure."""

from engagement.simulation.demo import DEMO_SEED, webinar_demo
from engagement.simulation.kinds import KINDS
from engagement.simulation.plan import EMITS
from engagement.simulation.session import simulate

__all__ = ["DEMO_SEED", "EMITS", "KINDS", "simulate", "webinar_demo"]
