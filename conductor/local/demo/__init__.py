"""The demo: an organizer who may look at everything, an event, and two sessions into which recordings are played."""

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


def open_demo_sessions(demo: Demo, url: str, now: datetime) -> tuple[str, str]:
    """End the sessions of former runs and make those of this one; return their ids, first the one to look at.

    Raises as `RestClient.post`.
    """
    former = Session.objects.filter(event_id=demo.event_id, external_id__startswith=EXTERNAL_ID_PREFIX)
    client = RestClient(url, demo.api_key, patience_seconds=10)

    def make(show: Show) -> str:
        name = show.recording.name.partition(".")[0]
        external_id = f"{EXTERNAL_ID_PREFIX}{name}-{now:%Y%m%dT%H%M%S.%fZ}"
        return str(client.post("/sessions", {"title": show.title, "external_id": external_id})["id"])

    try:
        for session in former.exclude(status=Session.Status.ENDED):
            client.post(f"/sessions/{session.id}/end", {})
        return make(WEBINAR), make(CALM)
    finally:
        client.close()
