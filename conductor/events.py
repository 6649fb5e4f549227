"""The pages of an event: what belongs to it, how it is made and changed, and its keys."""

from dataclasses import dataclass
from uuid import UUID

from django import forms
from django.contrib.auth.models import User
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from conductor import practice, tasks
from conductor.views import OrganizerRequest, find_event, for_organizers, posted
from engagement.membership import create_event
from engagement.models import ApiKey, Event, Invitation, Membership, Role, Session

SESSIONS_A_PAGE = 25
ROLES = [(role.value, role.value.capitalize()) for role in Role]


class EventForm(forms.ModelForm[Event]):
    """What an event is called, and how readily an incident opens in it."""

    class Meta:
        model = Event
        fields = ["name", "sensitivity"]
        widgets = {"sensitivity": forms.RadioSelect}


class NewEventForm(forms.ModelForm[Event]):
    class Meta:
        model = Event
        fields = ["name"]
        help_texts = {"name": "A conference, a course, a series of webinars: whatever its sessions have in common."}


class KeyForm(forms.ModelForm[ApiKey]):
    class Meta:
        model = ApiKey
        fields = ["name"]


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=ROLES, initial=Role.ORGANIZER.value)

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, label_suffix="", **options)  # type: ignore[misc,arg-type]


class MemberForm(RoleForm):
    """Somebody who has a login, by its name."""

    username = forms.CharField(label="User name", max_length=150)
    field_order = ["username", "role"]

    def clean_username(self) -> User:
        user = User.objects.filter(username=self.cleaned_data["username"], is_active=True).first()
        if user is None:
            raise forms.ValidationError("No login of that name works here. Invite them by a link.")
        return user


class InvitationForm(RoleForm):
    """Somebody who may have none yet."""

    note = forms.CharField(label="For whom", max_length=100, required=False, help_text="For your own list.")
    field_order = ["note", "role"]


@dataclass(frozen=True, slots=True)
class EventScreen:
    """What the page of an event shows to somebody with a role."""

    event: Event
    role: Role
    sessions: Page[Session]
    members: list[Membership]
    invitations: list[Invitation]  # for owners
    keys: list[ApiKey]  # none for viewers: what they are called is nobody's business who may not act
    base_url: str

    @property
    def roles(self) -> list[Role]:
        return list(Role)

    @property
    def may_act(self) -> bool:
        return self.role.covers(Role.ORGANIZER)

    @property
    def is_owned(self) -> bool:
        return self.role.covers(Role.OWNER)


@require_safe
@for_organizers
def event(request: OrganizerRequest, event_id: UUID) -> HttpResponse:
    """An event: its sessions, its members, its keys, its sensitivity."""
    return show_event(request, find_event(request.user, event_id))


def show_event(request: OrganizerRequest, event: Event, **more: object) -> HttpResponse:
    """Return the page of an event, with `more` of it: a form that was wrong, a key that was just made."""
    role = event.role_of(request.user)
    assert role is not None, "who has none finds no event"
    screen = EventScreen(
        event,
        role,
        Paginator(_newest(event), SESSIONS_A_PAGE).get_page(request.GET.get("page")),
        list(event.memberships.select_related("user")),
        list(Invitation.objects.open(now()).filter(event=event)) if role.covers(Role.OWNER) else [],
        list(ApiKey.objects.valid().filter(event=event)) if role.covers(Role.ORGANIZER) else [],
        request.build_absolute_uri("/"),
    )
    shown: dict[str, object] = {
        "screen": screen,
        "key_form": KeyForm(initial={"name": "My platform"}, auto_id="key-%s", label_suffix=""),
        "member_form": MemberForm(auto_id="member-%s"),
        "invitation_form": InvitationForm(auto_id="invitation-%s"),
    }
    return render(request, "events/event.html", shown | more)


def _newest(event: Event) -> QuerySet[Session]:
    return event.sessions.order_by("-created_at", "-id")


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def new_event(request: OrganizerRequest) -> HttpResponse:
    """The form for a new event; whoever sends it is its owner."""
    form = NewEventForm(posted(request), label_suffix="")
    if form.is_valid():
        return redirect("event", create_event(form.cleaned_data["name"], request.user).id)
    return render(request, "events/new.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def edit_event(request: OrganizerRequest, event_id: UUID) -> HttpResponse:
    """The form of what may change about an event; a change of its sensitivity counts from the next rows on."""
    event = find_event(request.user, event_id, Role.ORGANIZER)
    form = EventForm(posted(request), instance=event, label_suffix="")
    if form.is_valid():
        form.save()
        return redirect("event", event.id)
    return render(request, "events/edit.html", {"form": form, "event": Event.objects.get(id=event_id)})


@require_POST
@for_organizers
def make_key(request: OrganizerRequest, event_id: UUID) -> HttpResponse:
    """Make a key and show it. The answer is the only place where it ever stands, so it is no redirect."""
    event = find_event(request.user, event_id, Role.OWNER)
    form = KeyForm(request.POST, auto_id="key-%s", label_suffix="")
    if not form.is_valid():
        return show_event(request, event, key_form=form)
    key, secret = ApiKey.objects.issue(event, form.cleaned_data["name"])
    return show_event(request, event, made_key=key, secret=secret)


@require_POST
@for_organizers
def revoke_key(request: OrganizerRequest, event_id: UUID, key_id: UUID) -> HttpResponse:
    """Have a key open nothing any more, from a few seconds on; a second click changes nothing."""
    event = find_event(request.user, event_id, Role.OWNER)
    get_object_or_404(ApiKey, event=event, id=key_id).revoke(now())
    return redirect("event", event.id)


@require_POST
@for_organizers
def practise(request: OrganizerRequest, event_id: UUID | None = None) -> HttpResponse:
    """Have a practice room played, in an event of the user's; a second click leads to the same one."""
    event = find_event(request.user, event_id, Role.ORGANIZER) if event_id else practice.choose_event(request.user)
    try:
        session = practice.begin(event, now())
    except Event.DoesNotExist:  # it was erased just now
        raise Http404 from None
    tasks.wake([session.id])
    return redirect("session", session.id)
