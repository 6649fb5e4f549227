"""The pages, and the clicks on them."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeGuard
from uuid import UUID

from asgiref.sync import iscoroutinefunction
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.decorators import sync_and_async_middleware
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh
from django_htmx.middleware import HtmxDetails

from anomalies.life import Action, InvalidTransition
from anomalies.models import Actor, Anomaly
from conductor import live
from conductor.acts import ACTS, ActionForm
from conductor.payloads import report_payload
from conductor.report import compare_sessions, write_report
from conductor.report_csv import write_csv
from conductor.screens.history import show_history
from conductor.screens.rooms import list_rooms
from conductor.screens.session import Range, render_chart, show_page
from conductor.screens.standing import Choice
from engagement.models import Event, Role, Session

P = ParamSpec("P")

MOST_EVENTS = 20  # that the list of sessions links to


class HtmxRequest(HttpRequest):
    """A request as django-htmx's middleware leaves it."""

    htmx: HtmxDetails


class OrganizerRequest(HtmxRequest):
    """A request of somebody who is logged in."""

    user: User


def is_logged_in(request: HtmxRequest) -> TypeGuard[OrganizerRequest]:
    return request.user.is_authenticated


def for_organizers(
    view: Callable[Concatenate[OrganizerRequest, P], HttpResponse],
) -> Callable[Concatenate[HtmxRequest, P], HttpResponse]:
    """Send whoever is not logged in to the login page, and a fragment's page too: it cannot show a login."""

    @wraps(view)
    def checked(request: HtmxRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if is_logged_in(request):
            return view(request, *args, **kwargs)
        if request.htmx:
            return HttpResponseClientRefresh()
        return redirect_to_login(request.get_full_path())

    return checked


@sync_and_async_middleware
def kept_nowhere(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Have nobody store an answer that does not say how long it may be kept, as static files do.

    So the browser asks again where somebody goes back after a logout, and a proxy has nothing to give to the next one.
    """
    if iscoroutinefunction(get_response):

        async def answer_later(request: HttpRequest) -> HttpResponse:
            return _say_not_to_keep(await get_response(request))

        return answer_later

    return lambda request: _say_not_to_keep(get_response(request))


def _say_not_to_keep(response: HttpResponse) -> HttpResponse:
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@require_safe
@for_organizers
def sessions(request: OrganizerRequest) -> HttpResponse:
    """The organizer's sessions, worst first."""
    choice = Choice.read(request.GET.dict())
    listing = list_rooms(request.user, choice, now(), request.build_absolute_uri("/"))
    is_searchable = listing.is_many or bool(choice.query)
    context = {
        "list": listing.whole,
        "choice": choice,
        "is_searchable": is_searchable,
        "is_projector": request.GET.get("projector") == "1",
        "events": Event.objects.for_organizer(request.user)[:MOST_EVENTS],
    }
    return render(request, "sessions/list.html", context)


@require_safe
@for_organizers
def session(request: OrganizerRequest, session_id: UUID) -> HttpResponse:
    """The dashboard of one session; for htmx that names a range, the chart alone."""
    session = find_session(request.user, session_id)
    wanted = Range.read(request.GET.get("range"))
    if request.htmx and wanted:
        return HttpResponse(render_chart(session, now(), wanted))
    context = {
        "session": session,
        "page": show_page(session, now(), wanted),
        "role": session.event.role_of(request.user),
    }
    return render(request, "sessions/session.html", context)


@require_safe
@for_organizers
def session_anomalies(request: OrganizerRequest, session_id: UUID) -> HttpResponse:
    """Every incident of one session, newest first, filtered by severity and type."""
    screen = show_history(find_session(request.user, session_id), request.GET)
    return render(request, "anomalies/history.html", {"screen": screen})


@require_safe
@for_organizers
def report(request: OrganizerRequest, session_id: UUID) -> HttpResponse:
    """How a session went; as a table or as JSON where `format` asks for it."""
    written = write_report(find_session(request.user, session_id))
    name = f"report-{written.session.id}"
    match request.GET.get("format"):
        case "csv":
            return HttpResponse(write_csv(written), "text/csv; charset=utf-8", headers=_as_file(f"{name}.csv"))
        case "json":
            return JsonResponse(report_payload(written), headers=_as_file(f"{name}.json"))
    chart = render_chart(written.session, now(), Range.WHOLE)
    return render(request, "sessions/report.html", {"report": written, "chart": chart})


@require_safe
@for_organizers
def compare(request: OrganizerRequest, event_id: UUID) -> HttpResponse:
    """The figures of an event's sessions beside each other, newest first, a page at a time."""
    event = find_event(request.user, event_id)
    return render(request, "sessions/compare.html", {"event": event, "page": compare_sessions(event, request.GET)})


@require_POST
@for_organizers
def act(request: OrganizerRequest, session_id: UUID, anomaly_id: UUID, action: Action) -> HttpResponse:
    """Do something with an incident; a second click, or one that comes late, changes nothing."""
    session = find_session(request.user, session_id, Role.ORGANIZER)
    anomaly = get_object_or_404(Anomaly.objects.for_session(session), id=anomaly_id)
    form = ActionForm(action, request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest(" ".join(f"{name}: {said[0]}" for name, said in form.errors.items()))
    with suppress(InvalidTransition):
        ACTS[action](anomaly, form.cleaned_data, Actor.of(request.user), now())
    return _told(request, session_id, acted=(anomaly,))


@require_POST
@for_organizers
def choose_sensitivity(request: OrganizerRequest, session_id: UUID) -> HttpResponse:
    """Say how readily an incident opens, in all sessions of the event; the answer says it, with what takes it back."""
    event = find_session(request.user, session_id, Role.ORGANIZER).event
    chosen, instead_of = request.POST.get("sensitivity"), request.POST.get("instead_of", "")
    if chosen not in Event.Sensitivity.values:
        return HttpResponseBadRequest(f"Choose one of {', '.join(Event.Sensitivity.values)}.")
    former = event.choose_sensitivity(chosen, instead_of)
    going_on = event.sessions.exclude(status=Session.Status.ENDED).values_list("id", flat=True)
    told = {"event": event, "session_id": session_id, "former": former, "is_late": event.sensitivity != chosen}
    words = render_to_string("parts/sensitivity_told.html", told)
    if not request.htmx:
        messages.info(request, words)
    return _told(request, session_id, *going_on, words=words)


def _told(
    request: OrganizerRequest, session_id: UUID, *others: UUID, words: str = "", acted: tuple[Anomaly, ...] = ()
) -> HttpResponse:
    """Answer a click: the push changes every screen, the clicker's too. Without htmx the page comes anew."""
    changes = [live.SessionChange(session_id, row=None, acted=acted)]
    changes += [live.SessionChange(id_, row=None) for id_ in {*others} - {session_id}]
    live.announce(changes, now())
    if request.htmx:
        return HttpResponse(words) if words else HttpResponse(status=204)
    return redirect("session", session_id)


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def posted(request: HttpRequest) -> QueryDict | None:
    """Return what was sent, for a form; None where it is only looked at."""
    return request.POST if request.method == "POST" else None


def find_event(user: User, event_id: UUID, least: Role = Role.VIEWER) -> Event:
    """Return an event that a user may see. Raises `PermissionDenied` where they may do less there than `least`."""
    event = get_object_or_404(Event.objects.for_organizer(user), id=event_id)
    _check_role(event, user, least)
    return event


def find_session(user: User, session_id: UUID, least: Role = Role.VIEWER) -> Session:
    """As `find_event`, of a session."""
    session = get_object_or_404(Session.objects.for_organizer(user).select_related("event"), id=session_id)
    _check_role(session.event, user, least)
    return session


def _check_role(event: Event, user: User, least: Role) -> None:
    if least is Role.VIEWER:
        return
    role = event.role_of(user)
    if role is None or not role.covers(least):
        who = "an owner" if least is Role.OWNER else "an organizer or an owner"
        raise PermissionDenied(f"Only {who} of {event.name} may do that.")
