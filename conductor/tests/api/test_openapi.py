"""The OpenAPI document and its page; and the answers are what the document says."""

from datetime import timedelta

import pytest

from anomalies.models import Anomaly
from conductor.api import answers
from conductor.api.routes import ITEMS_PER_PAGE, ROWS_PER_PAGE
from conductor.tests.rest import START, signals
from engagement.limits import MAX_BATCH

CALLS = {
    ("/sessions", "post"): {201, 200, 400, 401, 413, 415, 422, 429, 503},
    ("/sessions", "get"): {200, 401, 422, 429, 503},
    ("/sessions/{session_id}", "get"): {200, 401, 404, 429, 503},
    ("/sessions/{session_id}", "patch"): {200, 400, 401, 404, 413, 415, 422, 429, 503},
    ("/sessions/{session_id}", "delete"): {202, 401, 404, 429, 503},
    ("/people/{user}", "delete"): {202, 401, 404, 429, 503},
    ("/sessions/{session_id}/end", "post"): {200, 401, 404, 429, 503},
    ("/sessions/{session_id}/signals", "post"): {202, 400, 401, 404, 409, 413, 415, 422, 429, 503},
    ("/sessions/{session_id}/events", "post"): {202, 400, 401, 404, 409, 413, 415, 422, 429, 503},
    ("/signals", "post"): {202, 400, 401, 413, 415, 422, 429, 503},
    ("/events", "post"): {202, 400, 401, 413, 415, 422, 429, 503},
    ("/sessions/{session_id}/engagement", "get"): {200, 401, 404, 422, 429, 503},
    ("/sessions/{session_id}/report", "get"): {200, 401, 404, 429, 503},
    ("/anomalies", "get"): {200, 401, 422, 429, 503},
    ("/sessions/{session_id}/anomalies", "get"): {200, 401, 404, 422, 429, 503},
    ("/sessions/{session_id}/anomalies/{anomaly_id}/actions", "post"): {
        200, 400, 401, 404, 409, 413, 415, 422, 429, 503,
    },
    ("/beacon/{token}", "post"): {202, 400, 401, 403, 404, 409, 413, 415, 422, 429, 503},
    ("/sessions/{session_id}/beacon-tokens", "get"): {200, 401, 404, 429, 503},
    ("/sessions/{session_id}/beacon-tokens", "post"): {201, 400, 401, 404, 413, 415, 422, 429, 503},
    ("/sessions/{session_id}/beacon-tokens/{token_id}", "delete"): {204, 401, 404, 429, 503},
    ("/webhooks", "get"): {200, 401, 429, 503},
    ("/webhooks", "post"): {201, 400, 401, 413, 415, 422, 429, 503},
    ("/webhooks/{webhook_id}", "delete"): {204, 401, 404, 429, 503},
    ("/webhooks/{webhook_id}/test", "post"): {202, 401, 404, 429, 503},
    ("/webhooks/{webhook_id}/deliveries", "get"): {200, 401, 404, 422, 429, 503},
}  # fmt: skip


@pytest.fixture
def document(client, db) -> dict:
    return client.get("/api/v1/openapi.json").json()


def test_document_names_every_call_and_all_that_it_answers(document):
    found = {
        (path.removeprefix("/api/v1"), method): {int(status) for status in operation["responses"]}
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }

    assert found == CALLS


def test_document_asks_for_the_key_everywhere_but_of_beacons(document):
    assert "security" not in document["paths"].pop("/api/v1/beacon/{token}")["post"]
    scheme = document["components"]["securitySchemes"]["BearerKey"]

    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for operations in document["paths"].values():
        assert all(operation["security"] == [{"BearerKey": []}] for operation in operations.values())


