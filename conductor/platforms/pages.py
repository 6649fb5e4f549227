"""The page of an event's platforms: which call us, where, and what was heard of each."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST

from conductor.models import Platform
from conductor.platforms.bigbluebutton import write_registration
from conductor.platforms.door import addresses_of
from conductor.screens.platforms import show_platforms
from conductor.views import OrganizerRequest, find_event, for_organizers, posted
from engagement.models import Event, Role

MOST_PLATFORMS = 50  # of one event


class PlatformForm(forms.ModelForm[Platform]):
    """A platform that is to call us. Its secret is typed once, and never shown."""

    kind = forms.ChoiceField(label="Platform", choices=Platform.Kind.choices)

    class Meta:
        model = Platform
        fields = ["name", "kind", "secret"]
        help_texts = {
            "name": "What this page calls it.",
            "secret": "Zoom: the secret token of your app. BigBlueButton: the shared secret of the server. It is kept "
            "to check who calls, and not shown again.",
        }
        widgets = {"secret": forms.PasswordInput(attrs={"autocomplete": "off"})}

    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"]
        if not (secret.isascii() and secret.isprintable()):
            raise forms.ValidationError("A secret has letters, digits and signs only.")
        return secret


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def platforms(request: OrganizerRequest, event_id: UUID) -> HttpResponse:
    """The platforms that call an event; a form that is sent makes another one."""
    event = find_event(request.user, event_id, Role.ORGANIZER)
    form = PlatformForm(posted(request), label_suffix="")
    if form.is_valid():
        if event.platforms.count() < MOST_PLATFORMS:
            return _make(request, event, form)
        form.add_error(None, f"An event has {MOST_PLATFORMS} platforms at most: delete one that is not used.")
    return _show(request, event, form=form)


@require_POST
@for_organizers
def remove_platform(request: OrganizerRequest, event_id: UUID, platform_id: UUID) -> HttpResponse:
    """Hear of a platform no more. What it told stays."""
    event = find_event(request.user, event_id, Role.ORGANIZER)
    platform = get_object_or_404(Platform, event=event, id=platform_id)
    platform.delete()
    messages.info(request, f"{platform.name} is not listened to any more. Its sessions stay.")
    return redirect("event-platforms", event_id)


def _make(request: OrganizerRequest, event: Event, form: PlatformForm) -> HttpResponse:
    """Make a platform and show where it is to call. No redirect: what registers us holds a digest of the secret."""
    platform = form.save(commit=False)
    platform.event, platform.pepper, platform.created_at = event, Platform.draw_pepper(), now()
    platform.save(force_insert=True)
    registration = ""
    if platform.kind == Platform.Kind.BIG_BLUE_BUTTON:
        registration = write_registration(_address(request, platform), platform.secret)
    return _show(request, event, form=PlatformForm(label_suffix=""), made=platform, registration=registration)


def _show(request: OrganizerRequest, event: Event, **more: Any) -> HttpResponse:
    found = event.platforms.prefetch_related("heard")
    cards = show_platforms((platform, _address(request, platform)) for platform in found)
    made = next((card for card in cards if card.platform == more.get("made")), None)
    return render(request, "platforms/platforms.html", {"event": event, "cards": cards} | more | {"made": made})


def _address(request: OrganizerRequest, platform: Platform) -> str:
    return addresses_of(request, reverse("platform", args=[platform.id]))[0]
