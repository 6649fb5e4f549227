"""Who may pass which door: every address and socket, with what each kind of visitor is answered.

A door that is in the product and not in these tables fails a test, so that nobody adds one and forgets to say whom it
lets in. The requests are real ones; what they change is taken back after each.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from asgiref.sync import sync_to_async
from auditlog.models import LogEntry
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from django.utils.timezone import now

from anomalies.life import Action
from conductor.api.routes import api
from conductor.asgi import sockets
from conductor.models import Channel
from conductor.tests import stage
from conductor.tests.platforms.payloads import make_platform
from conductor.tests.rest import signals
from conductor.tests.test_consumers import cookie_of, open_socket  # noqa: F401  a fixture
from engagement.erasure import erase_person
from engagement.membership import invite
from engagement.models import ApiKey, BeaconToken, Event, Role, Session, Upload

ROLES = (
    "anonymous",
    "organizer",  # of the event
    "owner",  # of the event
    "viewer",  # of the event
    "stranger",  # who organizes another event
    "inactive",  # an organizer of the event, deactivated
    "staff",  # without a permission
    "superuser",
    "key",  # of the event
    "other key",  # of another event
    "revoked key",  # of the event
)
SEALED = "Sealed"  # in the titles of the event and its session: a word that only their own people may read

# What each role is answered, in the order of the roles:
#           ano org own vie str ina sta sup key oth rev
EVERYBODY = 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200
NOTHING = 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404
NOBODY = 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401  # but whoever signs
LOGIN = 200, 302, 302, 302, 302, 200, 302, 302, 200, 200, 200
ADMIN_LOGIN = 200, 200, 200, 200, 200, 200, 302, 302, 200, 200, 200
LOGOUT = 302, 302, 302, 302, 302, 302, 302, 302, 302, 302, 302
OWN_LIST = 302, 200, 200, 200, 200, 302, 200, 200, 302, 302, 302
OWN_PAGE = 302, 200, 200, 200, 404, 302, 404, 200, 302, 302, 302
ANYBODYS_CLICK = 302, 302, 302, 302, 302, 302, 302, 302, 302, 302, 302
OWNERS_CLICK = 302, 403, 302, 403, 404, 302, 404, 302, 302, 302, 302
OWNERS_ANSWER = 302, 403, 200, 403, 404, 302, 404, 200, 302, 302, 302
EDITORS_PAGE = 302, 200, 200, 403, 404, 302, 404, 200, 302, 302, 302
OWN_CLICK = 302, 302, 302, 403, 404, 302, 404, 302, 302, 302, 302
STAFF = 302, 302, 302, 302, 302, 302, 200, 200, 302, 302, 302
STAFF_SENT_ON = 302, 302, 302, 302, 302, 302, 302, 302, 302, 302, 302
PERMITTED = 302, 302, 302, 302, 302, 302, 403, 200, 302, 302, 302
PERMITTED_OR_UNKNOWN = 302, 302, 302, 302, 302, 302, 404, 200, 302, 302, 302
PERMITTED_CLICK = 302, 302, 302, 302, 302, 302, 403, 302, 302, 302, 302
FORBIDDEN = 302, 302, 302, 302, 302, 302, 403, 403, 302, 302, 302
UNKNOWN_TO_STAFF = 302, 302, 302, 302, 302, 302, 404, 404, 302, 302, 302
ANY_KEY = 401, 401, 401, 401, 401, 401, 401, 401, 200, 200, 401
ANY_KEY_MAKES = 401, 401, 401, 401, 401, 401, 401, 401, 201, 201, 401
OWN_KEY = 401, 401, 401, 401, 401, 401, 401, 401, 200, 404, 401
OWN_KEY_POSTS = OWN_KEY_ERASES = 401, 401, 401, 401, 401, 401, 401, 401, 202, 404, 401
OWN_KEY_POSTS_MANY = 401, 401, 401, 401, 401, 401, 401, 401, 202, 422, 401
OWN_KEY_MAKES = 401, 401, 401, 401, 401, 401, 401, 401, 201, 404, 401
NO_PAGE = 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403
OWN_KEY_DELETES = 401, 401, 401, 401, 401, 401, 401, 401, 204, 404, 401
ANY_KEY_ERASES = 401, 401, 401, 401, 401, 401, 401, 401, 202, 202, 401

Answers = tuple[int, ...]


def admin_pages(model: str, id_: str, **answers: Answers) -> dict[str, Answers]:
    """Return the pages that every model has in the admin, each for whoever has its permission unless said otherwise."""
    pages = {
        "": PERMITTED,
        "add/": answers.get("add", PERMITTED),
        f"{id_}/": STAFF_SENT_ON,
        f"{id_}/change/": PERMITTED,
        f"{id_}/history/": PERMITTED,
        f"{id_}/delete/": answers.get("delete", PERMITTED),
    }
    return {f"GET /admin/{model}/{page}": told for page, told in pages.items()}


DOORS: dict[str, Answers] = {
    "GET /": OWN_LIST,
    "GET /sessions/{session}/": OWN_PAGE,
    "GET /sessions/{session}/anomalies/": OWN_PAGE,
    **{f"POST /sessions/{{session}}/anomalies/{{anomaly}}/{action}/": OWN_CLICK for action in Action},
    "GET /sessions/{session}/report/": OWN_PAGE,
    "GET /events/{event}/report/": OWN_PAGE,
    "GET /sessions/{session}/edit/": EDITORS_PAGE,
    "GET /sessions/{session}/end/": EDITORS_PAGE,
    "GET /sessions/{session}/delete/": EDITORS_PAGE,
    "POST /sessions/{session}/edit/": OWN_CLICK,
    "POST /sessions/{session}/end/": OWN_CLICK,
    "POST /sessions/{session}/delete/": OWN_CLICK,
    "GET /sessions/{session}/beacon/": EDITORS_PAGE,
    "POST /sessions/{session}/beacon/": EDITORS_PAGE,
    "POST /sessions/{session}/beacon/{beacon}/revoke/": OWN_CLICK,
    "GET /beacon.js": EVERYBODY,
    "GET /events/{event}/sessions/new/": EDITORS_PAGE,
    "POST /events/{event}/sessions/new/": OWN_CLICK,
    "GET /events/new/": OWN_LIST,
    "POST /practice/": ANYBODYS_CLICK,
    "POST /events/{event}/practice/": OWN_CLICK,
    "GET /events/{event}/": OWN_PAGE,
    "GET /events/{event}/edit/": EDITORS_PAGE,
    "POST /events/{event}/edit/": OWN_CLICK,
    "POST /events/{event}/keys/": OWNERS_ANSWER,
    "POST /events/{event}/members/": OWNERS_CLICK,
    "POST /events/{event}/members/{user}/": OWNERS_CLICK,
    "POST /events/{event}/members/{user}/remove/": (302, 302, 302, 403, 404, 302, 404, 302, 302, 302, 302),
    "POST /events/{event}/invitations/": OWNERS_ANSWER,
    "POST /events/{event}/invitations/{invitation}/withdraw/": OWNERS_CLICK,
    "GET /invitations/{token}/": EVERYBODY,
    "POST /events/{event}/keys/{apikey}/revoke/": OWNERS_CLICK,
    "GET /events/{event}/channels/": EDITORS_PAGE,
    "POST /events/{event}/channels/": OWN_CLICK,
    **{
        f"POST /events/{{event}}/channels/{{webhook}}/{what}/": OWN_CLICK
        for what in ("test", "pause", "resume", "delete")
    },
    "GET /events/{event}/platforms/": EDITORS_PAGE,
    "POST /events/{event}/platforms/": EDITORS_PAGE,
    "POST /events/{event}/platforms/{platform}/delete/": OWN_CLICK,
    "POST /api/v1/platforms/{platform}": NOBODY,
    "POST /sessions/{session}/sensitivity/": OWN_CLICK,
    "GET /recordings/": OWN_LIST,
    "POST /recordings/": OWN_LIST,
    "GET /recordings/{upload}/": OWN_PAGE,
    "POST /recordings/{upload}/": OWN_CLICK,
    "GET /accounts/": OWN_LIST,
    "POST /accounts/": ANYBODYS_CLICK,
    "GET /accounts/password/": OWN_LIST,
    "POST /accounts/password/": OWN_LIST,
    "GET /accounts/reset/": EVERYBODY,
    "POST /accounts/reset/": EVERYBODY,
    "GET /accounts/reset/sent/": EVERYBODY,
    "GET /accounts/reset/x/y/": EVERYBODY,
    "GET /accounts/login/": LOGIN,
    "POST /accounts/logout/": LOGOUT,
    "GET /healthz": EVERYBODY,
    "GET /metrics": EVERYBODY,
    "GET /api/v1/openapi.json": EVERYBODY,
    "GET /api/v1/docs": EVERYBODY,
    "GET /api/v1/": NOTHING,
    "POST /api/v1/sessions": ANY_KEY_MAKES,
    "GET /api/v1/sessions": ANY_KEY,
    "GET /api/v1/sessions/{session}": OWN_KEY,
    "PATCH /api/v1/sessions/{session}": OWN_KEY,
    "POST /api/v1/sessions/{unheard}/end": OWN_KEY,
    "POST /api/v1/sessions/{session}/signals": OWN_KEY_POSTS,
    "POST /api/v1/sessions/{unheard}/events": OWN_KEY_POSTS,
    "POST /api/v1/signals": OWN_KEY_POSTS_MANY,
    "POST /api/v1/events": OWN_KEY_POSTS_MANY,
    "DELETE /api/v1/sessions/{session}": OWN_KEY_ERASES,
    "DELETE /api/v1/people/u-1": ANY_KEY_ERASES,
    "GET /api/v1/sessions/{session}/engagement": OWN_KEY,
    "GET /api/v1/sessions/{session}/report": OWN_KEY,
    "POST /api/v1/beacon/{beacon_token}": NO_PAGE,  # with an origin: test_beacons has it
    "GET /api/v1/sessions/{session}/beacon-tokens": OWN_KEY,
    "POST /api/v1/sessions/{session}/beacon-tokens": OWN_KEY_MAKES,
    "DELETE /api/v1/sessions/{session}/beacon-tokens/{beacon}": OWN_KEY_DELETES,
    "GET /api/v1/anomalies": ANY_KEY,
    "GET /api/v1/sessions/{session}/anomalies": OWN_KEY,
    "POST /api/v1/sessions/{session}/anomalies/{anomaly}/actions": OWN_KEY,
    "GET /api/v1/webhooks": ANY_KEY,
    "POST /api/v1/webhooks": ANY_KEY_MAKES,
    "POST /api/v1/webhooks/{webhook}/test": OWN_KEY_POSTS,
    "GET /api/v1/webhooks/{webhook}/deliveries": OWN_KEY,
    "DELETE /api/v1/webhooks/{webhook}": OWN_KEY_DELETES,
    "GET /admin/": STAFF,
    "GET /admin/login/": ADMIN_LOGIN,
    "POST /admin/logout/": LOGOUT,
    "GET /admin/password_change/": STAFF,
    "GET /admin/password_change/done/": STAFF,
    "GET /admin/autocomplete/?app_label=engagement&model_name=session&field_name=event&term=Sealed": PERMITTED,
    "GET /admin/jsi18n/": STAFF,
    "GET /admin/r/{session_type}/{session}/": UNKNOWN_TO_STAFF,  # sessions have a link of their own
    "GET /admin/engagement/": PERMITTED_OR_UNKNOWN,
    "GET /admin/nowhere/": UNKNOWN_TO_STAFF,
    **admin_pages("auth/group", "{group}"),
    **admin_pages("auth/user", "{user}"),
    "GET /admin/auth/user/{user}/password/": PERMITTED,
    **admin_pages("engagement/event", "{event}"),
    **admin_pages("engagement/apikey", "{apikey}", add=FORBIDDEN, delete=FORBIDDEN),
    "POST /admin/engagement/apikey/": PERMITTED_CLICK,
    **admin_pages("engagement/beacontoken", "{beacon}", add=FORBIDDEN, delete=FORBIDDEN),
    "POST /admin/engagement/beacontoken/": PERMITTED_CLICK,
    **admin_pages("conductor/platform", "{platform}", add=FORBIDDEN),
    **admin_pages("engagement/session", "{session}"),
    **admin_pages("engagement/erasure", "{erasure}", add=FORBIDDEN, delete=FORBIDDEN),
    **admin_pages("anomalies/anomaly", "{anomaly}", add=FORBIDDEN, delete=FORBIDDEN),
    "POST /admin/anomalies/anomaly/": PERMITTED_CLICK,
    "GET /admin/anomalies/anomaly/desk/": PERMITTED,
    "GET /admin/anomalies/anomaly/desk/verdicts.csv": PERMITTED,
    "POST /admin/anomalies/anomaly/desk/{anomaly}/skip/": PERMITTED_CLICK,
    "POST /admin/anomalies/anomaly/desk/{anomaly}/confirm/": PERMITTED_CLICK,
    **admin_pages("auditlog/logentry", "{entry}", add=FORBIDDEN, delete=FORBIDDEN),
    **admin_pages("axes/accessattempt", "{attempt}", add=FORBIDDEN),
    "POST /admin/axes/accessattempt/": PERMITTED_CLICK,
}
ELSEWHERE = {"readyz"}  # asks for a worker: test_health has it

CHAT: dict[str, object] = {"type": "chat", "timestamp": "2026-03-02T09:00:05Z"}
PLAN = {"title": "Keynote", "zone": "UTC", "breaks-TOTAL_FORMS": 0, "breaks-INITIAL_FORMS": 0}
BODIES: dict[str, object] = {
    "POST /sessions/{session}/anomalies/{anomaly}/tried/": {"tried": "poll"},
    "POST /api/v1/sessions/{session}/anomalies/{anomaly}/actions": {"action": "acknowledge"},
    "POST /sessions/{session}/sensitivity/": {"sensitivity": "calm"},
    "POST /events/{event}/edit/": {"name": SEALED, "sensitivity": "calm"},
    "POST /accounts/": {"clock": "24"},
    "POST /sessions/{session}/beacon/": {"name": SEALED, "origins": "https://player.example.org"},
    "POST /api/v1/sessions/{session}/beacon-tokens": {"name": SEALED, "origins": ["https://player.example.org"]},
    "POST /events/{event}/keys/": {"name": SEALED},
    "POST /events/{event}/members/": {"username": "stranger", "role": "viewer"},
    "POST /events/{event}/members/{user}/": {"role": "viewer"},
    "POST /events/{event}/invitations/": {"role": "viewer"},
    "POST /sessions/{session}/edit/": PLAN,
    "POST /events/{event}/sessions/new/": PLAN,
    "POST /events/{event}/channels/": {
        "kind": "webhook",
        "target": "https://example.org/",
        "least_severity": "WARNING",
        "delay_seconds": 0,
    },
    "POST /events/{event}/platforms/": {"name": SEALED, "kind": "zoom", "secret": "a token"},
    "POST /admin/engagement/apikey/": {"action": "revoke", "_selected_action": "{apikey}"},
    "POST /admin/engagement/beacontoken/": {"action": "revoke", "_selected_action": "{beacon}"},
    "POST /admin/anomalies/anomaly/": {"action": "confirm", "_selected_action": "{anomaly}"},
    "POST /admin/axes/accessattempt/": {"action": "unlock", "_selected_action": "{attempt}"},
    "POST /api/v1/sessions": {"title": "Keynote"},
    "PATCH /api/v1/sessions/{session}": {"title": "Closing"},
    "POST /api/v1/sessions/{session}/signals": signals(5_000),
    "POST /api/v1/sessions/{unheard}/events": [CHAT],
    "POST /api/v1/signals": [signals(5_000) | {"external_id": "workshop"}],
    "POST /api/v1/webhooks": {"url": "https://example.org/"},
    "POST /api/v1/events": [CHAT | {"external_id": "workshop"}],
}


@dataclass
class World:
    """An event that is sealed, everybody who wants to look into it, and what stands in the addresses."""

    users: dict[str, User]
    secrets: dict[str, str]
    names: dict[str, object]
    session: Session

    @classmethod
    def make(cls) -> "World":
        event = Event.objects.create(name=f"{SEALED} summit")
        session = stage.live_session(event, f"{SEALED} keynote")
        anomaly = stage.incident(session)
        users = {
            "organizer": stage.organizer("organizer", event),
            "owner": stage.organizer("owner", event, Role.OWNER),
            "viewer": stage.organizer("viewer", event, Role.VIEWER),
            "stranger": stage.organizer("stranger"),
            "inactive": stage.organizer("inactive", event),
            "staff": User.objects.create_user("staff", is_staff=True),
            "superuser": User.objects.create_superuser("superuser"),
        }
        key, secret = ApiKey.objects.issue(event, "platform")
        revoked, revoked_secret = ApiKey.objects.issue(event, "former platform")
        revoked.revoke(now())
        other_secret = ApiKey.objects.issue(Event.objects.for_organizer(users["stranger"]).get(), "other platform")[1]
        beacon, beacon_token = BeaconToken.objects.issue(session, f"{SEALED} page", ["https://player.example.org"])
        invitation, token = invite(event, Role.VIEWER, SEALED, users["owner"], now())
        names = {
            "invitation": invitation.id,
            "token": token,
            "beacon": beacon.id,
            "beacon_token": beacon_token,
            "session": session.id,
            "unheard": Session.objects.create(event=event, title=f"{SEALED} workshop", external_id="workshop").id,
            "anomaly": anomaly.id,
            "event": event.id,
            "apikey": key.id,
            "group": Group.objects.create(name=f"{SEALED} group").id,
            "user": users["organizer"].id,
            "attempt": AccessAttempt.objects.create(username=SEALED, ip_address="192.0.2.1", failures_since_start=1).id,
            "erasure": erase_person(event.id, SEALED, "a test", now()).id,
            "upload": Upload.objects.create(
                event=event, title=SEALED, zone="UTC", file_names=[SEALED], size=1, uploaded_at=now()
            ).id,
            "webhook": Channel.objects.create(
                event=event,
                kind="webhook",
                name=SEALED,
                target="https://example.org/",
                created_at=now(),
                secret=Channel.draw_secret(),
            ).id,
            "platform": make_platform(event, name=SEALED).id,
            "entry": LogEntry.objects.earliest("timestamp").id,
            "session_type": ContentType.objects.get_for_model(Session).id,
        }
        secrets = {"key": secret, "other key": other_secret, "revoked key": revoked_secret}
        return cls(users, secrets, names, session)

    def deactivate(self) -> None:
        User.objects.filter(id=self.users["inactive"].id).update(is_active=False)

    def knock(self, door: str, role: str) -> HttpResponse:
        """Send the request of a door as a role, and take back what it changed."""
        method, _, path = door.partition(" ")
        client = Client(raise_request_exception=False)
        headers = {"authorization": f"Bearer {self.secrets[role]}"} if role in self.secrets else {}
        with transaction.atomic():
            if role in self.users:
                client.force_login(self.users[role])
            self.deactivate()
            answer = self._send(client, method, path.format(**self.names), BODIES.get(door, {}), headers)
            transaction.set_rollback(True)
        return answer

    def _send(self, client: Client, method: str, path: str, body: object, headers: dict[str, str]) -> HttpResponse:
        if path.startswith("/api/"):
            return client.generic(method, path, json.dumps(body) if body else "", "application/json", headers=headers)
        if method == "GET":
            return client.get(path, headers=headers)
        fields = {name: str(value).format(**self.names) for name, value in dict(body).items()}
        return client.post(path, fields, headers=headers)


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def world(db, quick_hashes) -> World:
    return World.make()


def may_read(door: str) -> set[str]:
    """Return who may find the sealed word behind a door."""
    if "{token}" in door:  # whoever has the link has been told
        return set(ROLES)
    if door.startswith("GET /admin/"):
        return {"superuser"}
    return {"key"} if "/api/" in door else {"organizer", "owner", "viewer", "superuser"}


@pytest.mark.parametrize("door", DOORS)
def test_door_lets_in_whom_it_should_and_shows_nobody_else_what_is_behind(world, door):
    answers = {role: world.knock(door, role) for role in ROLES}

    found = {role: answer.status_code for role, answer in answers.items()}
    assert found == dict(zip(ROLES, DOORS[door], strict=True))
    assert {role for role, answer in answers.items() if SEALED in answer.content.decode()} <= may_read(door)
    kept = "max-age=3600" if door == "GET /beacon.js" else "no-store"
    assert all(kept in answer.headers["Cache-Control"] for answer in answers.values())


def test_what_is_sealed_is_there_to_be_read(world):
    """Or the test above would find nothing, whatever leaks."""
    for door, role in (
        ("GET /", "organizer"),
        ("GET /sessions/{session}/", "superuser"),
        ("GET /recordings/{upload}/", "organizer"),
        ("GET /api/v1/sessions", "key"),
        ("GET /admin/engagement/session/", "superuser"),
        ("GET /admin/axes/accessattempt/", "superuser"),
    ):
        assert SEALED in world.knock(door, role).content.decode(), door


def routes(patterns: Iterable[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    """Return every route below some patterns, as `resolve` names it."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern).removeprefix("^" if prefix else "")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def test_every_route_is_in_the_table():
    uuid = "00000000-0000-4000-8000-000000000000"
    paths = {re.sub(r"{\w+}", uuid, re.sub(r"{user}/(?=password|remove|$)", "1/", door.split()[1])) for door in DOORS}
    known = {resolve(path.partition("?")[0]).route for path in paths}

    assert set(routes(get_resolver().url_patterns)) - known == ELSEWHERE


