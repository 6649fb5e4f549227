"""The beacon's script, as a page of anybody's loads it, and the page on which organizers make tokens for it."""

import hashlib
from dataclasses import dataclass
from functools import cache
from uuid import UUID

import rjsmin
from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import parse_etags
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from conductor.keys import CACHE_SECONDS
from conductor.sites import read_origin
from conductor.views import OrganizerRequest, find_session, for_organizers, posted
from engagement.limits import MAX_ORIGIN, MAX_ORIGINS
from engagement.models import BeaconToken, Role, Session

SOURCE = settings.BASE_DIR / "static" / "beacon" / "index.js"
KEPT_SECONDS = 3_600
# Where it came from is where it reports to. A page that wants more than that imports the module.
BEGIN = """
const script = document.currentScript, { token, consent } = script.dataset;
globalThis.engagement = connect({ token, url: script.src, consent: consent === undefined });
"""


@cache
def write_script() -> bytes:
    """Return the module as a script that begins by itself."""
    module = SOURCE.read_text().replace("export function", "function")
    script = rjsmin.jsmin(f"(() => {{\n{module}{BEGIN}}})();")
    return f"{script}\n".encode()


@require_safe
def script(request: HttpRequest) -> HttpResponse:
    """The script. Anybody's page may have it: it holds no secret."""
    content = write_script()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": f"public, max-age={KEPT_SECONDS}",
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    # Of a packed answer, as browsers are sent it, the tag is a weak one.
    if tag in [each.removeprefix("W/") for each in parse_etags(request.headers.get("If-None-Match", ""))]:
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(content, "text/javascript; charset=utf-8", headers=headers)


class TokenForm(forms.Form):
    """A token for a page."""

    name = forms.CharField(max_length=100, initial="My page", help_text="In which page it is, for your own list.")
    origins = forms.CharField(
        label="Where your page is",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        max_length=MAX_ORIGIN * MAX_ORIGINS,
        help_text="Its address up to the first slash, such as https://player.example.org; several on a line each. "
        "From anywhere else nothing is taken.",
    )

    def clean_origins(self) -> list[str]:
        lines = self.cleaned_data["origins"].split()
        if len(lines) > MAX_ORIGINS:
            raise forms.ValidationError(f"A token names {MAX_ORIGINS} places at most.")
        try:
            return list(dict.fromkeys(map(read_origin, lines)))
        except ValueError as error:
            raise forms.ValidationError(f"Each {error}.") from error


@dataclass(frozen=True, slots=True)
class BeaconScreen:
    """What the page of a session's beacon shows."""

    session: Session
    tokens: list[BeaconToken]
    base_url: str
    revoked_after_seconds: int = round(CACHE_SECONDS)


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def beacon(request: OrganizerRequest, session_id: UUID) -> HttpResponse:
    """The tokens of a session. A new one stands in this answer and nowhere else, so that is no redirect."""
    session = find_session(request.user, session_id, Role.ORGANIZER)
    here = request.build_absolute_uri("/")
    form = TokenForm(posted(request), initial={"origins": here.rstrip("/")}, label_suffix="")
    made: dict[str, object] = {}
    if form.is_valid():
        token, secret = BeaconToken.objects.issue(session, form.cleaned_data["name"], form.cleaned_data["origins"])
        made = {"made": token, "secret": secret, "may_try": here.rstrip("/") in token.origins}
        form = TokenForm(initial={"origins": here.rstrip("/")}, label_suffix="")
    tokens = list(BeaconToken.objects.valid().filter(session=session))
    screen = BeaconScreen(session, tokens, f"{settings.PUBLIC_URL}/" if settings.PUBLIC_URL else here)
    return render(request, "sessions/beacon.html", {"screen": screen, "form": form} | made)


@require_POST
@for_organizers
def revoke_token(request: OrganizerRequest, session_id: UUID, token_id: UUID) -> HttpResponse:
    """Have a token write nothing any more, from a few seconds on; a second click changes nothing."""
    session = find_session(request.user, session_id, Role.ORGANIZER)
    get_object_or_404(BeaconToken, session=session, id=token_id).revoke(now())
    return redirect("session-beacon", session.id)
