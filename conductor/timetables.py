"""Sessions as organizers plan them: made, changed, ended and erased, with times in a zone of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, cast
from uuid import UUID

from django import forms
from django.db import IntegrityError
from django.forms.utils import ErrorDict, ErrorList
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods

from conductor import live, pipeline, tasks
from conductor.views import OrganizerRequest, find_event, find_session, for_organizers, posted
from conductor.zones import MomentField, ZonedForm, find_zone, known_zone, remember_zone, zone_choices
from engagement.cursors import Busy
from engagement.erasure import erase_sessions
from engagement.limits import MAX_TEXT
from engagement.models import Event, Role, Session
from engagement.sessions import RefusedTimetable, create_session, revise_session

MOST_BREAKS = 50
Pairs = list[tuple[datetime, datetime]]


class SessionForm(ZonedForm):
    """What a session is called, and when it is."""

    title = forms.CharField(max_length=MAX_TEXT)
    zone = forms.ChoiceField(label="Time zone", choices=zone_choices, help_text="Of the times below. It is remembered.")
    starts_at = MomentField(label="Planned start", required=False)
    ends_at = MomentField(
        label="Planned end", required=False, help_text="From then on nobody is missed. It does not end the session."
    )


class BreakForm(ZonedForm):
    """A planned break."""

    starts_at = MomentField(label="Break starts")
    ends_at = MomentField(label="Break ends")


class BreakForms(forms.BaseFormSet[BreakForm]):
    """The planned breaks; each knows the one that was stored in its place."""

    def __init__(self, data: QueryDict | None, zone: tzinfo, stored: Pairs):
        self.stored = stored
        super().__init__(data, prefix="breaks", initial=[{} for _ in stored], form_kwargs={"zone": zone})

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        begin, end = self.stored[index] if index is not None and index < len(self.stored) else (None, None)
        return super().get_form_kwargs(index) | {"stored": {"starts_at": begin, "ends_at": end}}

    def add_fields(self, form: BreakForm, index: int | None) -> None:
        super().add_fields(form, index)
        form.fields["DELETE"].label = "Remove it"

    def filled(self) -> list[BreakForm]:
        """Return those that are to be, by when they start."""
        kept = [form for form in self.forms if form.cleaned_data.get("starts_at") and not form.cleaned_data["DELETE"]]
        return sorted(kept, key=lambda form: form.cleaned_data["starts_at"])


BreaksOf = cast(
    type[BreakForms],
    forms.formset_factory(
        BreakForm, formset=BreakForms, extra=0, can_delete=True, max_num=MOST_BREAKS, absolute_max=MOST_BREAKS
    ),
)


@dataclass(slots=True)
class Plan:
    """The form of a session as it was sent, or as it stands at first."""

    form: SessionForm
    breaks: BreakForms
    is_sent: bool

    @classmethod
    def read(cls, request: OrganizerRequest, session: Session | None) -> "Plan":
        """Return the form; one more break in it where that was asked for, and nothing said of what is not done yet."""
        data = posted(request)
        wants_break = data is not None and "add_break" in data
        name = (data.get("zone") if data else None) or find_zone(request, request.user)
        zone = known_zone(name)
        stored = {"starts_at": session.starts_at, "ends_at": session.ends_at} if session else {}
        form = SessionForm(
            data, zone=zone, stored=stored, initial={"zone": name, "title": session.title if session else ""}
        )
        breaks = BreaksOf(_with_another(data) if wants_break else data, zone, session.planned_breaks if session else [])
        if wants_break:
            _say_nothing(form, breaks)
        return cls(form, breaks, is_sent=data is not None and not wants_break)

    def is_valid(self) -> bool:
        return self.is_sent and all([self.form.is_valid(), self.breaks.is_valid()])

    @property
    def fields(self) -> dict[str, Any]:
        told = self.form.cleaned_data
        pairs = [(form.cleaned_data["starts_at"], form.cleaned_data["ends_at"]) for form in self.breaks.filled()]
        return {**{name: told[name] for name in ("title", "starts_at", "ends_at")}, "breaks": pairs}

    def refuse(self, refused: RefusedTimetable) -> None:
        """Say at the field that is wrong why it is."""
        if refused.path[0] == "breaks":
            form: forms.Form = self.breaks.filled()[int(refused.path[1])]
        else:
            form = self.form
        name = str(refused.path[-1])
        words = refused.detail.replace("its starts_at", "its start").replace("starts_at", "the planned start")
        form.add_error(name, f"{form.fields[name].label} {words}.")


def _say_nothing(form: SessionForm, breaks: BreakForms) -> None:
    """Have what was typed shown again and not judged: whoever asks for one more field is not done."""
    for each in (form, *breaks.forms):
        each._errors = ErrorDict()  # type: ignore[attr-defined]  # what is there already is not looked for
    breaks._errors, breaks._non_form_errors = [], ErrorList()  # type: ignore[attr-defined]


def _with_another(data: QueryDict | None) -> QueryDict | None:
    """Return what was sent with room for one more break."""
    if data is None:
        return None
    more = data.copy()
    count = more.get("breaks-TOTAL_FORMS", "")
    more["breaks-TOTAL_FORMS"] = str(min(int(count) + 1 if count.isdecimal() else 1, MOST_BREAKS))
    return more


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def new_session(request: OrganizerRequest, event_id: UUID) -> HttpResponse:
    """The form for a session of an event."""
    event = find_event(request.user, event_id, Role.ORGANIZER)
    plan = Plan.read(request, None)
    if plan.is_valid():
        try:
            session, _ = create_session(event.id, **plan.fields)
        except RefusedTimetable as refused:
            plan.refuse(refused)
        except IntegrityError:  # the event was erased just now
            raise Http404 from None
        else:
            remember_zone(request.user, plan.form.cleaned_data["zone"])
            return redirect("session", session.id)
    return _show(request, event, plan, None)


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def edit_session(request: OrganizerRequest, session_id: UUID) -> HttpResponse:
    """The form of a session; only what was changed is, so that nobody takes back what somebody else did meanwhile."""
    session = find_session(request.user, session_id, Role.ORGANIZER)
    plan = Plan.read(request, session)
    if plan.is_valid():
        try:
            _revise(session, plan.fields)
        except RefusedTimetable as refused:
            plan.refuse(refused)
        else:
            remember_zone(request.user, plan.form.cleaned_data["zone"])
            return redirect("session", session.id)
    return _show(request, session.event, plan, session)


def _revise(session: Session, fields: dict[str, Any]) -> None:
    stored = {
        "title": session.title,
        "starts_at": session.starts_at,
        "ends_at": session.ends_at,
        "breaks": session.planned_breaks,
    }
    changes = {name: value for name, value in fields.items() if value != stored[name]}
    if not changes:
        return
    try:
        revise_session(session.id, changes)
    except Session.DoesNotExist:  # it was erased just now
        raise Http404 from None
    live.announce([live.SessionChange(session.id, row=None)], now())


def _show(request: OrganizerRequest, event: Event, plan: Plan, session: Session | None) -> HttpResponse:
    return render(request, "events/session_form.html", {"event": event, "plan": plan, "session": session})


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def end_session(request: OrganizerRequest, session_id: UUID) -> HttpResponse:
    """Ask whether a session is to end, and end it."""
    session = find_session(request.user, session_id, Role.ORGANIZER)
    if request.method != "POST":
        return render(request, "events/session_end.html", {"session": session})
    pipeline.end_session(session.id, now())
    tasks.wake([session.id])
    return redirect("session", session.id)


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def delete_session(request: OrganizerRequest, session_id: UUID) -> HttpResponse:
    """Ask whether a session is to go with all that was measured, and have it erased."""
    session = find_session(request.user, session_id, Role.ORGANIZER)
    if request.method != "POST":
        return render(request, "events/session_delete.html", {"session": session})
    if not _erase([session.id], request.user.get_username()):
        return render(request, "events/session_delete.html", {"session": session, "is_busy": True}, status=409)
    return redirect("event", session.event_id)


def _erase(session_ids: Sequence[UUID], by: str) -> bool:
    """Erase sessions; return False where somebody is at work on one of them."""
    try:
        erase_sessions(session_ids, by, now())
    except Busy:
        return False
    return True
