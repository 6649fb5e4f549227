"""The beacon's script as it is served, and the page on which its tokens are made."""

import gzip
import json
import re
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from django.utils.timezone import now

from conductor import carrier, pipeline, wakeups
from conductor.beacon import SOURCE, write_script
from conductor.tests import stage
from conductor.tests.rest import START
from engagement.models import BeaconToken, Event, Role, Session, Visitor
from engagement.visitors import record_report
from engagement.visits import UNHEARD_SECONDS, UNHEARD_UNSEEN_SECONDS, Report, VisitState

ROOT = Path(settings.BASE_DIR)
HEAVIEST = 4_096


def test_script_is_light():
    """And as light as the docs say."""
    script = write_script()
    assert len(script) <= HEAVIEST
    said = re.search(r"has ([\d.]+) KB as it is served, ([\d.]+) KB packed", (ROOT / "docs/beacon.md").read_text())
    assert said
    packed = len(gzip.compress(script, mtime=0))
    assert [float(size) for size in said.groups()] == [round(len(script) / 1_000, 1), round(packed / 1_000, 1)]


def test_script_is_for_any_page_and_kept_for_a_while(client):
    found = client.get("/beacon.js")
    assert found.content == write_script()
    assert found.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert found.headers["Access-Control-Allow-Origin"] == "*"
    assert found.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert found.headers["Cache-Control"] == "public, max-age=3600"
    assert not found.cookies
    again = client.get("/beacon.js", headers={"if-none-match": found.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.post("/beacon.js").status_code == 405


def test_script_is_not_sent_again_to_browsers_that_have_it(client):
    """They are sent it packed, and a tag of that is a weak one."""
    found = client.get("/beacon.js", headers={"accept-encoding": "gzip"})
    assert found.headers["ETag"].startswith('W/"')
    headers = {"if-none-match": found.headers["ETag"], "accept-encoding": "gzip"}
    assert client.get("/beacon.js", headers=headers).status_code == 304
    assert client.get("/beacon.js", headers={"if-none-match": '"another", "one"'}).status_code == 200


@pytest.mark.parametrize(
    "word", ["cookie", "localStorage", "sessionStorage", "indexedDB", "caches", "eval", "innerHTML"]
)
def test_script_knows_no_storage(word):
    assert word not in SOURCE.read_text().replace("Nothing is stored", "")


def test_script_speaks_often_enough_to_be_heard():
    """Hidden tabs are woken once a minute at worst, a server may be away for 20 s, and then a beacon pauses."""
    source = SOURCE.read_text()
    seen, unseen = (float(value) / 1e3 for value in re.search(r"SEEN = (\w+), UNSEEN = (\w+);", source).groups())
    longest = float(re.search(r"LONGEST_PAUSE = (\w+),", source)[1]) / 1e3
    assert 1.1 * seen + 20 + longest <= UNHEARD_SECONDS
    assert 60 + 1.1 * unseen + 20 + longest <= UNHEARD_UNSEEN_SECONDS


def test_package_is_shaped_as_npm_has_it():
    folder = ROOT / "static" / "beacon"
    package = json.loads((folder / "package.json").read_text())
    assert (package["type"], package["sideEffects"]) == ("module", False)
    named = [package["types"], *package["exports"]["."].values(), *package["files"]]
    assert all((folder / name).is_file() for name in named)
    declared = set(re.findall(r"^  (\w+)\(", (folder / "index.d.ts").read_text(), re.MULTILINE))
    returned = SOURCE.read_text().partition("  return {\n")[2]
    assert declared == set(re.findall(r"^    (\w+)[(:]", returned, re.MULTILINE))


@pytest.mark.django_db
def test_tick_has_those_leave_who_are_not_heard_while_somebody_listens(session):
    """With no word from a web process, or after a pause of the clock, it has nobody leave."""
    for name in (wakeups.LISTENING, wakeups.TICKING):
        with carrier.reach() as client:
            client.delete(f"conductor:{name}:since")
    moment = now()
    record_report(session.id, Report("a" * 32, 1, VisitState.FOCUS), moment)
    overdue = moment + timedelta(seconds=UNHEARD_SECONDS + 1)

    pipeline.tick(overdue)
    assert Visitor.objects.get().state == "focus", "nobody listens"
    wakeups.say_goes_on(wakeups.LISTENING, moment.timestamp())
    pipeline.tick(overdue)
    assert Visitor.objects.get().state == "focus", "the clock has begun just now"
    pipeline.tick(overdue + timedelta(seconds=UNHEARD_SECONDS))
    assert Visitor.objects.get().state == "left"


@pytest.mark.django_db
def test_silence_while_the_database_was_away_means_nothing(session, monkeypatch):
    """Web and clock go on meanwhile, and whatever tabs report is refused."""
    with carrier.reach() as client:
        client.delete(f"conductor:{wakeups.TICKING}:since")
    moment = now()
    record_report(session.id, Report("a" * 32, 1, VisitState.FOCUS), moment)
    wakeups.say_goes_on(wakeups.LISTENING, moment.timestamp() - 3_600)
    with monkeypatch.context() as patch:
        patch.setattr("conductor.pipeline.close_by_clock", Mock(side_effect=OperationalError))
        for seconds in range(0, UNHEARD_SECONDS, 5):
            with pytest.raises(OperationalError):
                pipeline.tick(moment + timedelta(seconds=seconds))
    back = moment + timedelta(seconds=UNHEARD_SECONDS + 1)
    for seconds in range(0, UNHEARD_SECONDS, 5):
        pipeline.tick(back + timedelta(seconds=seconds))
        assert Visitor.objects.get().state == "focus"
    pipeline.tick(back + timedelta(seconds=UNHEARD_SECONDS))
    assert Visitor.objects.get().state == "left"


@pytest.fixture
def session(event) -> Session:
    return Session.objects.create(event=event, title="Keynote", starts_at=START)


@pytest.mark.django_db
def test_organizer_makes_and_revokes_a_token(client, organizer, session):
    path = f"/sessions/{session.id}/beacon/"
    assert b"None that works." in client.get(path).content

    made = client.post(path, {"name": "Player", "origins": "https://Player.example.org/\nhttp://testserver"})

    token = BeaconToken.objects.get()
    assert (token.session, token.origins) == (session, ["https://player.example.org", "http://testserver"])
    [secret] = re.findall(r'data-token=&quot;(eb_[\w-]+)&quot;|data-token="(eb_[\w-]+)"', made.content.decode())
    assert BeaconToken.objects.of_secret("".join(secret)).get() == token
    assert f"/static/beacon/demo.html#{''.join(secret)}" in made.content.decode()
    listed = client.get(path).content.decode()
    assert "Player" in listed
    assert "".join(secret) not in listed, "it is shown once"
    for _ in range(2):
        assert client.post(f"{path}{token.id}/revoke/").status_code == 302
    assert b"None that works." in client.get(path).content


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("origins", "words"),
    [("player.example.org", "Each should be an origin"), ("https://a.example/live", "without a path"), ("", "required"),
     ("\n".join(f"https://a{n}.example" for n in range(21)), "20 places at most")],
)  # fmt: skip
def test_place_that_is_none_is_told(client, organizer, session, origins, words):
    found = client.post(f"/sessions/{session.id}/beacon/", {"name": "Player", "origins": origins})
    assert words in found.content.decode()
    assert not BeaconToken.objects.exists()


@pytest.mark.django_db
def test_what_is_wrong_with_a_field_is_told_with_it(client, organizer, session):
    """Also to who does not see where it stands."""
    found = client.post(f"/sessions/{session.id}/beacon/", {"name": "", "origins": "player.example.org"})
    page = found.content.decode()
    described = {id_ for ids in re.findall(r'aria-describedby="([^"]+)"', page) for id_ in ids.split()}
    assert described >= {"id_name_error", "id_origins_error", "id_origins_helptext"}
    assert described <= set(re.findall(r' id="([^"]+)"', page))


@pytest.mark.django_db
def test_own_page_is_offered_only_where_the_token_is_for_it(client, organizer, session):
    found = client.post(f"/sessions/{session.id}/beacon/", {"name": "Player", "origins": "https://player.example.org"})
    assert b"demo.html" not in found.content
    Session.objects.filter(id=session.id).update(source="signals")
    assert b"takes nothing from a beacon" in client.get(f"/sessions/{session.id}/beacon/").content
    Session.objects.filter(id=session.id).update(status="ended")
    assert b"takes no more" in client.get(f"/sessions/{session.id}/beacon/").content


@pytest.mark.django_db
def test_line_leads_to_where_people_reach_the_server(client, organizer, session, settings):
    """Whoever makes it may be there by another name; that page is where it can be tried."""
    settings.PUBLIC_URL = "https://live.example.org"
    path = f"/sessions/{session.id}/beacon/"
    made = client.post(path, {"name": "Player", "origins": "http://testserver"}).content.decode()
    assert "https://live.example.org/beacon.js" in made
    assert "http://testserver/beacon.js" not in made
    assert 'id="try"' in made


@pytest.mark.django_db
def test_token_of_another_session_is_not_there(client, organizer, session):
    other = Session.objects.create(event=Event.objects.create(name="Other"), title="Theirs")
    token, _ = BeaconToken.objects.issue(other, "Player", ["https://player.example.org"])
    assert client.post(f"/sessions/{session.id}/beacon/{token.id}/revoke/").status_code == 404
    assert BeaconToken.objects.valid().count() == 1


@pytest.mark.django_db
def test_who_only_reads_finds_no_way_there(session):
    viewer = Client()
    viewer.force_login(stage.organizer("viewer", session.event, Role.VIEWER))
    assert viewer.get(f"/sessions/{session.id}/beacon/").status_code == 403
    assert b"/beacon/" not in viewer.get(f"/events/{session.event_id}/").content
