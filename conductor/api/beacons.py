"""Beacons over REST: what tabs report, with a token that writes and reads nothing; and the tokens, with a key."""

from dataclasses import asdict
from time import monotonic
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.timezone import now
from ninja import Body, Router

from conductor import keys, metrics, tasks
from conductor.api import answers
from conductor.api.problems import Problem
from conductor.api.reach import find_session
from conductor.api.schemas import BeaconTokenWish, VisitReport
from conductor.api.throttle import SpentByTab, spend_report
from conductor.logins import find_address
from conductor.payloads import beacon_token_payload
from engagement.limits import MAX_REPORT_BYTES
from engagement.models import BeaconToken, BeaconTokenQuerySet
from engagement.visitors import record_report

UNKNOWN = "This token is not known here, or it was revoked."
OTHER_ORIGIN = "This token is not for pages of that origin: name it where the token is made."
NO_ORIGIN = "A beacon is in a page, and a browser says of which origin that is."
TOO_LARGE = f"A report of a beacon holds {MAX_REPORT_BYTES:,} bytes at most."

router = Router(tags=["beacons"])


class ReportRequest(HttpRequest):
    """A report of a page whose token was found, and is for it."""

    auth: keys.Holder
    shared_with: dict[str, str]  # the headers by which its browser lets the page read the answer


def share_with(origin: str) -> dict[str, str]:
    """Return the headers by which a browser lets a page of this origin read the answer, and no other."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "Retry-After",
        "Vary": "origin",
    }


def find_holder(request: HttpRequest) -> keys.Holder:
    """Return who holds the token of the address. Raises `Problem`: 401 or 403."""
    assert request.resolver_match
    token, origin = request.resolver_match.kwargs["token"], request.headers.get("Origin", "")
    holder = keys.TOKENS.find(token, monotonic())
    former = BeaconToken.objects.of_secret(token).first() if holder is None else None
    # A page that may use the token, or could, is told why it may no more.
    if origin in (former.origins if former else holder.origins if holder else ()):
        request.shared_with = share_with(origin)  # type: ignore[attr-defined]
    if holder is None:
        raise Problem(401, UNKNOWN, headers={"WWW-Authenticate": 'Token realm="engagement-conductor"'})
    if origin not in holder.origins:
        raise Problem(403, OTHER_ORIGIN if origin else NO_ORIGIN)
    if len(request.body) > MAX_REPORT_BYTES:
        raise Problem(413, TOO_LARGE)
    return holder


@router.post("/beacon/{token}", response={202: answers.RecordedEvents}, auth=find_holder, throttle=[])
def post_report(request: ReportRequest, token: str, body: Body[VisitReport]) -> JsonResponse:
    """Report how a tab is, from a page of an origin that the token names: what of it is new becomes raw events.

    It is sent as JSON that is said to be `text/plain`, as browsers send that anywhere without asking first. Who says
    nothing for a minute, or for two and a half where the page is not seen, has left.
    """
    holder = request.auth
    address = find_address(request) or ""
    report = body.report()
    if request.headers.get("Sec-GPC") == "1":
        report = report.made_private()
    spend_report(SpentByTab(holder.token_id, holder.event_id, address, report.size))
    recorded = record_report(holder.session_id, report, now())
    metrics.count_events(recorded)
    if recorded.accepted:
        tasks.wake([holder.session_id])
    return JsonResponse(asdict(recorded), status=202, headers=request.shared_with)


@router.get("/sessions/{session_id}/beacon-tokens", response=answers.BeaconTokenList)
def list_beacon_tokens(request: keys.KeyedRequest, session_id: UUID) -> JsonResponse:
    """The tokens of a session's beacons that work, newest first."""
    find_session(request, session_id)
    return JsonResponse({"items": [beacon_token_payload(each) for each in _tokens(session_id)]})


@router.post("/sessions/{session_id}/beacon-tokens", response={201: answers.NewBeaconToken})
def post_beacon_token(request: keys.KeyedRequest, session_id: UUID, body: BeaconTokenWish) -> JsonResponse:
    """Make a token with which pages of some origins write into a session, and read nothing.

    It is in this answer and in no other.
    """
    session = find_session(request, session_id)
    token, secret = BeaconToken.objects.issue(session, body.name, list(dict.fromkeys(body.origins)))
    return JsonResponse(beacon_token_payload(token) | {"token": secret}, status=201)


@router.delete("/sessions/{session_id}/beacon-tokens/{token_id}", response={204: None})
def revoke_beacon_token(request: keys.KeyedRequest, session_id: UUID, token_id: UUID) -> HttpResponse:
    """Revoke a token: within seconds nothing is taken with it any more.

    Whoever is there by it leaves as they do who fall silent.
    """
    find_session(request, session_id)
    token = BeaconToken.objects.filter(session_id=session_id, id=token_id).first()
    if token is None:
        raise Problem(404)
    token.revoke(now())
    return HttpResponse(status=204)


def _tokens(session_id: UUID) -> BeaconTokenQuerySet:
    return BeaconToken.objects.valid().filter(session_id=session_id)
