"""Whether what people tried in an event helped, as far as its incidents tell."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from anomalies.detector.changes import Reason
from anomalies.life import Action
from anomalies.models import Anomaly, AnomalyAction
from anomalies.remedies import Case, Effect, find_effects

MOST_CASES = 300  # of an event, the newest


def read_effects(event_ids: Collection[UUID]) -> dict[UUID, list[Effect]]:
    """Return the effects of what was tried in each event, what helped most first; two queries an event."""
    return {id_: find_effects(_cases(id_)) for id_ in event_ids}


def _cases(event_id: UUID) -> list[Case]:
    over = Anomaly.objects.for_event(event_id).exclude(resolved_at=None).exclude(status=Anomaly.Status.DISMISSED)
    found = over.order_by("-timestamp").values("id", "timestamp", "resolved_at", "metadata__history")[:MOST_CASES]
    tried = _first_tried(AnomalyAction.objects.filter(anomaly__event_id=event_id))
    return [_case(each, tried.get(each["id"])) for each in found]


def _first_tried(actions: QuerySet[AnomalyAction]) -> Mapping[UUID, tuple[str, datetime]]:
    done = actions.filter(action=Action.TRIED, undone_at=None).order_by("-id")
    return {anomaly_id: (tried, at) for anomaly_id, tried, at in done.values_list("anomaly_id", "tried", "at")}


def _case(incident: Mapping[str, Any], tried: tuple[str, datetime] | None) -> Case:
    lasted = incident["resolved_at"] - incident["timestamp"]
    history = incident["metadata__history"] or [{}]
    came_back = history[-1].get("reason") == Reason.RECOVERED
    if tried is None:
        return Case(lasted, came_back)
    what, at = tried
    return Case(lasted, came_back, what, min(lasted, max(timedelta(), at - incident["timestamp"])))
