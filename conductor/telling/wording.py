"""What people read of an incident: which room, what, how bad, what to try, and where to look. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engagement.moments import read_moment
from engagement.wording import write_duration, write_name, write_score

RESOLVED, TEST = "anomaly.resolved", "webhook.test"


@dataclass(frozen=True, slots=True)
class Words:
    title: str
    body: str


def write_message(kind: str, data: Mapping[str, Any], room: str, event: str, link: str) -> Words:
    """Return what people are told; the title alone says all that cannot wait.

    >>> write_message("webhook.test", {}, "", "Spring summit", "").title
    'Test: Spring summit can reach you here'
    """
    if kind == TEST:
        return Words(f"Test: {event} can reach you here", "Nothing has happened. Incidents are told like this.")
    what = write_name(data["anomaly_type"])
    if kind == RESOLVED:
        lasted = write_duration(read_moment(data["resolved_at"]) - read_moment(data["timestamp"]))
        return Words(f"{room}: {what.lower()} is over", _lines(f"It lasted {lasted}.", link))
    title = f"{write_name(data['severity'])} in {room}: {what.lower()}"
    return Words(title, _lines(data["description"], _write_scores(data), _write_advice(data), link))


def _write_scores(data: Mapping[str, Any]) -> str:
    now, expected = data["current_engagement"], data["expected_engagement"]
    if now is None or expected is None:
        return ""
    return f"Score {write_score(now)}, expected {write_score(expected)}."


def _write_advice(data: Mapping[str, Any]) -> str:
    advice = data["metadata"].get("advice")
    return f"Try: {advice}" if advice else ""


def _lines(*lines: str) -> str:
    return "\n".join(filter(None, lines))
