"""The report of a session: the same figures on the page, in CSV, in JSON and over REST."""

import csv
import shutil
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from statistics import fmean

import pytest
from django.contrib.auth.models import User

from anomalies.models import Actor
from conductor.payloads import anomaly_payload
from conductor.report import compare_sessions, write_report
from conductor.report_csv import COLUMNS, write_csv
from conductor.tests import stage
from conductor.tests.rest import Rest
from engagement.ingest import record_rows
from engagement.models import Session
from engagement.moments import read_moment
from engagement.wording import write_score

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(rest) -> Session:
    """A session of twenty minutes that was lively, fell, and was helped."""
    session = Session.objects.create(event=rest.event, title="=SUM(A1), the keynote")
    rows = [stage.reading(place, **({} if place < 120 else {"chat_msgs_per_min": 1.0, "active_users": 10}))
            for place in range(240)]  # fmt: skip
    record_rows(session.id, rows, stage.NOW)
    Session.objects.filter(id=session.id).update(judged_until=rows[-1].timestamp)
    found = stage.incident(session, seconds=610, description='-Chat fell, "quietly".')
    found.acknowledge(Actor("mara"), stage.NOW)
    found.tell_tried("poll", Actor("+mara"), stage.NOW, note="@all: a quiz")
    session.refresh_from_db()
    return session


@pytest.fixture
def mara(rest, client) -> User:
    user = stage.organizer("mara", rest.event)
    client.force_login(user)
    return user


