"""The admin of anomalies, through the browser's requests."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from anomalies.models import Anomaly
from conductor import housekeeping
from engagement.models import Event, Session

AT = datetime(2026, 3, 2, 9, 40, tzinfo=UTC)
LIST = "/admin/anomalies/anomaly/"
pytestmark = pytest.mark.django_db

METADATA = {
    "hst_score": 0.81,
    "z_score": 0.95,
    "advice": "Ask the room a question.",
    "audience": 120,
    "signals": {
        "active_share": {"observed": 0.62, "expected": 0.64, "change": -0.03, "z": -0.2, "moved": False},
        "chat_msgs_per_min": {"observed": 1.8, "expected": 13, "change": -0.862, "z": -4.1, "moved": True},
        "reactions_per_min": {"observed": None, "expected": None, "change": None, "z": None, "moved": False},
    },
    "moved": ["chat_msgs_per_min"],
    "history": [
        {"at": "2026-03-02T09:40:00Z", "change": "opened", "severity": "WARNING", "anomaly_type": "SUDDEN_DROP",
         "anomaly_score": 0.71},
        {"at": "2026-03-02T09:41:30Z", "change": "worsened", "severity": "CRITICAL", "anomaly_type": "SUDDEN_DROP",
         "anomaly_score": 0.85, "reason": "kept falling"},
    ],
}  # fmt: skip


@pytest.fixture
def session() -> Session:
    return Session.objects.create(event=Event.objects.create(name="Spring school"), title="Opening")


def create_anomaly(session: Session, **fields) -> Anomaly:
    facts = {
        "timestamp": AT,
        "anomaly_type": "SUDDEN_DROP",
        "severity": "CRITICAL",
        "anomaly_score": 0.85,
        "current_engagement": 0.31,
        "expected_engagement": 0.74,
        "deviation": 0.58,
        "description": "Chat fell from 13 to 2 messages a minute.",
        "metadata": METADATA,
    }
    return Anomaly.objects.create(session=session, event=session.event, **facts | fields)


def detail(anomaly: Anomaly) -> str:
    return reverse("admin:anomalies_anomaly_change", args=[anomaly.id])


def text_of(html: str) -> str:
    """Return what a person reads of a page, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def login(*permissions: str) -> Client:
    user = User.objects.create(username="grace", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_detail_page_explains_the_incident(admin_client, session):
    page = admin_client.get(detail(create_anomaly(session))).content.decode()

    text = text_of(page[page.index('id="evidence"') :])
    assert "Critical Sudden drop Chat fell from 13 to 2 messages a minute. To try: Ask the room a question." in text
    assert "Engagement .31 Expected .74 Change −58 % Audience 120 Anomaly score .85" in text
    assert (
        "Signal Observed Expected Change Moved Chat messages a minute 1.8 13.0 −86 % moved "
        "Active share 62 % 64 % −3 % – Reactions a minute not measured not measured – –" in text
    )
    assert "2026-03-02 09:40:00 opened Sudden drop Warning .71" in text
    assert "2026-03-02 09:41:30 worsened Sudden drop Critical .85 kept falling" in text
    assert '"hst_score": 0.81' in text


def test_detail_page_does_without_evidence(admin_client, session):
    bare = create_anomaly(
        session, metadata={}, description="", current_engagement=None, expected_engagement=None, deviation=None
    )

    page = admin_client.get(detail(bare))

    assert "Engagement – Expected – Change – Anomaly score .85" in text_of(page.content.decode())


def test_detail_page_holds_no_inline_style_or_script(admin_client, session):
    answer = admin_client.get(detail(create_anomaly(session)))
    page = answer.content.decode()

    assert "style-src 'self'" in answer.headers["Content-Security-Policy"]
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)(?![^>]*application/json)", page) == []
    assert "css/admin.css" in page


def test_explanation_is_escaped(admin_client, session):
    page = admin_client.get(detail(create_anomaly(session, description="<script>alert(1)</script>"))).content.decode()

    assert "<script>alert" not in page


def test_note_is_kept_and_facts_are_read_only(admin_client, admin_user, session):
    anomaly = create_anomaly(session)

    admin_client.post(
        detail(anomaly), {"note": "The projector failed.", "severity": "WARNING", "status": "resolved", "_continue": ""}
    )

    after = Anomaly.objects.get()
    assert (after.note, after.reviewed_by) == ("The projector failed.", admin_user)
    assert (after.severity, after.status) == ("CRITICAL", "open")


@pytest.mark.parametrize(
    ("review", "after", "message"),
    [
        ("acknowledge", ("acknowledged", ""), "Acknowledged."),
        ("confirm", ("open", "confirmed"), "Confirmed."),
        ("dismiss", ("dismissed", "false_alarm"), "Dismissed as a false alarm."),
    ],
)
def test_detail_page_reviews_and_remembers_who_did(admin_client, admin_user, session, review, after, message):
    anomaly = create_anomaly(session)

    admin_client.post(detail(anomaly), {"note": "", "_review": review})

    kept = Anomaly.objects.get()
    assert ((kept.status, kept.review), kept.reviewed_by) == (after, admin_user)
    assert LogEntry.objects.get(object_id=str(anomaly.id)).get_change_message() == message


