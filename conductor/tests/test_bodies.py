"""A body that no view takes is not kept: real requests to the real application."""

import json
import re
import sys
import tempfile
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from unittest.mock import Mock

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from daphne import http_protocol
from django.conf import settings

from conductor import bodies
from conductor.asgi import application
from conductor.tests import stage
from conductor.uploads import MAX_BODY

pytestmark = pytest.mark.django_db(transaction=True)

THREE_MEGABYTES = [b"x" * 2**20] * 3
MULTIPART, JSON = "multipart/form-data; boundary=b", "application/json"


class Kept:
    """How many bytes were written to temporary files."""

    def __init__(self) -> None:
        self.bytes = 0


@pytest.fixture
def kept(monkeypatch) -> Kept:
    kept = Kept()

    class Watched(tempfile.SpooledTemporaryFile):
        def write(self, data):
            kept.bytes += len(data)
            return super().write(data)

    monkeypatch.setattr("django.core.handlers.asgi.tempfile.SpooledTemporaryFile", Watched)
    return kept


@async_to_sync
async def post(path: str, chunks: list[bytes], length: int, **headers: str) -> tuple[int, str]:
    """Announce a body of so many bytes and send these; return status and text, which must come without the rest."""
    pairs = {"host": "localhost", "content-length": str(length)} | headers
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in pairs.items()],
    }
    request = ApplicationCommunicator(application, scope)
    left = length
    for chunk in chunks:
        left -= len(chunk)
        await request.send_input({"type": "http.request", "body": chunk, "more_body": left > 0})
    start = message = await request.receive_output(timeout=20)
    text = b""
    while message.get("more_body", True):
        message = await request.receive_output(timeout=20)
        text += message["body"]
    await request.wait(timeout=20)
    return start["status"], text.decode()


def test_a_huge_upload_is_refused_in_words_and_not_kept(client, event, kept):
    client.force_login(stage.organizer("mara", event))
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    status, page = post("/recordings/", THREE_MEGABYTES, MAX_BODY + 1, content_type=MULTIPART, cookie=cookie)
    assert status == 413
    assert "An upload holds up to 64 MB. Pack the file with gzip, or split the recording." in page
    assert kept.bytes == 0


def test_who_is_not_logged_in_has_no_upload_kept(kept):
    status, _ = post("/recordings/", THREE_MEGABYTES, MAX_BODY + 1, content_type=MULTIPART)
    assert (status, kept.bytes) == (302, 0)


def test_a_huge_batch_is_refused_as_a_problem_and_not_kept(rest, kept):
    bearer = f"Bearer {rest.secret}"
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    status, problem = post("/api/v1/sessions", THREE_MEGABYTES, most + 1, content_type=JSON, authorization=bearer)
    assert (status, json.loads(problem)["status"]) == (413, 413)
    assert "The body is too large" in problem
    assert kept.bytes == 0


@pytest.mark.parametrize("path", ["/accounts/login/", "/nowhere/"])
@pytest.mark.parametrize("content_type", [MULTIPART, "application/x-www-form-urlencoded"])
def test_no_address_keeps_more_than_it_could_use(kept, path, content_type):
    status, _ = post(path, THREE_MEGABYTES, 10**12, content_type=content_type)
    assert 400 <= status < 500
    assert kept.bytes == 0


def test_a_body_that_is_small_enough_arrives(rest, kept):
    body = [b'{"title": ', b'"Keynote"}']
    bearer = f"Bearer {rest.secret}"
    status, session = post("/api/v1/sessions", body, 20, content_type=JSON, authorization=bearer)
    assert (status, json.loads(session)["title"], kept.bytes) == (201, "Keynote", 20)


@pytest.mark.parametrize(("length", "kept"), [(None, 10), (9, 9), (10, 10), (11, 0), (10**12, 0)])
def test_daphne_keeps_no_more_than_the_longest_upload(monkeypatch, length, kept):
    monkeypatch.setattr(bodies, "MAX_BODY", 10)
    request = http_protocol.WebRequest(Mock())
    request.gotLength(length)
    for _ in range(min(length or 12, 12)):
        request.handleContentChunk(b"x")
    assert request.content.tell() == kept
    request.content.close()


def upload(stack, megabytes: int, **headers: str) -> int:
    """Upload so many megabytes to the running product and return the status of the answer."""
    begin, end = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n', b"\r\n--b--\r\n"
    parts = [begin, *[b"x" * 2**20] * megabytes, end]
    headers = {"Content-Type": MULTIPART, "Content-Length": str(sum(map(len, parts)))} | headers
    with closing(HTTPConnection(stack.url.removeprefix("http://"), timeout=60)) as connection:
        connection.request("POST", "/recordings/", iter(parts), headers)
        with connection.getresponse() as answer:
            return answer.status


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much memory a process had at most")
def test_an_upload_costs_the_running_product_no_more_memory_than_it_is_long(stack, event, client):
    client.force_login(stage.organizer("mara", event))
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    status = Path(f"/proc/{stack.processes['web'].pid}/status")

    def most_kilobytes() -> int:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])

    assert upload(stack, 1, Cookie=cookie) == 403  # no token; what is loaded once is loaded now
    before = most_kilobytes()
    assert upload(stack, 60, Cookie=cookie) == 403
    assert upload(stack, 66, Cookie=cookie) == 413
    assert upload(stack, 66) == 302
    assert most_kilobytes() - before < 90 * 1024  # daphne hands it over through a queue; parsed it would be ten times
