"""The review desk: a key a verdict, and what the verdicts come to."""

import csv
import json
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from anomalies.models import Actor, Anomaly
from anomalies.precision import Tally
from conductor import live
from conductor.screens.desk import show_case, show_desk
from conductor.screens.verdicts import read_tallies, tally_verdicts
from conductor.tests import stage
from conductor.tests.told import Told
from engagement.models import Event

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer(client) -> User:
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_anomaly"))
    client.force_login(user)
    return user


def address(name: str, anomaly: Anomaly, *action: str) -> str:
    return reverse(name, args=[anomaly.id, *action])


def test_verdict_is_kept_and_the_next_comes(client, reviewer, session):
    older, newer = stage.incident(session, seconds=30), stage.incident(session, seconds=60)
    assert show_desk(None).case.anomaly == newer

    answer = client.post(address("desk-settle", newer, "dismiss"), {"note": "A rehearsal."}, headers=HTMX)

    newer.refresh_from_db()
    assert (newer.review, newer.reviewed_by, newer.actions.get().note) == ("false_alarm", reviewer, "A rehearsal.")
    text = answer.content.decode()
    assert address("desk-settle", older, "confirm") in text
    assert "1 to settle" in text


def test_verdict_is_told_to_every_screen_and_stream(client, reviewer, session):
    anomaly, stream = stage.incident(session), Told(live.stream_group(session.id))

    client.post(address("desk-settle", anomaly, "dismiss"), headers=HTMX)
    client.post(address("desk-settle", anomaly, "dismiss"), headers=HTMX)  # a second one changes nothing

    (message,) = map(json.loads, stream.frames())
    assert (message["type"], message["anomaly"]["verdict"]) == ("anomaly:updated", "false_alarm")


def test_undo_brings_the_last_one_back(client, reviewer, session):
    anomaly = stage.incident(session)
    client.post(address("desk-settle", anomaly, "confirm"), headers=HTMX)

    answer = client.post(address("desk-settle", anomaly, "undo"), headers=HTMX)

    anomaly.refresh_from_db()
    assert anomaly.review == ""
    assert address("desk-settle", anomaly, "confirm") in answer.content.decode()


def test_what_is_passed_over_does_not_come_again_in_this_sitting(client, reviewer, session):
    older, newer = stage.incident(session, seconds=30), stage.incident(session, seconds=60)

    first = client.post(address("desk-skip", newer), headers=HTMX).content.decode()
    second = client.post(address("desk-skip", older), {"passed": [newer.id]}, headers=HTMX).content.decode()

    assert address("desk-settle", older, "confirm") in first
    assert f'name="passed" value="{newer.id}"' in first
    assert "desk-verdict" not in second
    assert "2 to settle" in second


def test_without_scripts_the_page_comes_anew_where_it_was(client, reviewer, session):
    older, newer = stage.incident(session, seconds=30), stage.incident(session, seconds=60)

    page = client.post(address("desk-skip", newer), follow=True).content.decode()

    assert address("desk-settle", older, "confirm") in page


def test_desk_of_one_event_shows_no_other(client, reviewer, session):
    other = Event.objects.create(name="Another")
    stage.incident(stage.live_session(other))
    own = stage.incident(session)

    page = client.get(f"{reverse('desk')}?event={session.event_id}").content.decode()

    assert address("desk-settle", own, "confirm") in page
    assert "1 to settle" in page
    assert "Another" not in page


def test_case_shows_the_chart_the_evidence_and_its_neighbours(client, reviewer, session):
    near = stage.incident(session, "WARNING", seconds=40)
    anomaly = stage.incident(session, seconds=60)

    case = show_case(anomaly)
    page = client.get(reverse("desk")).content.decode()

    assert case.neighbours == [near]
    assert [block.key for block in case.picture.chart.incidents] == [near, anomaly]
    assert case.picture.chart.until == stage.START + timedelta(seconds=115)
    assert anomaly.description in page
    assert "chart-line" in page


def test_who_may_not_change_anomalies_is_kept_out(client, session):
    client.force_login(User.objects.create_user("intern", is_staff=True))
    anomaly = stage.incident(session)

    assert client.get(reverse("desk")).status_code == 403
    assert client.post(address("desk-settle", anomaly, "dismiss")).status_code == 403
    assert client.get(reverse("desk-export")).status_code == 403
    anomaly.refresh_from_db()
    assert anomaly.review == ""


