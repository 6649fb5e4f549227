"""REST under /api/v1: parse, call one function, answer."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import register_converter, reverse
from django.urls.converters import StringConverter
from django.utils.timezone import now
from ninja import Body, Path, Query
from ninja.openapi.docs import Swagger
from ninja.parser import Parser
from ninja.security import HttpBearer
from pydantic_core import from_json

from conductor import keys, metrics, pipeline, tasks
from conductor.api import answers, beacons, cloudevents, incidents, webhooks
from conductor.api.content import read_content
from conductor.api.openapi import DocumentedAPI
from conductor.api.paging import page, read_cursor, write_cursor
from conductor.api.problems import Problem, answer_with_problems, wrong_value
from conductor.api.reach import before, check_event, find_session, name_caller
from conductor.api.schemas import (
    Break,
    EngagementQuery,
    NewSession,
    OneOrMany,
    PageQuery,
    RawEventBodies,
    RawEventsOfMany,
    SessionChanges,
    Signals,
    SignalsOfMany,
    Text,
)
from conductor.api.throttle import KeyLimit, spend_items
from conductor.payloads import bucket_payload, erasure_payload, report_payload, row_payload, session_payload
from conductor.report import write_report
from conductor.report_csv import write_csv
from engagement.buckets import read_means
from engagement.erasure import erase_person, erase_sessions
from engagement.events import record_events
from engagement.ingest import Recorded, RefusedReading, record_rows
from engagement.many import record_events_of_many, record_rows_of_many
from engagement.models import EngagementRow, Session
from engagement.sessions import create_session, revise_session

ROWS_PER_PAGE = 1_000
CSV = "text/csv"
RAW_EVENTS = {"post_events": False, "post_events_of_many": True}  # the calls that take them, and whether of many
ITEMS_PER_PAGE = 100


class BearerKey(HttpBearer):
    """`request.auth` is the `Caller` afterwards."""

    openapi_bearerFormat = "ec_…"
    openapi_description = "An API key of an event: made on the event's page or by `manage.py apikey`, shown once."

    def __call__(self, request: HttpRequest) -> keys.Caller | None:
        secret = keys.bearer(request.headers.get(self.header, ""))
        return self.authenticate(request, secret) if secret else None

    def authenticate(self, request: HttpRequest, token: str) -> keys.Caller | None:
        return keys.find_caller(token, monotonic())


class AnythingConverter(StringConverter):
    """The rest of an address, whatever it holds. Django's own `path` ends at a line break."""

    regex = r"[\s\S]+"


register_converter(AnythingConverter, "anything")


class StrictParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        """Read JSON as RFC 8259 has it, but for NaN and Infinity: these get through here, to be refused by name."""
        content = read_content(request)
        try:
            body = from_json(content, allow_inf_nan=True)
        except ValueError as error:
            raise Problem(400, f"The body is not JSON: {error}.") from error
        name = request.resolver_match.url_name if request.resolver_match else None
        if request.content_type == cloudevents.BATCH and name in RAW_EVENTS:
            return cloudevents.read_batch(body, of_many=RAW_EVENTS[name])
        return body


class OwnSwagger(Swagger):
    template_cdn = str(settings.BASE_DIR / "templates" / "ninja" / "swagger.html")  # ours: ninja is no app here


api = DocumentedAPI(
    title="Engagement Conductor",
    version="1",
    urls_namespace="api",
    description="Post what your audience does; read how engaged it is, and where that fell away. "
    "A key reaches the sessions of its own event. Timestamps are RFC 3339 with an offset, answered in UTC. "
    "Bodies are JSON, packed with gzip or not (`Content-Encoding: gzip`). "
    "A batch is taken whole or not at all, and a request may be repeated without fear.",
    auth=BearerKey(),
    throttle=KeyLimit(),
    parser=StrictParser(),
    # Without deep links: with them each call's button holds a link, which no reader can get at.
    docs=OwnSwagger(settings={"deepLinking": False}),
)
answer_with_problems(api)
api.add_router("", incidents.router)
api.add_router("", webhooks.router)
api.add_router("", beacons.router)


@api.post("/sessions", response={201: answers.Session, 200: answers.Session}, tags=["sessions"])
def post_session(request: keys.KeyedRequest, body: NewSession) -> JsonResponse:
    """Make a session: 201. Where `external_id` is known, 200 and the session that is there, unchanged."""
    check_event(request)
    fields = body.model_dump(exclude={"breaks"})
    try:
        session, is_new = create_session(request.auth.event_id, breaks=_pairs(body.breaks), **fields)
    except IntegrityError:
        check_event(request)
        raise
    return JsonResponse(
        _session(request, session),
        status=201 if is_new else 200,
        headers={"Location": reverse("api:get_session", args=[session.id])},
    )


