"""How a body may come: as JSON, packed or not; and what is refused before anybody reads it."""

import gzip
import json
import tracemalloc
import zlib

import pytest
from django.conf import settings
from django.test import Client

from conductor.api.content import unpack
from conductor.api.problems import Problem
from conductor.tests.api.test_bad_input import check_problem
from conductor.tests.rest import signals
from engagement.models import EngagementRow, Session

MOST = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
SESSION = json.dumps({"title": "Keynote"}).encode()


def send(rest, body: bytes, content_type: str = "application/json", path="/api/v1/sessions", content_encoding=None):
    headers = {"authorization": f"Bearer {rest.secret}"}
    if content_encoding is not None:
        headers["content-encoding"] = content_encoding
    return Client().generic("POST", path, body, content_type, headers=headers)


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "Application/JSON; charset=utf-8", "application/vnd.platform+json", "text/x+json"],
)
def test_json_is_taken_by_its_names_and_where_nothing_is_said(rest, content_type):
    assert send(rest, SESSION, content_type).status_code == 201
    assert Session.objects.get().title == "Keynote"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "application/jsonx",
        "application/xml",
        "json",
        "+json, text/plain",
    ],
)
def test_what_is_said_to_be_something_else_is_refused_by_name(rest, content_type):
    problem = check_problem(send(rest, SESSION, content_type), 415)

    said = content_type.partition(";")[0]
    assert problem["detail"] == f"Send JSON, as Content-Type: application/json; this body is said to be {said}."
    assert not Session.objects.exists()


@pytest.mark.parametrize("coding", ["gzip", "GZIP", " x-gzip "])
def test_a_packed_batch_is_taken(rest, coding):
    session = rest.new_session()
    batch = json.dumps([signals(5 * place) for place in range(1_000)]).encode()
    packed = gzip.compress(batch, mtime=0)

    answer = send(rest, packed, path=f"/api/v1/sessions/{session.id}/signals", content_encoding=coding)

    assert (answer.status_code, answer.json()["accepted"]) == (202, 1_000)
    assert EngagementRow.objects.for_session(session.id).count() == 1_000
    assert len(packed) * 10 < len(batch), "the docs say so"


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "compress", "*"])
def test_an_unknown_packing_is_refused_by_name(rest, coding):
    answer = send(rest, SESSION, content_encoding=coding)

    problem = check_problem(answer, 415)
    assert problem["detail"].endswith(f"as Content-Encoding: gzip; this one is said to be {coding}.")
    assert answer.headers["Accept-Encoding"] == "gzip"
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (SESSION, "The body is not gzip, as its Content-Encoding says"),
        (zlib.compress(SESSION), "The body is not gzip"),
        (gzip.compress(SESSION, mtime=0)[:-1], "The body's gzip breaks off before its end."),
        (gzip.compress(SESSION, mtime=0)[:-8] + bytes(8), "incorrect data check"),
        (gzip.compress(SESSION, mtime=0) + b"{}", "The body goes on after the end of its gzip."),
        (gzip.compress(SESSION, mtime=0) * 2, "The body goes on after the end of its gzip."),
        (gzip.compress(b"", mtime=0), "The body is not JSON"),
        (gzip.compress(b"chat=12", mtime=0), "The body is not JSON"),
    ],
)
def test_broken_gzip_is_refused_in_words(rest, body, words):
    problem = check_problem(send(rest, body, content_encoding="gzip"), 400)

    assert words in problem["detail"]
    assert not Session.objects.exists()


def test_a_body_that_swells_is_refused(rest):
    bomb = gzip.compress(b" " * (MOST + 1), mtime=0)
    assert len(bomb) < 3_000

    check_problem(send(rest, bomb, content_encoding="gzip"), 413)

    assert send(rest, gzip.compress(SESSION.rjust(MOST), mtime=0), content_encoding="gzip").status_code == 201


def test_no_more_is_unpacked_than_is_taken():
    bomb = gzip.compress(bytes(200 * 2**20), compresslevel=9, mtime=0)
    tracemalloc.start()
    try:
        with pytest.raises(Problem) as refused:
            unpack(bomb, MOST)
        assert refused.value.status == 413
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST
    finally:
        tracemalloc.stop()


def test_who_has_no_key_is_told_of_that_first(rest):
    rest.secret = "ec_unknown"
    check_problem(send(rest, SESSION, "text/plain"), 401)