def test_document_says_what_problems_look_like(document):
    for name, answer in document["components"]["responses"].items():
        assert name == f"Problem{name[-3:]}"
        assert answer["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert "Retry-After" in document["components"]["responses"]["Problem429"]["headers"]
    assert set(document["components"]["schemas"]["Problem"]["properties"]) == {
        "type",
        "title",
        "status",
        "detail",
        "errors",
    }


@pytest.mark.parametrize(
    "schema",
    [
        "NewSession",
        "SessionChanges",
        "Break",
        "Signals",
        "IncidentAction",
        "WebhookWish",
        "VisitReport",
        "ReportedActivity",
        "BeaconTokenWish",
    ],
)
def test_document_explains_every_field_that_is_taken(document, schema):
    fields = document["components"]["schemas"][schema]["properties"]

    assert [name for name, field in fields.items() if not field.get("description")] == []


@pytest.mark.parametrize("schema", ["NewSession", "SessionChanges", "Signals", "Recorded", "Problem", "WebhookWish"])
def test_document_gives_examples(document, schema):
    assert document["components"]["schemas"][schema]["examples"]


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("post", "/signals", f"an array of up to {MAX_BATCH:,}."),
        ("post", "/events", f"up to {MAX_BATCH:,} raw events,"),
        ("get", "/engagement", f"{ROWS_PER_PAGE:,} a page."),
        ("get", "/anomalies", f"{ITEMS_PER_PAGE} a page."),
    ],
)
def test_document_tells_the_limits(document, method, path, words):
    assert words in document["paths"][f"/api/v1/sessions/{{session_id}}{path}"][method]["description"]


def test_document_holds_everything_that_it_points_to(document):
    def pointers(node) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*map(pointers, node.values()))
        return set().union(*map(pointers, node)) if isinstance(node, list) else set()

    for pointer in pointers(document):
        place = document
        for part in pointer.removeprefix("#/").split("/"):
            place = place[part]


def test_examples_are_taken(document, rest):
    schemas = document["components"]["schemas"]

    made = rest.post("/sessions", schemas["NewSession"]["examples"][0])
    path = f"/sessions/{made.json()['id']}"

    assert made.status_code == 201
    assert rest.patch(path, schemas["SessionChanges"]["examples"][0]).status_code == 200
    assert rest.post(f"{path}/signals", schemas["Signals"]["examples"][0]).status_code == 202
    assert rest.post("/webhooks", schemas["WebhookWish"]["examples"][0]).status_code == 201


def test_answers_are_as_documented(rest):
    session = rest.new_session(starts_at=START, breaks=[])
    path = f"/sessions/{session.id}"
    recorded = rest.post(f"{path}/signals", [signals(0, chat_msgs_per_min=None), signals(5)])
    found = Anomaly.objects.create(
        session=session,
        event=rest.event,
        timestamp=START + timedelta(seconds=5),
        anomaly_type="SUDDEN_DROP",
        severity="WARNING",
        anomaly_score=0.7,
    )

    answers.Recorded.model_validate_json(recorded.content)
    answers.Session.model_validate_json(rest.get(path).content)
    for page, address in [
        (answers.SessionPage, "/sessions"),
        (answers.EngagementPage, f"{path}/engagement"),
        (answers.EngagementPage, f"{path}/engagement?bucket=1m"),
        (answers.AnomalyPage, f"{path}/anomalies"),
        (answers.AnomalyPage, "/anomalies"),
    ]:
        assert page.model_validate_json(rest.get(address).content).items
    acted = rest.post(f"{path}/anomalies/{found.id}/actions", {"action": "tried", "tried": "poll", "note": "A quiz."})
    answers.Anomaly.model_validate_json(acted.content)
    answers.Report.model_validate_json(rest.get(f"{path}/report").content)
    answers.Problem.model_validate_json(rest.get("/sessions?cursor=x").content)
    webhook = answers.NewWebhook.model_validate_json(rest.post("/webhooks", {"url": "https://example.org/"}).content)
    answers.WebhookList.model_validate_json(rest.get("/webhooks").content)
    answers.Delivery.model_validate_json(rest.post(f"/webhooks/{webhook.id}/test").content)
    deliveries = rest.get(f"/webhooks/{webhook.id}/deliveries").content
    assert answers.DeliveryPage.model_validate_json(deliveries).items
    for address in ("/people/u-17", path):
        answers.Erasure.model_validate_json(rest.call("DELETE", address).content)


@pytest.mark.browser
def test_page_shows_the_calls_under_the_strict_policy(live_server, browser):
    page = browser.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    requested = []
    page.on("request", lambda request: requested.append(request.url))

    answer = page.goto(f"{live_server.url}/api/v1/docs")
    page.get_by_text("/api/v1/sessions/{session_id}/signals").first.wait_for()
    page.locator("#operations-engagement-post_signals").click()
    page.get_by_text("Record one engagement row, or an array of up to 1,000.").wait_for()

    assert "'unsafe-inline'" not in answer.headers["content-security-policy"]
    assert complaints == []
    assert [url for url in requested if not url.startswith((live_server.url, "data:"))] == []
    page.close()