@api.get("/sessions", response=answers.SessionPage, tags=["sessions"])
def list_sessions(request: keys.KeyedRequest, query: Query[PageQuery]) -> JsonResponse:
    """The sessions of the key's event, newest first, 100 a page."""
    sessions = Session.objects.filter(event_id=request.auth.event_id).order_by("-created_at", "-id")
    if query.cursor:
        sessions = before(sessions, "created_at", query.cursor)
    found = page(
        request,
        sessions,
        ITEMS_PER_PAGE,
        render=lambda session: _session(request, session),
        place=lambda session: write_cursor(session.created_at, session.id),
    )
    if not found["items"]:
        check_event(request)
    return JsonResponse(found)


@api.get("/sessions/{session_id}", response=answers.Session, tags=["sessions"])
def get_session(request: keys.KeyedRequest, session_id: UUID) -> JsonResponse:
    """One session."""
    return JsonResponse(_session(request, find_session(request, session_id)))


@api.patch("/sessions/{session_id}", response=answers.Session, tags=["sessions"])
def patch_session(request: keys.KeyedRequest, session_id: UUID, body: SessionChanges) -> JsonResponse:
    """Change the title or the plan of a session."""
    find_session(request, session_id)
    changes = body.model_dump(exclude_unset=True)
    if "breaks" in changes:
        changes["breaks"] = _pairs(body.breaks)
    return JsonResponse(_session(request, revise_session(session_id, changes)))


@api.delete("/sessions/{session_id}", response={202: answers.Erasure}, tags=["erasing"])
def delete_session(request: keys.KeyedRequest, session_id: UUID) -> JsonResponse:
    """Erase a session: it is gone at once, and everything of it within minutes. Its `external_id` is free again."""
    find_session(request, session_id)
    for erasure in erase_sessions([session_id], name_caller(request), now()):
        return JsonResponse(erasure_payload(erasure), status=202)
    raise Session.DoesNotExist  # somebody else erased it just now


@api.delete("/people/{anything:user}", response={202: answers.Erasure}, tags=["erasing"])
def delete_person(request: keys.KeyedRequest, user: Path[Text]) -> JsonResponse:
    """Erase a person, named as in your raw events, from every session of the event within minutes.

    Rows stay as they are: they hold numbers only. Where a session goes on, the room counts on with somebody whom nobody
    knows, and whoever comes with the old name afterwards is somebody new. `user` is URL-encoded, its slashes too.
    """
    check_event(request)
    erasure = erase_person(request.auth.event_id, user, name_caller(request), now())
    return JsonResponse(erasure_payload(erasure), status=202)


@api.post("/sessions/{session_id}/end", response=answers.Session, tags=["sessions"])
def end_session(request: keys.KeyedRequest, session_id: UUID) -> JsonResponse:
    """End a session: it takes no more signals. What was not judged yet is judged after, and what is open is resolved.

    Ending it again changes nothing.
    """
    find_session(request, session_id)
    session = pipeline.end_session(session_id, now())
    tasks.wake([session_id])
    return JsonResponse(_session(request, session))


@api.post("/sessions/{session_id}/signals", response={202: answers.Recorded}, tags=["engagement"])
def post_signals(request: keys.KeyedRequest, session_id: UUID, body: Body[OneOrMany]) -> JsonResponse:
    """Record one engagement row, or an array of up to 1,000. A row that is there already changes nothing."""
    find_session(request, session_id)
    received_at = now()
    rows = [body] if isinstance(body, Signals) else body
    spend_items(request.auth.event_id, len(rows))
    try:
        recorded = record_rows(session_id, [row.reading(received_at) for row in rows], received_at)
    except RefusedReading as refused:
        raise _wrong_reading(refused, is_alone=isinstance(body, Signals)) from refused
    metrics.count_rows(recorded)
    return _recorded(recorded, [session_id])


@api.post("/sessions/{session_id}/events", response={202: answers.RecordedEvents}, tags=["engagement"])
def post_events(request: keys.KeyedRequest, session_id: UUID, body: Body[RawEventBodies]) -> JsonResponse:
    """Record up to 1,000 raw events, in any order within the session's lateness bound.

    The server makes one engagement row of them every 5 s of event time. A session is told of by raw events or by
    signals, whichever comes first. CloudEvents are taken as well, as `application/cloudevents-batch+json`.
    """
    find_session(request, session_id)
    spend_items(request.auth.event_id, len(body))
    recorded = record_events(session_id, [event.event() for event in body], now())
    metrics.count_events(recorded)
    return _recorded(recorded, [session_id])


