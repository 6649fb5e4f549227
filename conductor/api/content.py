"""The bytes of a body as its headers say them: JSON, and packed with gzip or not."""

import zlib

from django.conf import settings
from django.http import HttpRequest

from conductor.api.problems import Problem

JSON, TEXT = "application/json", "text/plain"
OF_BEACONS = "post_report"
GZIP = 16 + zlib.MAX_WBITS  # zlib's way to ask for the format of a .gz file


def read_content(request: HttpRequest) -> bytes:
    """Return the JSON of a body, unpacked; where nothing is said it is taken for JSON.

    Raises a 415 where it is said to be something else, a 413 where it is longer than DATA_UPLOAD_MAX_MEMORY_SIZE.
    """
    kind = request.content_type or JSON
    # A browser sends text to another origin without asking it first; of a beacon that is JSON.
    is_of_beacon = kind == TEXT and request.resolver_match is not None and request.resolver_match.url_name == OF_BEACONS
    if kind != JSON and not kind.endswith("+json") and not is_of_beacon:
        raise Problem(415, f"Send JSON, as Content-Type: {JSON}; this body is said to be {kind}.")
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding in ("gzip", "x-gzip"):
        return unpack(request.body, most)
    if coding not in ("", "identity"):
        detail = f"Send the body as it is, or as Content-Encoding: gzip; this one is said to be {coding}."
        raise Problem(415, detail, headers={"Accept-Encoding": "gzip"})
    if len(request.body) > most:  # Django looks at Content-Length only
        raise Problem(413)
    return request.body


def unpack(packed: bytes, most: int) -> bytes:
    """Return what gzip packed. A few kilobytes may hold gigabytes, so no more of it is unpacked than is taken."""
    member = zlib.decompressobj(GZIP)
    try:
        content = member.decompress(packed, most + 1)
    except zlib.error as error:
        raise Problem(400, f"The body is not gzip, as its Content-Encoding says: {error}.") from error
    if len(content) > most:
        raise Problem(413)
    if not member.eof:
        raise Problem(400, "The body's gzip breaks off before its end.")
    if member.unused_data:  # further members would be legal; a body of empty ones would cost minutes
        raise Problem(400, "The body goes on after the end of its gzip.")
    return content