def table(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    return list(csv.DictReader(StringIO(text.removeprefix("\ufeff"))))


def test_every_form_tells_the_same_figures(rest: Rest, told, client, mara):
    over_rest = rest.get(f"/sessions/{told.id}/report").json()
    as_json = client.get(f"/sessions/{told.id}/report/?format=json").json()
    lines = table(client.get(f"/sessions/{told.id}/report/?format=csv").content.decode())
    page = client.get(f"/sessions/{told.id}/report/").content.decode()

    session = {**over_rest["session"], "url": f"/sessions/{told.id}/"}
    assert over_rest | {"session": session} == as_json
    figures = {line["what"]: line for line in lines if line["section"] == "figure"}
    for name, figure in (("mean score", over_rest["mean_score"]), ("mean people", over_rest["mean_people"])):
        assert float(figures[name]["value"]) == figure
    for name in ("peak", "lowest"):
        line, reached = figures[f"{name} score"], over_rest[name]
        assert (float(line["value"]), line["at"]) == (reached["value"], reached["at"])
        assert write_score(reached["value"]) in page
    assert write_score(over_rest["mean_score"]) in page
    moves = [line for line in lines if line["section"] == "move"]
    assert [(line["at"], float(line["value"])) for line in moves] == [
        (move["at"], move["change"]) for move in over_rest["moves"]
    ]
    assert [line["what"] for line in moves] == ["down"]


def test_figures_are_those_of_the_minutes_that_the_api_gives(rest: Rest, told):
    report = rest.get(f"/sessions/{told.id}/report").json()
    minutes = rest.get(f"/sessions/{told.id}/engagement?bucket=1m").json()["items"]

    assert report["engagement"] == minutes
    scores = [minute["engagement_score"] for minute in minutes]
    assert report["mean_score"] == pytest.approx(fmean(scores))
    assert (report["peak"]["value"], report["lowest"]["value"]) == (max(scores), min(scores))
    assert report["minutes"] == len(scores) == 20
    assert report["seconds"] == 1200
    assert report["moves"][0]["at"] == "2026-03-02T09:10:00Z"


def test_incidents_come_with_what_people_did(rest: Rest, told):
    (incident,) = rest.get(f"/sessions/{told.id}/report").json()["incidents"]

    assert incident == anomaly_payload(told.anomalies.get())
    assert [action["tried"] for action in incident["actions"]] == [None, "poll"]


def test_csv_is_what_rest_gives_where_it_is_asked_for(rest: Rest, told):
    answer = rest.call("GET", f"/sessions/{told.id}/report", accept="text/csv")

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.content.decode() == write_csv(write_report(told))


def test_no_cell_is_a_formula(told):
    cells = [cell for line in table(write_csv(write_report(told))) for cell in line.values() if cell]

    assert "'=SUM(A1), the keynote" in cells
    assert '\'-Chat fell, "quietly".' in cells
    assert "'+mara" in cells
    for cell in cells:
        assert not cell.startswith(("=", "+", "-", "@")) or float(cell) < 0


def through_gnumeric(text: str, folder) -> list[list[str]]:
    """Return the cells as Gnumeric shows them that was given this file."""
    (folder / "report.csv").write_text(text, encoding="utf-8")
    run = ["ssconvert", "--import-encoding=UTF-8", "report.csv", "shown.csv"]
    subprocess.run(run, cwd=folder, check=True, capture_output=True, timeout=60)
    return list(csv.reader(StringIO((folder / "shown.csv").read_text(encoding="utf-8"))))


def is_same(shown: str, written: str) -> bool:
    """Tell whether a cell is the same number, the same moment, or the same text without the mark that makes it text."""
    with suppress(ValueError):
        return float(shown) == pytest.approx(float(written))
    with suppress(ValueError):
        return datetime.strptime(shown, "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC) == read_moment(written)
    return shown == written.removeprefix("'")


@pytest.mark.skipif(not shutil.which("ssconvert"), reason="no Gnumeric here: apt-get install gnumeric")
def test_spreadsheet_program_reads_the_cells_and_computes_none(told, tmp_path):
    assert through_gnumeric("=1+1,2\n", tmp_path) == [["2", "2"]], "or this would prove nothing"
    told.title = "=1+1"
    text = write_csv(write_report(told))

    shown = through_gnumeric(text, tmp_path)

    written = list(csv.reader(StringIO(text.removeprefix("\ufeff"))))
    assert shown[0] == list(COLUMNS)
    assert len(shown) == len(written) > 20
    assert "=1+1" in shown[1]
    different = [
        (cell, wanted)
        for line, expected in zip(shown, written, strict=True)
        for cell, wanted in zip(line, expected, strict=True)
        if not is_same(cell, wanted)
    ]
    assert different == []


def test_session_of_which_nothing_came_has_a_report(rest: Rest, client, mara):
    session = rest.new_session()

    report = rest.get(f"/sessions/{session.id}/report").json()

    assert (report["minutes"], report["mean_score"], report["peak"], report["engagement"]) == (0, None, None, [])
    assert "nothing to tell" in client.get(f"/sessions/{session.id}/report/").content.decode()


def test_sessions_of_an_event_beside_each_other(rest: Rest, told, client, mara):
    dismissed = stage.live_session(rest.event, "Workshop")
    stage.incident(dismissed).dismiss(Actor("mara"), stage.NOW)
    rest.new_session(title="Not yet")

    lines = compare_sessions(rest.event, {}).lines
    page = client.get(f"/events/{rest.event.id}/report/").content.decode()

    assert [(line.session.title, line.incidents, line.critical) for line in lines] == [
        ("Workshop", 0, 0), (told.title, 1, 1),
    ]  # fmt: skip
    assert lines[1].course == write_report(told).course
    assert lines[0].lasted == timedelta(minutes=2)
    assert write_score(lines[1].course.mean_score) in page
    assert "Not yet" not in page


def test_report_costs_as_many_queries_for_three_incidents(rest: Rest, told, django_assert_num_queries):
    with django_assert_num_queries(6) as first:
        write_report(told)
    for second in (700, 800):
        stage.incident(told, seconds=second).acknowledge(Actor("mara"), stage.NOW)
    with django_assert_num_queries(len(first)):
        assert len(write_report(told).incidents) == 3
