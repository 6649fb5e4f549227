"""Requests that schemathesis makes up from our own OpenAPI document, right ones and wrong ones.

No answer is a 5xx, and each is one that the document has for that call: status, content type, headers and schema.
"""

from collections.abc import Iterator

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import APIOperation, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from conductor.api.routes import api
from conductor.tests import stage
from conductor.tests.rest import Rest

EXAMPLES = 20  # of a kind, for each call: all of them together are to take less than a minute
CALLS = [f"{method.upper()} {path}" for path, calls in api.get_openapi_schema()["paths"].items() for method in calls]
load_all_checks()
CHECKED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)
REFUSED = CHECKS.get_by_names(["negative_data_rejection"])
CONFIG = {"checks": {"negative_data_rejection": {"expected-statuses": [400, 401, 404, 409, 413, 415, 422]}}}


@pytest.fixture
def operations(rest) -> Iterator[dict[str, APIOperation]]:
    """The calls of the document as it is served, each with the application that it is sent to."""
    for signal in (request_started, request_finished):  # a test's connection stays open, as with Django's own client
        signal.disconnect(close_old_connections)
    config = schemathesis.Config.from_dict(CONFIG)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", WSGIHandler(), config=config)
    found = [operation.ok() for operation in schema.get_all_operations()]
    yield {operation.label: operation for operation in found}
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("call", CALLS)
def test_made_up_requests_are_answered_as_documented(operations, rest: Rest, settings, call, mode):
    settings.RATE_LIMIT = 0
    operation = operations[call]
    # Each of these is at hand for each call, as most ids that are made up are of no session.
    full, empty = stage.live_session(rest.event), rest.new_session()
    stage.incident(full, metadata={"history": []})
    ended = rest.new_session(status="ended")
    known = [{"session_id": str(session.id)} for session in (full, empty, ended)] if "{session_id}" in call else []
    cases = st.one_of(
        operation.as_strategy(mode), *(operation.as_strategy(mode, path_parameters=place) for place in known)
    )
    # A query may hold what we do not know; a body may not.
    checks = [*CHECKED, *REFUSED] if operation.body else CHECKED
    sent = []

    @hypothesis_settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def answers_as_documented(case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {rest.secret}"})
        sent.append(answer.status_code)
        case.validate_response(answer, checks=checks)

    answers_as_documented()

    assert len(sent) >= EXAMPLES / 2
