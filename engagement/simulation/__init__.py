"""Simulate live sessions: seeded, with labelled incidents and with what only looks like one. Pure."""

from engagement.simulation.demo import webinar_demo
from engagement.simulation.kinds import KINDS
from engagement.simulation.session import simulate

__all__ = ["KINDS", "simulate", "webinar_demo"]
