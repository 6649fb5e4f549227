"""The review desk of the admin: settle alerts with a key each, and see what the verdicts come to."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_POST, require_safe

from anomalies.life import Action, InvalidTransition
from anomalies.models import Actor, Anomaly
from conductor import live
from conductor.acts import ACTS, ActionForm
from conductor.screens.desk import Desk, show_desk
from conductor.screens.verdicts import reviewable, tally_verdicts
from conductor.spreadsheet import Cell, write_table
from engagement.moments import write_known_moment, write_moment

MOST_PASSED = 200  # alerts that one sitting passes over
COLUMNS = (
    "id", "session_id", "session", "event", "timestamp", "resolved_at", "anomaly_type", "severity", "anomaly_score",
    "sensitivity", "verdict", "by", "at", "note",
)  # fmt: skip


def for_reviewers(view: Any) -> Any:
    """Let in who may change anomalies in the admin."""

    def checked(request: HttpRequest, **arguments: object) -> HttpResponse:
        if not request.user.has_perm("anomalies.change_anomaly"):
            raise PermissionDenied
        return view(request, **arguments)  # type: ignore[no-any-return]

    return admin.site.admin_view(checked)


@require_safe
def desk(request: HttpRequest) -> HttpResponse:
    """The alert that is next, and what the verdicts come to."""
    event_id, passed = _event(request.GET.get("event")), _passed(request.GET)
    page = {"desk": show_desk(event_id, passed), "tables": tally_verdicts(event_id), "passed": passed}
    return render(request, "desk/desk.html", page)


@require_POST
def settle(request: HttpRequest, anomaly_id: UUID, action: Action) -> HttpResponse:
    """Settle an alert, or take back what was said of it; answer with the next."""
    assert isinstance(request.user, User)
    event_id, passed, at = _event(request.POST.get("event")), _passed(request.POST), now()
    anomaly = get_object_or_404(reviewable().select_related("session"), id=anomaly_id)
    form = ActionForm(action, request.POST)
    settled = None
    if form.is_valid():
        with suppress(InvalidTransition):  # somebody else was faster: the next alert is what there is to do
            ACTS[action](anomaly, form.cleaned_data, Actor.of(request.user), at)
            live.announce([live.SessionChange(anomaly.session_id, row=None, acted=(anomaly,))], at)
            settled = None if action == Action.UNDO else anomaly
    return _next(request, show_desk(event_id, passed, settled), passed)


@require_POST
def skip(request: HttpRequest, anomaly_id: UUID) -> HttpResponse:
    """Pass an alert over, for this sitting."""
    passed = [*_passed(request.POST), anomaly_id][-MOST_PASSED:]
    return _next(request, show_desk(_event(request.POST.get("event")), passed), passed)


@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """Every alert that was settled, as CSV."""
    settled = reviewable(_event(request.GET.get("event"))).exclude(review=Anomaly.Review.UNREVIEWED)
    found = settled.select_related("session__event", "reviewed_by").order_by("timestamp", "id").iterator(1_000)
    table = write_table(COLUMNS, map(_export, found))
    headers = {"Content-Disposition": 'attachment; filename="verdicts.csv"'}
    return HttpResponse(table, "text/csv; charset=utf-8", headers=headers)


def _export(anomaly: Anomaly) -> list[Cell]:
    event = anomaly.session.event
    return [
        str(anomaly.id), str(anomaly.session_id), anomaly.session.title, event.name, write_moment(anomaly.timestamp),
        write_known_moment(anomaly.resolved_at), anomaly.anomaly_type,
        anomaly.severity, anomaly.anomaly_score, anomaly.metadata.get("sensitivity", event.sensitivity),
        anomaly.get_review_display(), None if anomaly.reviewed_by is None else anomaly.reviewed_by.get_username(),
        write_known_moment(anomaly.reviewed_at), anomaly.note,
    ]  # fmt: skip


def _next(request: HttpRequest, shown: Desk, passed: list[UUID]) -> HttpResponse:
    if "HX-Request" in request.headers:
        return render(request, "desk/_desk_case.html", {"desk": shown, "passed": passed})
    query = "&".join([f"passed={id_}" for id_ in passed] + ([f"event={shown.event_id}"] if shown.event_id else []))
    return redirect(f"{reverse('desk')}?{query}")


def _event(text: str | None) -> UUID | None:
    with suppress(ValueError):
        return UUID(text) if text else None
    return None


def _passed(sent: Any) -> list[UUID]:
    return [id_ for id_ in map(_event, sent.getlist("passed")) if id_ is not None][-MOST_PASSED:]
