"""The OpenAPI document: what the framework writes, and with it the problems that each call may answer."""

from http import HTTPStatus
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation

from conductor.api import answers
from conductor.api.problems import CONTENT_TYPE, MAX_MEGABYTES
from engagement.limits import MAX_BATCH, MAX_BATCH_OF_MANY

WHY = {
    400: "The body is not JSON, or not the gzip that it is said to be.",
    401: "No key, or a key or token that is unknown or revoked.",
    403: "The token is not for pages of this origin, or the request does not say of which it is.",
    404: "Not there, or of another event.",
    409: "The session has ended and takes no more, or it is told of by the other kind: signals or raw events; or the "
    "incident is not in a state that allows the action.",
    413: f"More than {MAX_BATCH:,} items of one session or {MAX_BATCH_OF_MANY:,} of many, or more than "
    f"{MAX_MEGABYTES} MB when it is unpacked.",
    415: "The body is said to be no JSON, or to be packed by something else than gzip.",
    422: "Well-formed but wrong: `errors` says what, and where. Nothing was stored.",
    429: "This key or token sends too many requests, or an address too many reports.",
    503: "The database cannot be reached, or the session is in use. Nothing was changed; send it again.",
}
HEADERS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


class DocumentedAPI(NinjaAPI):
    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        schema = answers.Problem.model_json_schema(ref_template=REF_TEMPLATE)
        document["components"]["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
        document["components"]["responses"] = {f"Problem{status}": _describe(status) for status in WHY}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                for status in _problems_of(path, operation):
                    operation["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}
        return document


def _problems_of(path: str, operation: dict[str, Any]) -> list[int]:
    """Return what can go wrong, by what the call takes."""
    takes_body = "requestBody" in operation
    takes_query = any(parameter["in"] == "query" for parameter in operation["parameters"])
    found = {401, 429, 503}
    found |= {400, 413, 415} if takes_body else set()
    found |= {422} if takes_body or takes_query else set()
    found |= {404} if "{" in path else set()
    found |= {409} if path.endswith(("}/signals", "}/events", "}/actions", "/beacon/{token}")) else set()
    found |= {403} if path.endswith("/beacon/{token}") else set()
    return sorted(found)


def _describe(status: int) -> dict[str, object]:
    answer: dict[str, object] = {
        "description": f"{HTTPStatus(status).phrase}. {WHY[status]}",
        "content": {CONTENT_TYPE: {"schema": {"$ref": REF_TEMPLATE.format(model="Problem")}}},
    }
    if header := HEADERS.get(status):
        answer["headers"] = {header: {"schema": {"type": "string"}}}
    return answer
