"""Incidents over REST: read those of a session or of all, and do with one what a person does on its page."""

from uuid import UUID

from django.http import JsonResponse
from django.utils.timezone import now
from ninja import Query, Router

from anomalies.life import Action, InvalidTransition
from anomalies.models import Actor, Anomaly, AnomalyQuerySet
from conductor import keys, live
from conductor.acts import ACTS, NoBreakPlanned
from conductor.api import answers
from conductor.api.paging import page, write_cursor
from conductor.api.problems import Problem, wrong_value
from conductor.api.reach import before, check_event, find_session, name_caller
from conductor.api.schemas import AnomalyOfEventQuery, AnomalyQuery, IncidentAction
from conductor.payloads import anomaly_payload

ITEMS_PER_PAGE = 100
FILTERS = {
    "since": "timestamp__gte",
    "until": "timestamp__lt",
    "severity": "severity",
    "anomaly_type": "anomaly_type",
    "status": "status",
}

router = Router(tags=["anomalies"])


@router.get("/anomalies", response=answers.AnomalyPage)
def list_anomalies_of_event(request: keys.KeyedRequest, query: Query[AnomalyOfEventQuery]) -> JsonResponse:
    """The incidents of all sessions of the event, newest first, 100 a page."""
    check_event(request)
    return _page(request, Anomaly.objects.for_event(request.auth.event_id), query)


@router.get("/sessions/{session_id}/anomalies", response=answers.AnomalyPage)
def list_anomalies(request: keys.KeyedRequest, session_id: UUID, query: Query[AnomalyQuery]) -> JsonResponse:
    """The incidents of a session, newest first, 100 a page."""
    find_session(request, session_id)
    return _page(request, Anomaly.objects.for_session(session_id), query)


@router.post("/sessions/{session_id}/anomalies/{anomaly_id}/actions", response=answers.Anomaly)
def act_on_anomaly(
    request: keys.KeyedRequest, session_id: UUID, anomaly_id: UUID, body: IncidentAction
) -> JsonResponse:
    """Do something with an incident; every screen shows it. 409 where it is not in a state that allows it."""
    find_session(request, session_id)
    anomaly = Anomaly.objects.for_session(session_id).select_related("session").filter(id=anomaly_id).first()
    if anomaly is None:
        raise Problem(404)
    at = now()
    try:
        ACTS[Action(body.action)](anomaly, body.model_dump(), Actor(body.by or name_caller(request)), at)
    except NoBreakPlanned as refused:
        raise wrong_value(["minutes"], f"Input should say for how long: {refused}") from refused
    except InvalidTransition as refused:
        raise Problem(409, f"Not done: {refused}.") from refused
    live.announce([live.SessionChange(session_id, row=None, acted=(anomaly,))], at)
    return JsonResponse(anomaly_payload(anomaly))


def _page(request: keys.KeyedRequest, anomalies: AnomalyQuerySet, query: AnomalyQuery) -> JsonResponse:
    wanted = {way: value for name, way in FILTERS.items() if (value := getattr(query, name, None)) is not None}
    found = anomalies.filter(**wanted).with_actions().order_by("-timestamp", "-id")
    if query.cursor:
        found = before(found, "timestamp", query.cursor)
    place = lambda anomaly: write_cursor(anomaly.timestamp, anomaly.id)  # noqa: E731
    return JsonResponse(page(request, found, ITEMS_PER_PAGE, anomaly_payload, place))