def test_verdicts_by_hand_and_by_the_page_are_equal(client, reviewer, session):
    by = Actor("ada")
    for second in range(4):
        stage.incident(session, seconds=second).confirm(by, stage.NOW)
    for second in range(4, 7):
        stage.incident(session, "WARNING", seconds=second).dismiss(by, stage.NOW)
    stage.incident(session, seconds=8, anomaly_type="MASS_EXIT")
    stage.incident(session, seconds=9, metadata={"sensitivity": "calm"}).confirm(by, stage.NOW)

    tables = tally_verdicts()

    told = {by: {line.group: line.tally for line in lines} for by, lines in tables.items()}
    assert told == {
        "Type": {"Sudden drop": Tally(5, 3, 0), "Mass exit": Tally(0, 0, 1)},
        "Severity": {"Critical": Tally(5, 0, 1), "Warning": Tally(0, 3, 0)},
        "Event": {session.event.name: Tally(5, 3, 1)},
        "Sensitivity": {"Normal": Tally(4, 3, 1), "Calm": Tally(1, 0, 0)},
        "Month": {"2026-03": Tally(5, 3, 1)},
    }
    assert told["Type"]["Sudden drop"].precision == 5 / 8
    assert "62 %" in client.get(reverse("desk")).content.decode()


def test_verdicts_stand_beside_the_sensitivity_that_they_are_of(client, organizer, session):
    for second in range(10):
        alert = stage.incident(session, seconds=second)
        (alert.confirm if second < 3 else alert.dismiss)(Actor("ada"), stage.NOW)
    address = f"/sessions/{session.id}/"

    assert "Of 10 alerts at this sensitivity that people settled, 7 were false alarms: try calm." in words(
        client, address
    )

    Anomaly.objects.update(metadata={"sensitivity": "normal"})
    Event.objects.update(sensitivity="calm")
    assert read_tallies([session.event_id]) == {session.event_id: Tally()}
    assert "that people settled" not in words(client, address)


def words(client, address: str) -> str:
    return " ".join(client.get(address).content.decode().split())


def test_verdicts_cost_one_query(session, django_assert_num_queries):
    for second in range(3):
        stage.incident(session, seconds=second)
    with django_assert_num_queries(1):
        tally_verdicts()


def test_export_holds_every_verdict_and_no_formula(client, reviewer, session):
    stage.incident(session)
    settled = stage.incident(session, seconds=70)
    settled.annotate("=HYPERLINK(1)", Actor.of(reviewer), stage.NOW)
    settled.confirm(Actor.of(reviewer), stage.NOW)

    text = client.get(reverse("desk-export")).content.decode()

    (line,) = csv.DictReader(StringIO(text.removeprefix("\ufeff")))
    assert (line["id"], line["verdict"], line["by"], line["sensitivity"]) == (
        str(settled.id), "Confirmed", "ada", "normal",
    )  # fmt: skip
    assert line["note"] == "'=HYPERLINK(1)"


@pytest.mark.browser
def test_twenty_verdicts_are_twenty_keys_and_no_page_load(live_server, browser, client, reviewer, session):
    anomalies = [stage.incident(session, seconds=second) for second in range(20)]
    page, loads = browser.new_page(), []
    page.context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    page.on("request", lambda request: loads.append(request.url) if request.is_navigation_request() else None)
    page.goto(f"{live_server.url}{reverse('desk')}")
    keys = ["r", "f"] * 10
    for left, key in zip(range(19, -1, -1), keys, strict=True):
        page.keyboard.press(key)
        page.get_by_text(f"{left} to settle" if left else "Nothing left to settle").wait_for()

    assert len(loads) == 1
    found = [Anomaly.objects.get(id=anomaly.id).review for anomaly in reversed(anomalies)]
    assert found == ["confirmed", "false_alarm"] * 10

    page.keyboard.press("u")
    page.get_by_text("1 to settle").wait_for()
    page.keyboard.press("n")
    page.keyboard.type("rf: a fire alarm")
    page.keyboard.press("Enter")
    page.keyboard.press("r")
    page.get_by_text("Nothing left to settle").wait_for()
    assert Anomaly.objects.get(id=anomalies[0].id).actions.last().note == "rf: a fire alarm"


def test_list_of_anomalies_leads_reviewers_to_the_desk_and_nobody_else(client, reviewer):
    listed, link = reverse("admin:anomalies_anomaly_changelist"), f'href="{reverse("desk")}"'
    assert link in client.get(listed).content.decode()
    reviewer.user_permissions.set([Permission.objects.get(codename="view_anomaly")])
    assert link not in client.get(listed).content.decode()
