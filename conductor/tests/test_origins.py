"""Names that are not ours, and sockets from other origins: on the running product, and on the rule alone."""

from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from channels.testing import WebsocketCommunicator
from django.conf import settings

from conductor.origins import OwnOrigin
from conductor.tests import stage
from engagement.models import ApiKey

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


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
    @pytest.fixture
    def cookie(self, session, client) -> str:
        client.force_login(stage.organizer("mara", session.event))
        return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"

    def test_only_pages_of_the_very_origin_open_sockets(self, stack, session, cookie):
        path, port = f"/ws/sessions/{session.id}/", urlsplit(stack.url).port
        own = f"localhost:{port}"

        def shake(origin: str, host: str = own, **headers: str) -> int:
            return ask(stack, path, Host=host, Origin=origin, Cookie=cookie, **HANDSHAKE, **headers)[0]

        assert shake(f"http://{own}") == 101
        assert shake(f"http://{own}", X_Forwarded_Proto="http") == 101
        assert shake(f"https://{own}", X_Forwarded_Proto="https") == 101
        for origin in (
            "http://localhost:9999",
            "http://localhost",
            f"http://127.0.0.1:{port}",
            f"https://{own}",
            f"http://{own}.evil.example",
            f"http://{own}/",
            f"HTTP://{own}",
            "http://evil.example",
            "null",
            "",
            "http://[",
        ):
            assert shake(origin) in (400, 403), origin  # autobahn itself refuses what is no origin at all
        assert shake(f"http://{own}", X_Forwarded_Proto="https") == 403
        assert shake("http://evil.example", host="evil.example") == 403, "a name that is made to point at us"

    def test_what_is_no_browser_opens_the_stream_with_its_key(self, stack, session):
        bearer = f"Bearer {ApiKey.objects.issue(session.event, 'platform')[1]}"
        path = f"/ws/sessions/{session.id}/stream/"
        assert ask(stack, path, Authorization=bearer, **HANDSHAKE)[0] == 101
        assert ask(stack, path, Authorization=bearer, Origin="http://localhost:9999", **HANDSHAKE)[0] == 403

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


async def reaches(scope_headers: dict[str, str]) -> bool:
    """Say whether a handshake reaches the application behind the rule."""

    async def accept(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    headers = [(name.encode(), value.encode()) for name, value in scope_headers.items()]
    socket = WebsocketCommunicator(OwnOrigin(accept), "/", headers=headers)
    connected, _ = await socket.connect()
    if connected:
        await socket.disconnect()
    return connected


@pytest.mark.parametrize(
    ("origin", "is_taken"),
    [
        ("https://live.example.org", True),
        ("https://a.stage.example.org", True),
        ("http://live.example.org", False),
        ("https://live.example.org:444", False),
        ("https://example.org", False),
        ("https://evil-stage.example.org", False),
        (None, True),
    ],
)
async def test_trusted_origins_open_sockets(settings, origin, is_taken):
    settings.CSRF_TRUSTED_ORIGINS = ["https://live.example.org", "https://*.stage.example.org"]
    headers = {"host": "localhost:8000"} | ({"origin": origin} if origin else {})
    assert await reaches(headers) is is_taken
