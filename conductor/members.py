"""Who belongs to an event: members and invitations, and the page at which an invitation's link ends."""

from uuid import UUID

from django.contrib.auth import login
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST

from conductor.events import InvitationForm, MemberForm, RoleForm, show_event
from conductor.views import HtmxRequest, OrganizerRequest, find_event, for_organizers, is_logged_in, posted
from engagement.membership import (
    InvalidInvitation,
    NoOwnerLeft,
    accept_invitation,
    add_member,
    change_role,
    find_invitation,
    invite,
    remove_member,
)
from engagement.models import Event, Invitation, Membership, Role

OWNERLESS = "An event always has an owner. Make somebody else one first."
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"  # of two, the one that the login is kept under


class NewUserForm(UserCreationForm[User]):
    """A login, made by the person themselves."""

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username", "email")
        labels = {"username": "User name", "email": "E-mail address"}
        help_texts = {
            "username": "Up to 150 letters, digits and @ . + - _",
            "email": "To get a new password by. May be left empty.",
        }


@require_POST
@for_organizers
def add(request: OrganizerRequest, event_id: UUID) -> HttpResponse:
    """Make somebody a member who has a login."""
    event = find_event(request.user, event_id, Role.OWNER)
    form = MemberForm(request.POST, auto_id="member-%s")
    if form.is_valid():
        user: User = form.cleaned_data["username"]
        if add_member(event, user, Role(form.cleaned_data["role"])):
            return _back(event)
        form.add_error("username", f"{user} belongs to the event already. Change the role in the list.")
    return show_event(request, event, member_form=form)


@require_POST
@for_organizers
def change(request: OrganizerRequest, event_id: UUID, user_id: int) -> HttpResponse:
    """Give a member another role."""
    event = find_event(request.user, event_id, Role.OWNER)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest(f"Choose one of {', '.join(Role)}.")
    try:
        change_role(event, user_id, Role(form.cleaned_data["role"]))
    except (Membership.DoesNotExist, Event.DoesNotExist):
        raise Http404 from None
    except NoOwnerLeft:
        return show_event(request, event, members_error=OWNERLESS)
    return _back(event)


@require_POST
@for_organizers
def remove(request: OrganizerRequest, event_id: UUID, user_id: int) -> HttpResponse:
    """Let somebody be a member no more; anybody may so leave. Their open sockets end within seconds."""
    event = find_event(request.user, event_id, Role.VIEWER if user_id == request.user.pk else Role.OWNER)
    try:
        remove_member(event, user_id)
    except (Membership.DoesNotExist, Event.DoesNotExist):
        raise Http404 from None
    except NoOwnerLeft:
        return show_event(request, event, members_error=OWNERLESS)
    return redirect("sessions") if user_id == request.user.pk else _back(event)


@require_POST
@for_organizers
def invite_somebody(request: OrganizerRequest, event_id: UUID) -> HttpResponse:
    """Make an invitation and show its link. The answer is the only place where it ever stands, so it is no redirect."""
    event = find_event(request.user, event_id, Role.OWNER)
    form = InvitationForm(request.POST, auto_id="invitation-%s")
    if not form.is_valid():
        return show_event(request, event, invitation_form=form)
    role = Role(form.cleaned_data["role"])
    invitation, token = invite(event, role, form.cleaned_data["note"], request.user, now())
    link = request.build_absolute_uri(reverse("invitation", args=[token]))
    return show_event(request, event, invitation=invitation, link=link)


@require_POST
@for_organizers
def withdraw(request: OrganizerRequest, event_id: UUID, invitation_id: UUID) -> HttpResponse:
    """Have the link of an invitation lead nowhere."""
    event = find_event(request.user, event_id, Role.OWNER)
    get_object_or_404(Invitation.objects.open(now()), event=event, id=invitation_id).delete()
    return _back(event)


@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HtmxRequest, token: str) -> HttpResponse:
    """Where an invitation's link ends: who has a login accepts, who has none makes one and is in."""
    try:
        found = find_invitation(token, now())
    except InvalidInvitation:
        return _over(request)
    if is_logged_in(request):
        if request.method == "POST":
            return _accept(request, token, request.user)
        return render(request, "accounts/invitation.html", {"invitation": found})
    form = NewUserForm(posted(request), label_suffix="")
    if form.is_valid():
        return _join(request, token, form)
    return render(request, "accounts/invitation.html", {"invitation": found, "form": form})


def _join(request: HtmxRequest, token: str, form: NewUserForm) -> HttpResponse:
    """Make a login that belongs to the event; neither, where somebody else has used the link just now."""
    try:
        with transaction.atomic():
            user = form.save()
            event = accept_invitation(token, user, now())
    except InvalidInvitation:
        return _over(request)
    login(request, user, MODEL_BACKEND)
    return redirect("event", event.id)


def _accept(request: HtmxRequest, token: str, user: User) -> HttpResponse:
    try:
        return redirect("event", accept_invitation(token, user, now()).id)
    except InvalidInvitation:
        return _over(request)


def _over(request: HtmxRequest) -> HttpResponse:
    return render(request, "accounts/invitation_over.html", status=404)


def _back(event: Event) -> HttpResponse:
    return redirect(reverse("event", args=[event.id]) + "#members")
