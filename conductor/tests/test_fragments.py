"""Page and push are the same bytes, and every fragment can be swapped by its id."""

from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings

from anomalies.models import Actor, Anomaly
from conductor import views
from conductor.screens.session import render_session, show_session
from conductor.tests import stage
from engagement.models import Session

pytestmark = pytest.mark.django_db

TEMPLATES = Path(settings.BASE_DIR) / "templates"
STYLESHEETS = Path(settings.BASE_DIR) / "static" / "css" / "parts"
VOID = {"br", "hr", "img", "input", "link", "meta", "rect", "line", "path", "circle", "use"}


class Outline(HTMLParser):
    """The ids of the top-level elements, and all ids."""

    def __init__(self, page: str):
        super().__init__()
        self.depth, self.roots, self.ids = 0, [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        name = dict(attrs).get("id")
        self.ids += [name] if name else []
        if self.depth == 0:
            self.roots.append(name)
        self.depth += tag not in VOID

    def handle_startendtag(self, tag, attrs):
        name = dict(attrs).get("id")
        self.ids += [name] if name else []

    def handle_endtag(self, tag):
        self.depth -= tag not in VOID


STATES = [
    "bare", "live", "critical", "acknowledged", "warning", "resolved", "silent", "frozen", "break", "learning", "ended",
]  # fmt: skip


@pytest.fixture(params=STATES)
def session(request, event) -> Session:
    if request.param == "bare":
        return Session.objects.create(event=event, title="Bare")
    session = stage.live_session(event)
    if request.param in ("critical", "warning"):
        stage.incident(session, request.param.upper())
    if request.param == "acknowledged":
        stage.incident(session).acknowledge(Actor.of(stage.organizer()), stage.NOW)
    if request.param == "resolved":
        stage.incident(session, resolved_at=session.judged_until, status=Anomaly.Status.RESOLVED)
    changes = {
        "silent": {"detector_state": "UNKNOWN", "heard_at": stage.NOW - timedelta(minutes=2)},
        "frozen": {"detector_state": "UNKNOWN"},
        "break": {"breaks": [{"starts_at": "2026-03-02T09:00:30Z", "ends_at": "2026-03-02T09:05:00Z"}]},
        "learning": {"detector_state": "INSUFFICIENT_DATA"},
        "ended": {"status": "ended", "ended_at": stage.NOW},
    }
    Session.objects.filter(id=session.id).update(**changes.get(request.param, {}))
    session.refresh_from_db()
    return session


@pytest.fixture
def push(session) -> str:
    return render_session(show_session(session, stage.NOW))


def test_page_holds_the_very_bytes_of_the_push(client, session, push, event, monkeypatch):
    monkeypatch.setattr(views, "now", lambda: stage.NOW)
    client.force_login(stage.organizer("mara", event))
    assert push in client.get(f"/sessions/{session.id}/").content.decode()


def test_every_state_pushes_the_same_roots(push):
    assert Outline(push).roots == [
        "session-line",
        "anomaly-banner",
        "engagement-score",
        "engagement-chart",
        "signal-cards",
        "incident-timeline",
        "event-sensitivity",
    ]


def test_ids_are_unique_on_the_page(client, session, event):
    client.force_login(stage.organizer("mara", event))
    ids = Outline(client.get(f"/sessions/{session.id}/").content.decode()).ids
    assert sorted(ids) == sorted(set(ids))


def test_push_knows_no_request_and_no_user(push):
    assert "csrf" not in push.lower()
    assert "mara" not in push


FRAGMENTS = list((TEMPLATES / "sessions").glob("_*.html"))


@pytest.mark.parametrize("template", FRAGMENTS, ids=lambda path: path.stem)
def test_fragment_root_and_stylesheet_share_a_name(template):
    name = template.stem.removeprefix("_").replace("_", "-")
    assert f'id="{name}"' in template.read_text().splitlines()[0]
    assert (STYLESHEETS / f"{name}.css").exists()