def test_every_call_is_in_the_table():
    calls = {
        f"{method} /api/v1{prefix}{path}".replace("{session_id}", "{session}")
        .replace("{anomaly_id}", "{anomaly}")
        .replace("{webhook_id}", "{webhook}")
        .replace("{token_id}", "{beacon}")
        .replace("/beacon/{token}", "/beacon/{beacon_token}")
        .replace("{anything:user}", "u-1")
        for prefix, router in api._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }

    assert calls
    assert calls - {door.replace("{unheard}", "{session}") for door in DOORS} == set()


# Whom a socket lets in, in the order of the roles.
SOCKETS: dict[str, tuple[bool, ...]] = {
    #                                    ano    org   own   vie   str    ina    sta    sup   key    oth    rev
    "ws/sessions/":                    (False, True, True, True, True, False, True, True, False, False, False),
    "ws/sessions/{session}/":          (False, True, True, True, False, False, False, True, False, False, False),
    "ws/sessions/{session}/stream/":   (False, True, True, True, False, False, False, True, True, False, False),
    "ws/sessions/{nowhere}/":          (False,) * len(ROLES),
    "ws/sessions/{nowhere}/stream/":   (False,) * len(ROLES),
    "ws/nowhere/":                     (False,) * len(ROLES),
}  # fmt: skip


def test_every_socket_is_in_the_table():
    found = {str(route.pattern).replace("<uuid:session_id>", "{session}") for route in sockets.inner.routes}

    assert found - {""} <= set(SOCKETS)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("socket", SOCKETS)
async def test_socket_lets_in_whom_it_should(socket, open_socket):  # noqa: F811
    world = await sync_to_async(World.make)()
    cookies = {role: await cookie_of(user) for role, user in world.users.items()}
    await sync_to_async(world.deactivate)()
    path = "/" + socket.format(session=world.session.id, nowhere="00000000-0000-4000-8000-000000000000")

    found = {}
    for role in ROLES:
        headers = {"cookie": cookies[role]} if role in cookies else {}
        if role in world.secrets:
            headers["authorization"] = f"Bearer {world.secrets[role]}"
        found[role] = (await open_socket(path, **headers))[1]

    assert found == dict(zip(ROLES, SOCKETS[socket], strict=True))
