"""The demo: an organizer who may look at everything, an event, two sessions into which recordings are played, and one
whose visitors are the tabs of whoever tries it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.contrib.auth.models import User

from conductor.local.private_files import kept_secret
from conductor.local.rest_client import RestClient
from engagement.models import ApiKey, Event, Role, Session

USERNAME = "demo"
EVENT_NAME = "Demo event"
KEY_NAME = "manage.py up"
EXTERNAL_ID_PREFIX = "demo-"
AUDIENCE = "Your own tabs (a beacon)"
AUDIENCE_PAGE = "/static/beacon/demo.html"


@dataclass(frozen=True, slots=True)
class Show:
    """A recording, and what its session is called."""

    title: str
    recording: Path


WEBINAR = Show("Webinar (a recording)", Path(__file__).parent / "webinar.jsonl.gz")  # see `story`
CALM = Show("Workshop (a recording)", Path(__file__).parent / "workshop.jsonl.gz")  # in which nothing happens


@dataclass(frozen=True, slots=True)
class Demo:
    """What a person needs to look at the demo, and a program to post into it."""

    event_id: UUID
    username: str
    password: str
    api_key: str


def prepare_demo(data_dir: Path, now: datetime) -> Demo:
    """Make the organizer and the event where they are missing, and a key for this run; the former run's is revoked."""
    user, _ = User.objects.get_or_create(username=USERNAME)
    password = kept_secret(data_dir / "demo_password", size=9)  # short enough to type
    user.is_staff = user.is_superuser = user.is_active = True
    if not user.check_password(password):
        user.set_password(password)
    user.save()
    event = Event.objects.filter(name=EVENT_NAME, organizers=user).first()
    if event is None:
        event = Event.objects.create(name=EVENT_NAME)
        event.memberships.create(user=user, role=Role.OWNER)
    for key in ApiKey.objects.valid().filter(event=event, name=KEY_NAME):
        key.revoke(now)
    _, secret = ApiKey.objects.issue(event, KEY_NAME)
    return Demo(event.id, USERNAME, password, secret)


@dataclass(frozen=True, slots=True)
class Stages:
    """The sessions of a run: the one to look at, the calm one, and one whose visitors are tabs, with their page."""

    webinar_id: str
    calm_id: str
    audience_id: str
    audience_url: str


def open_demo_sessions(demo: Demo, url: str, now: datetime) -> Stages:
    """End the sessions of former runs and make those of this one. Raises as `RestClient.post`."""
    former = Session.objects.filter(event_id=demo.event_id, external_id__startswith=EXTERNAL_ID_PREFIX)
    client = RestClient(url, demo.api_key, patience_seconds=10)

    def make(title: str, name: str) -> str:
        external_id = f"{EXTERNAL_ID_PREFIX}{name}-{now:%Y%m%dT%H%M%S.%fZ}"
        return str(client.post("/sessions", {"title": title, "external_id": external_id})["id"])

    def play(show: Show) -> str:
        return make(show.title, show.recording.name.partition(".")[0])

    try:
        for session in former.exclude(status=Session.Status.ENDED):
            client.post(f"/sessions/{session.id}/end", {})
        webinar_id, calm_id, audience_id = play(WEBINAR), play(CALM), make(AUDIENCE, "audience")
        # People write either, whatever the address says that is printed.
        origins = [url, url.replace("127.0.0.1", "localhost")]
        token = client.post(f"/sessions/{audience_id}/beacon-tokens", {"name": KEY_NAME, "origins": origins})["token"]
        return Stages(webinar_id, calm_id, audience_id, f"{url}{AUDIENCE_PAGE}#{token}")
    finally:
        client.close()
