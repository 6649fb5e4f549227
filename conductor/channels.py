"""The page of an event's channels: who is told, how that went, and what an organizer may do about it."""

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST

from anomalies.models import Anomaly
from conductor.models import MAX_DELAY_SECONDS, MAX_TARGET, Channel, ChannelQuerySet
from conductor.screens.channels import show_channels
from conductor.telling.channels import TYPES, RefusedChannel, make_channel, remove_channel
from conductor.telling.outbox import write_test
from conductor.views import OrganizerRequest, find_event, for_organizers, posted
from engagement.limits import MAX_TEXT
from engagement.models import Event, Role

DELAYS = [(0, "at once"), (30, "after half a minute"), (60, "after a minute"), (300, "after five minutes")]


class ChannelForm(forms.Form):
    """A new channel."""

    kind = forms.ChoiceField(label="How", choices=Channel.Kind.choices)
    target = forms.CharField(
        label="Where",
        max_length=MAX_TARGET,
        help_text="A mail address; the address of a chat as Apprise writes it, such as discord://…; or of a webhook, "
        "https://….",
    )
    name = forms.CharField(required=False, max_length=MAX_TEXT, help_text="What this page calls it.")
    types = forms.MultipleChoiceField(
        label="Of what",
        required=False,
        choices=[(each, each) for each in TYPES],
        widget=forms.CheckboxSelectMultiple,
        help_text="A webhook is told of all these where none is chosen. Mail and chat tell of an incident "
        "once, and of its end.",
    )
    least_severity = forms.ChoiceField(
        label="From", choices=Anomaly.Severity.choices, help_text="Less is not told, until it gets worse."
    )
    delay_seconds = forms.TypedChoiceField(
        label="When",
        choices=DELAYS,
        coerce=int,
        help_text="What is over before is not told at all.",
    )
    tells_end = forms.BooleanField(label="Tell that it is over, too", required=False, initial=True)
    is_mine = forms.BooleanField(
        label="Only I see it", required=False, help_text="It is silent while you do not organize the event."
    )

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{"label_suffix": ""} | options)
        if not settings.MAIL_URL:
            kinds = [choice for choice in Channel.Kind.choices if choice[0] != Channel.Kind.MAIL]
            self.fields["kind"].choices = kinds  # type: ignore[attr-defined]


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def channels(request: OrganizerRequest, event_id: UUID) -> HttpResponse:
    """The channels of an event; a form that is sent makes another one."""
    event = _event(request, event_id)
    form = ChannelForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            return _made(request, event, form)
        except RefusedChannel as refused:
            form.add_error("target", f"This cannot be told: {refused.detail}.")
    screen = show_channels(_visible(request, event), now())
    context = {"event": event, "form": form, "screen": screen, "has_mail": bool(settings.MAIL_URL),
               "has_links": bool(settings.PUBLIC_URL)}  # fmt: skip
    return render(request, "channels/channels.html", context)


@require_POST
@for_organizers
def act_on_channel(request: OrganizerRequest, event_id: UUID, channel_id: UUID, what: str) -> HttpResponse:
    """Try, pause, resume or delete a channel, and show the page again."""
    channel = get_object_or_404(_visible(request, _event(request, event_id)), id=channel_id)
    match what:
        case "test":
            write_test(channel, now())
        case "pause":
            channel.pause(now())
        case "resume":
            channel.resume()
        case "delete":
            remove_channel(channel)
            messages.info(request, f"{channel.name} is told nothing any more.")
    return redirect("event-channels", event_id)


class ChannelActConverter:
    """What may be done with a channel, in an address."""

    regex = "test|pause|resume|delete"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


def _made(request: OrganizerRequest, event: Event, form: ChannelForm) -> HttpResponse:
    """Make the channel that a form asks for; the secret of a webhook is shown on the next page and on no other."""
    wanted = form.cleaned_data
    channel = make_channel(
        event.id, Channel.Kind(wanted["kind"]), wanted["target"], now(), name=wanted["name"],
        types=wanted["types"] if wanted["kind"] == Channel.Kind.WEBHOOK else (),
        user=request.user if wanted["is_mine"] else None, least_severity=wanted["least_severity"],
        delay_seconds=min(wanted["delay_seconds"], MAX_DELAY_SECONDS), tells_end=wanted["tells_end"],
    )  # fmt: skip
    messages.success(request, f"{channel.name} is told from now on. Test it.")
    if channel.secret:
        messages.warning(request, f"The secret of {channel.name}, shown only now: {channel.secret}")
    return redirect("event-channels", event.id)


def _event(request: OrganizerRequest, event_id: UUID) -> Event:
    """Return the event, to who may change what happens in it: where a channel leads may be a secret."""
    return find_event(request.user, event_id, Role.ORGANIZER)


def _visible(request: OrganizerRequest, event: Event) -> ChannelQuerySet:
    return Channel.objects.for_event(event).seen_by(request.user)
