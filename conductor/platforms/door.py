"""The address that a platform calls: its signature is checked before anything is read or kept."""

from datetime import datetime
from time import time
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.timezone import now
from django.views.decorators.csrf import csrf_exempt

from conductor import keys, tasks
from conductor.api.problems import Problem, from_outage
from conductor.api.throttle import count, spend_items
from conductor.models import Platform
from conductor.platforms import bigbluebutton, zoom
from conductor.platforms.record import record_told
from conductor.platforms.told import Told, Unreadable

MAX_BODY = 256 * 1024
CHECKSUM = "checksum"


@csrf_exempt
def receive(request: HttpRequest, platform_id: UUID) -> HttpResponse:
    """Take what a platform tells, and answer 200 for whatever is signed and can be read, useful or not."""
    try:
        return _receive(request, platform_id)
    except Problem as problem:
        return problem.answer()
    except (OperationalError, InterfaceError) as error:
        return from_outage(error).answer()


def _receive(request: HttpRequest, platform_id: UUID) -> HttpResponse:
    if request.method != "POST":
        raise Problem(405, headers={"Allow": "POST"})
    platform = Platform.objects.filter(id=platform_id, event__erased_at=None).first()
    if platform is None:
        raise Problem(404)
    body = _read_body(request)
    if not _is_signed(request, platform, body, now()):
        raise Problem(401, "The signature is not one that was made with this platform's secret, or it is too old.")
    _spend_request(platform)
    try:
        if platform.kind == Platform.Kind.ZOOM and (proof := zoom.answer_validation(body, platform.secret)):
            return JsonResponse(proof)
        told = zoom.read(body) if platform.kind == Platform.Kind.ZOOM else bigbluebutton.read(body)
    except Unreadable as error:
        raise Problem(400, f"The body cannot be read: {error}.") from error
    return _record(platform, told)


def _read_body(request: HttpRequest) -> bytes:
    """Return the body. Raises a 413 where it is longer than any platform sends."""
    announced = request.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) > MAX_BODY:
        raise Problem(413, f"A platform sends {MAX_BODY // 1024} KB at most.")
    body = request.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise Problem(413, f"A platform sends {MAX_BODY // 1024} KB at most.")
    return body


def _is_signed(request: HttpRequest, platform: Platform, body: bytes, now: datetime) -> bool:
    if platform.kind == Platform.Kind.ZOOM:
        return zoom.is_signed(request.headers, body, platform.secret, now)
    bearer = keys.bearer(request.headers.get("Authorization", ""))
    checksum = request.GET.get(CHECKSUM, "")
    return bigbluebutton.is_signed(addresses_of(request, request.path), checksum, bearer, body, platform.secret)


def addresses_of(request: HttpRequest, path: str) -> list[str]:
    """Return how a platform may have been told to call us, the one to tell it first."""
    public = [settings.PUBLIC_URL + path] if settings.PUBLIC_URL else []
    return list(dict.fromkeys([*public, request.build_absolute_uri(path)]))


def _spend_request(platform: Platform) -> None:
    if settings.RATE_LIMIT and count("requests", platform.id, int(time()), 1, 2) > settings.RATE_LIMIT:
        raise Problem(429, "This platform sends too many requests.", headers={"Retry-After": "1"})


def _record(platform: Platform, told: list[Told]) -> JsonResponse:
    spend_items(platform.event_id, len(told))
    ignored, woken = record_told(platform, told, now())
    tasks.wake(woken)
    unused = sum(ignored.values())
    return JsonResponse({"used": len(told) - unused, "ignored": unused})