def test_detail_page_says_what_cannot_be_done(admin_client, session):
    anomaly = create_anomaly(session, status="resolved", resolved_at=AT)

    page = admin_client.post(detail(anomaly), {"note": "Late.", "_review": "acknowledge"}, follow=True).content.decode()

    assert "Not done: an anomaly that is resolved cannot be acknowledged." in page
    assert Anomaly.objects.get().note == "Late."


@pytest.mark.parametrize(
    ("action", "after"),
    [
        ("confirm", ("open", "confirmed")),
        ("dismiss", ("dismissed", "false_alarm")),
        ("acknowledge", ("acknowledged", "")),
    ],
)
def test_action_reviews_the_selected_ones(admin_client, session, action, after):
    selected, other = create_anomaly(session), create_anomaly(session, timestamp=AT + timedelta(hours=1))

    admin_client.post(LIST, {"action": action, "_selected_action": [selected.id]})

    found = {anomaly.id: (anomaly.status, anomaly.review) for anomaly in Anomaly.objects.all()}
    assert found == {selected.id: after, other.id: ("open", "")}


def test_action_does_what_can_be_done_and_names_the_rest(admin_client, session):
    anomalies = [create_anomaly(session), create_anomaly(session, status="resolved", resolved_at=AT)]

    page = admin_client.post(
        LIST, {"action": "acknowledge", "_selected_action": [anomaly.id for anomaly in anomalies]}, follow=True
    ).content.decode()

    assert "Acknowledged: 1." in page
    assert "an anomaly that is resolved cannot be acknowledged" in page


def test_anomalies_are_neither_added_nor_deleted_here(admin_client, session):
    anomaly = create_anomaly(session)

    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(reverse("admin:anomalies_anomaly_delete", args=[anomaly.id])).status_code == 403
    admin_client.post(LIST, {"action": "delete_selected", "_selected_action": [anomaly.id], "post": "yes"})

    assert Anomaly.objects.exists()


def test_session_takes_its_anomalies_along(admin_client, session):
    create_anomaly(session)

    admin_client.post(reverse("admin:engagement_session_delete", args=[session.id]), {"post": "yes"})
    assert admin_client.get(reverse("admin:anomalies_anomaly_changelist")).context["cl"].result_count == 0
    housekeeping.step(AT, seconds=60)

    assert not Anomaly.objects.exists()


def test_view_permission_reads_and_reviews_nothing(session):
    anomaly = create_anomaly(session)
    client = login("view_anomaly")

    page = client.get(detail(anomaly)).content.decode()
    refused = client.post(detail(anomaly), {"note": "x", "_review": "dismiss"})
    client.post(LIST, {"action": "dismiss", "_selected_action": [anomaly.id]})

    assert "Chat fell from 13 to 2" in page
    assert 'name="_review"' not in page
    assert refused.status_code == 403
    assert Anomaly.objects.get().status == "open"


@pytest.mark.parametrize(
    "query",
    [
        {"anomaly_type": "SUDDEN_DROP"},
        {"severity": "CRITICAL"},
        {"status": "open"},
        {"review": ""},
        {"timestamp__year": "2026", "timestamp__month": "3", "timestamp__day": "2"},
        {"event__id__exact": "this"},
        {"q": "Opening"},
        {"q": "Spring"},
        {"q": "fell from 13"},
        {"q": "id"},
    ],
    ids=lambda query: "-".join(f"{k}={v}" for k, v in query.items()),
)
def test_list_is_narrowed(admin_client, session, query):
    shown = create_anomaly(session)
    another = Session.objects.create(event=Event.objects.create(name="Autumn"), title="Closing")
    hidden = create_anomaly(
        another, timestamp=AT + timedelta(days=40), anomaly_type="MASS_EXIT", severity="WARNING", status="resolved",
        review="confirmed", description="Many left.",
    )  # fmt: skip
    query = {name: {"this": session.event_id, "id": shown.id}.get(value, value) for name, value in query.items()}

    page = admin_client.get(LIST, query)

    assert page.status_code == 200
    assert str(shown.id) in page.content.decode()
    assert str(hidden.id) not in page.content.decode()


def test_list_costs_the_same_queries_for_one_row_and_three(admin_client):
    def add(number: int) -> None:
        event = Event.objects.create(name=f"School {number}")
        create_anomaly(Session.objects.create(event=event, title="Opening"))

    def count_queries() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(LIST).status_code == 200
        return len(queries)

    add(1)
    admin_client.get(LIST)  # content types are cached from here on
    one = count_queries()
    add(2)
    add(3)

    assert count_queries() == one


def test_list_reads_like_a_log(admin_client, session):
    create_anomaly(session, resolved_at=AT + timedelta(minutes=3, seconds=20), status="resolved")

    page = text_of(admin_client.get(LIST).content.decode())

    assert "Sudden drop Critical 2026-03-02 09:40:00 Opening Resolved Not reviewed 3 min 20 s .85" in page
