"""Names that are not ours, on the running product."""

from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest


def ask(stack, path: str, **headers: str) -> tuple[int, str, str]:
    """Return status, content type and text of an answer of the running product."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(HTTPConnection(urlsplit(stack.url).netloc, timeout=30)) as connection:
        connection.request("GET", path, headers=named)
        answer = connection.getresponse()
        text = "" if answer.status == 101 else answer.read().decode()
        return answer.status, answer.headers.get("Content-Type", ""), text


@pytest.mark.django_db(transaction=True)
class TestRunningProduct:
    @pytest.mark.parametrize("host", ["evil.example", "localhost:port", "a b", "\xff"])
    def test_unknown_host_costs_one_line_and_no_traceback(self, stack, host):
        log = stack.log_dir / "web.log"
        for path in ("/", "/healthz", "/api/v1/sessions", "/api/v1", "/static/css/app.css", "/nowhere/"):
            before = log.read_text()

            status, content_type, text = ask(stack, path, Host=host)

            lines = log.read_text().removeprefix(before).splitlines()
            (line,) = [line for line in lines if '"GET ' not in line]  # daphne's own line of every request aside
            assert status == 400
            assert "This server does not go by that name." in text
            assert content_type.startswith("application/problem+json" if path.startswith("/api") else "text/html")
            assert "WARNING django.security.DisallowedHost: Invalid HTTP_HOST header" in line