@api.post("/signals", response={202: answers.Recorded}, tags=["engagement"])
def post_signals_of_many(request: keys.KeyedRequest, body: Body[SignalsOfMany]) -> JsonResponse:
    """Record up to 5,000 engagement rows of any sessions of the event, each as if it were posted to its session.

    All or none: where sessions are unknown, have ended or are told of by raw events, `errors` names each item of them.
    """
    check_event(request)
    spend_items(request.auth.event_id, len(body))
    received_at = now()
    readings = [row.reading(received_at) for row in body]
    try:
        recorded, session_ids = record_rows_of_many(
            request.auth.event_id, [row.session_name for row in body], readings, received_at
        )
    except RefusedReading as refused:
        raise _wrong_reading(refused) from refused
    metrics.count_rows(recorded)
    return _recorded(recorded, session_ids)


@api.post("/events", response={202: answers.RecordedEvents}, tags=["engagement"])
def post_events_of_many(request: keys.KeyedRequest, body: Body[RawEventsOfMany]) -> JsonResponse:
    """Record up to 5,000 raw events of any sessions of the event, each as if it were posted to its session.

    All or none: where sessions are unknown, have ended or are told of by signals, `errors` names each item of them.
    """
    check_event(request)
    spend_items(request.auth.event_id, len(body))
    recorded, session_ids = record_events_of_many(
        request.auth.event_id, [event.session_name for event in body], [event.event() for event in body], now()
    )
    metrics.count_events(recorded)
    return _recorded(recorded, session_ids)


@api.get("/sessions/{session_id}/engagement", response=answers.EngagementPage, tags=["engagement"])
def list_engagement(request: keys.KeyedRequest, session_id: UUID, query: Query[EngagementQuery]) -> JsonResponse:
    """The engagement rows of a session, or their means over buckets of time; oldest first, 1,000 a page."""
    find_session(request, session_id)
    start = read_cursor(query.cursor)[0] if query.cursor else None
    if (width := query.bucket) is None:
        rows = EngagementRow.objects.for_session(session_id).between(query.since, query.until).order_by("timestamp")
        rows = rows.filter(timestamp__gt=start) if start else rows
        found = page(request, rows, ROWS_PER_PAGE, row_payload, lambda row: write_cursor(row.timestamp))
    else:
        since = max((at for at in (query.since, start) if at is not None), default=None)
        buckets = read_means(session_id, since, query.until, width, ROWS_PER_PAGE + 1)
        place = lambda bucket: write_cursor(bucket["bucket"] + width)  # noqa: E731
        found = page(request, buckets, ROWS_PER_PAGE, bucket_payload, place)
    return JsonResponse(found)


@api.get("/sessions/{session_id}/report", response=answers.Report, tags=["sessions"])
def get_report(request: keys.KeyedRequest, session_id: UUID) -> HttpResponse:
    """How a session went: its figures, the moves of its audience, its incidents with what people did.

    One that goes on, so far. `Accept: text/csv` gives the same as a table.
    """
    report = write_report(find_session(request, session_id))
    if request.get_preferred_type(["application/json", CSV]) == CSV:
        return HttpResponse(write_csv(report), f"{CSV}; charset=utf-8", headers={"Vary": "Accept"})
    payload = report_payload(report) | {"session": _session(request, report.session)}
    return JsonResponse(payload, headers={"Vary": "Accept"})


def _recorded(recorded: Recorded, session_ids: Iterable[UUID]) -> JsonResponse:
    """Have what was stored judged, and tell what became of the batch."""
    if recorded.accepted:
        tasks.wake(session_ids)
    return JsonResponse(asdict(recorded), status=202)


def _wrong_reading(refused: RefusedReading, *, is_alone: bool = False) -> Problem:
    place: list[str | int] = [] if is_alone else [refused.index]
    return wrong_value([*place, refused.field] if refused.field else place, refused.detail)


def _session(request: keys.KeyedRequest, session: Session) -> dict[str, object]:
    payload = session_payload(session)
    return payload | {"url": request.build_absolute_uri(str(payload["url"]))}


def _pairs(breaks: list[Break]) -> list[tuple[datetime, datetime]]:
    return [(planned.starts_at, planned.ends_at) for planned in breaks]
