"""The proxy that ships, docs/nginx.conf: a real nginx before the running product, with a certificate of our own."""

import contextlib
import http.cookiejar
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.conf import settings

from conductor.tests import stage
from conductor.tests.conftest import Stack
from conductor.tests.waiting import wait_until
from conductor.uploads import MAX_BODY

pytestmark = pytest.mark.django_db(transaction=True)

PLACES = [*os.get_exec_path(), "/usr/sbin", str(settings.BASE_DIR / ".venv" / "nginx" / "usr" / "sbin")]
NGINX = shutil.which("nginx", path=os.pathsep.join(PLACES))
SHIPPED = (settings.BASE_DIR / "docs" / "nginx.conf").read_text()
AROUND = """
daemon off; pid nginx.pid; error_log stderr; {user}
events {{ worker_connections 256; }}
http {{ access_log off; include proxy.conf;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s; }}
"""
HEADER_SECONDS = 4


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Proxy:
    """A running nginx; `plain` is the port that speaks no TLS."""

    port: int
    plain: int
    tls: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def browser(self) -> urllib.request.OpenerDirector:
        """Return a client that keeps cookies and follows redirects."""
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        return urllib.request.build_opener(urllib.request.HTTPSHandler(context=self.tls), jar)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str):
        """Return status, headers and text of an answer, as it comes."""
        connection = HTTPSConnection("localhost", self.port, context=self.tls, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            with connection.getresponse() as answer:
                return answer.status, answer.headers, answer.read().decode()

    def connect(self) -> ssl.SSLSocket:
        return self.tls.wrap_socket(socket.create_connection(("localhost", self.port)), server_hostname="localhost")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """A folder with a certificate of localhost and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def start_proxy(certificate, tmp_path_factory) -> Iterator[Callable[..., Proxy]]:
    """How to start an nginx before a port, with what ships but for names, ports and what a test replaces."""
    if NGINX is None:
        pytest.skip("NO NGINX: it is not installed, so docs/nginx.conf was not tested")
    with ExitStack() as started:

        def start(upstream: int, **replaced: str) -> Proxy:
            return started.enter_context(nginx(certificate, tmp_path_factory.mktemp("nginx"), upstream, replaced))

        yield start


@contextmanager
def nginx(certificate: Path, home: Path, upstream: int, replaced: dict[str, str]) -> Iterator[Proxy]:
    port, plain = free_port(), free_port()
    changes = {
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{upstream};",
        "/etc/ssl/conductor": str(certificate),
        "live.example.org": "localhost",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl;\n": "",
        "client_header_timeout 10s": f"client_header_timeout {HEADER_SECONDS}s",
    } | replaced
    text = SHIPPED
    for shipped, own in changes.items():
        assert shipped in text
        text = text.replace(shipped, own)
    (home / "proxy.conf").write_text(text)
    (home / "nginx.conf").write_text(AROUND.format(user="user root;" if os.geteuid() == 0 else ""))
    command = [NGINX, "-p", home, "-c", home / "nginx.conf", "-e", "stderr"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    with (home / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            proxy = Proxy(port, plain, ssl.create_default_context(cafile=str(certificate / "fullchain.pem")))
            wait_until(lambda: listens(port), is_hopeless=lambda: process.poll() is not None)
            yield proxy
        finally:
            process.terminate()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(scope="module")
def web(stack, tmp_path_factory) -> Iterator[Stack]:
    """A web process as in production: behind a proxy that speaks TLS."""
    port = free_port()
    environment = stack.environment | {"CONDUCTOR_PLAIN_HTTP": "0", "PORT": str(port)}
    web = Stack(f"http://127.0.0.1:{port}", environment, tmp_path_factory.mktemp("web"))
    web.start("web", "daphne", "-b", "127.0.0.1", "-p", str(port), "conductor.asgi:application")
    try:
        web.wait_for("web", lambda: listens(port))
        yield web
    finally:
        web.stop("web")


@pytest.fixture(scope="module")
def proxy(web, start_proxy) -> Proxy:
    return start_proxy(int(web.environment["PORT"]))


def log_in(proxy: Proxy, user: str) -> tuple[urllib.request.OpenerDirector, list[http.cookiejar.Cookie]]:
    browser = proxy.browser()
    page = f"{proxy.url}/accounts/login/"
    fields = {"username": user, "password": "correct horse", "csrfmiddlewaretoken": token(browser, page)}
    with browser.open(
        urllib.request.Request(page, urllib.parse.urlencode(fields).encode(), {"Referer": page})
    ) as answer:
        assert (answer.status, answer.url) == (200, f"{proxy.url}/")
    (jar,) = (handler.cookiejar for handler in browser.handlers if hasattr(handler, "cookiejar"))
    return browser, list(jar)


def token(browser: urllib.request.OpenerDirector, page: str) -> str:
    with browser.open(page) as answer:
        return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', answer.read().decode())[1]


def test_people_log_in_over_tls_and_their_cookies_go_nowhere_else(proxy, event):
    stage.organizer("mara", event)

    _, cookies = log_in(proxy, "mara")

    assert {cookie.name: cookie.secure for cookie in cookies} == {"csrftoken": True, "sessionid": True}
    answer = proxy.ask("/accounts/login/")
    assert answer[1]["Strict-Transport-Security"].startswith("max-age=31536000")


def test_plain_http_is_sent_to_tls(proxy):
    with socket.create_connection(("localhost", proxy.plain)) as client:
        client.sendall(b"GET /sessions/?page=2 HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        answer = client.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 301 ")
    assert "\r\nLocation: https://localhost/sessions/?page=2\r\n" in answer


def open_page_socket(proxy: Proxy, session, cookie: str) -> tuple[ssl.SSLSocket, bytes]:
    """Open the socket of a session's page; return it and what came, with the first fragments."""
    client = proxy.connect()
    client.settimeout(20)
    client.sendall(
        f"GET /ws/sessions/{session.id}/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Cookie: {cookie}\r\n\r\n".encode()
    )
    heard = b""
    while b'id="engagement-score"' not in heard and (more := client.recv(65536)):
        heard += more
    return client, heard


def test_sockets_pass_and_those_of_one_address_are_limited(web, start_proxy, session, organizer, client):
    limited = start_proxy(int(web.environment["PORT"]), **{"limit_conn per_address 200": "limit_conn per_address 2"})
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    with ExitStack() as opened:
        for _ in range(2):
            screen, heard = open_page_socket(limited, session, cookie)
            opened.enter_context(screen)
            assert heard.startswith(b"HTTP/1.1 101 ")
            assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in heard
            assert b'id="engagement-score"' in heard
        status, headers, text = limited.ask("/api/v1/sessions")
        assert (status, headers["Content-Type"], json.loads(text)["status"]) == (429, "application/problem+json", 429)
    wait_until(lambda: limited.ask("/api/v1/sessions")[0] == 401)


@pytest.mark.parametrize("megabytes", [2.5, 5])
def test_a_batch_that_is_too_large_is_refused_as_a_problem(proxy, rest, megabytes):
    status, headers, text = proxy.ask(
        "/api/v1/sessions", "POST", b" " * int(megabytes * 2**20),
        Authorization=f"Bearer {rest.secret}", Content_Type="application/json",
    )  # fmt: skip
    assert (status, headers["Content-Type"]) == (413, "application/problem+json")
    assert json.loads(text) == {
        "type": "about:blank",
        "title": "Request Entity Too Large",
        "status": 413,
        "detail": "The body is too large: a batch holds up to 1,000 items of one session or 5,000 of many and 2 MB.",
    }


def test_a_recording_of_many_megabytes_passes_and_one_beyond_the_limit_does_not(proxy, event):
    stage.organizer("mara", event)
    browser, _ = log_in(proxy, "mara")
    page = f"{proxy.url}/recordings/"
    fields = {"csrfmiddlewaretoken": token(browser, page), "event": event.id, "title": "Keynote", "zone": "UTC"}
    parts = [f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    begin = "".join(parts) + '--b\r\nContent-Disposition: form-data; name="files"; filename="chat.txt"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Referer": page}

    def send(megabytes: int) -> str:
        body = begin.encode() + b"no recording\n" * (megabytes * 2**20 // 13) + b"\r\n--b--\r\n"
        with browser.open(urllib.request.Request(page, body, headers)) as answer:
            return answer.read().decode()

    assert "You need not wait here" in send(10)  # it came, whole, and waits for its reader
    with pytest.raises(urllib.error.HTTPError, match="413") as refused:
        send(66)
    refused.value.close()


def test_slow_connections_are_closed_in_time_while_others_are_answered(proxy):
    slow = [proxy.connect() for _ in range(20)]
    started = time.monotonic()
    for client in slow:
        client.settimeout(0)
    header = iter(f"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: {'z' * 400}".encode())
    still_open, sent = set(slow), 0
    while still_open:
        assert time.monotonic() - started < 10 * HEADER_SECONDS, f"{len(still_open)} are open"
        byte = bytes([next(header)])
        sent += 1
        still_open = {client for client in still_open if takes(client, byte)}
        if sent == 3:
            assert proxy.ask("/accounts/login/")[0] == 200
            assert time.monotonic() - started < HEADER_SECONDS, "answered while the 20 were still open"
        time.sleep(0.1)
    assert time.monotonic() - started > HEADER_SECONDS * 0.9
    assert sent > 3
    for client in slow:
        client.close()


def takes(client: ssl.SSLSocket, byte: bytes) -> bool:
    """Whether a connection is still open, and took a byte more."""
    try:
        client.send(byte)
        client.recv(4096)
    except (ssl.SSLWantReadError, BlockingIOError):
        return True
    except OSError:
        pass
    return False  # whatever is said, it is the end


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/healthz", "//metrics", "/%6detrics", "/x/../healthz"])
def test_what_is_for_the_inside_is_not_there_from_outside(proxy, path):
    assert proxy.ask(path)[0] == 404


def test_what_a_client_says_of_itself_is_not_believed(proxy, start_proxy):
    forged = {
        "X_Forwarded_For": "203.0.113.9",
        "X_Forwarded_Proto": "http",
        "X_Forwarded_Host": "evil.example",
        "X_Real_IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9;proto=http",
        "Daphne_Root_Path": "/evil",
    }
    status, _, page = proxy.ask("/accounts/login/", **forged)
    assert (status, "evil" in page) == (200, False)  # had it believed the scheme, it would send us to https

    heard = []

    class Web(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        listening = start_proxy(server.server_port)
        for path in ("/", "/api/v1/sessions", "/recordings/", "/ws/sessions/1/"):
            assert listening.ask(path, **forged)[0] == 204
        server.shutdown()
    for headers in heard:
        assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "https")
        assert headers["host"] == f"localhost:{listening.port}"
        assert not {"x-forwarded-host", "x-real-ip", "forwarded", "daphne-root-path"} & set(headers)
    assert len(heard) == 4


def test_a_web_process_that_is_away_is_a_problem_to_programs_and_a_page_to_people(start_proxy):
    lonely = start_proxy(free_port())

    status, headers, text = lonely.ask("/api/v1/sessions")
    assert (status, headers["Content-Type"], headers["Retry-After"]) == (503, "application/problem+json", "5")
    assert {"status": 503, "title": "Service Unavailable"}.items() <= json.loads(text).items()

    status, headers, text = lonely.ask("/sessions/", Accept_Encoding="gzip")
    assert "Content-Encoding" not in headers
    assert (status, headers["Content-Type"], headers["Retry-After"]) == (503, "text/html; charset=utf-8", "5")
    assert "Reload the page" in text


def test_proxy_and_product_agree_on_what_is_too_large():
    sizes = [int(megabytes) * 2**20 for megabytes in re.findall(r"client_max_body_size (\d+)m;", SHIPPED)]
    rows, recording = sizes
    assert recording == MAX_BODY
    assert rows > settings.DATA_UPLOAD_MAX_MEMORY_SIZE  # a little more, and the product says it in its own words


def test_every_location_that_sets_a_header_sets_all_of_them():
    """nginx hands down none of the headers above where a location sets one."""
    sets = re.compile(r"proxy_set_header (\S+) ")
    above, socket_part = SHIPPED.partition("location / {")[0], SHIPPED.partition("location /ws/ {")[2].partition("}")[0]
    assert set(sets.findall(socket_part)) == {*sets.findall(above), "Upgrade"}
    assert len(sets.findall(SHIPPED)) == 2 * len(sets.findall(above)) + 1
