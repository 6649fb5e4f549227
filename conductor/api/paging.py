"""Pages of a list: an opaque cursor says where the next one starts, and `next` is its whole address."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest

from conductor.api.problems import Problem

T = TypeVar("T")
NO_ID = UUID(int=0)


def write_cursor(at: datetime, id: UUID = NO_ID) -> str:
    """Return the place of an item in a list that is sorted by moment, then id."""
    return urlsafe_b64encode(f"{at.astimezone(UTC).isoformat()} {id}".encode()).decode()


def read_cursor(text: str) -> tuple[datetime, UUID]:
    """Return the place that `write_cursor` wrote. Raises the `Problem` of a cursor that it did not write."""
    try:
        at, _, id = urlsafe_b64decode(text.encode("ascii")).decode("ascii").partition(" ")
        place = datetime.fromisoformat(at), UUID(id)
        if write_cursor(*place) == text:
            return place
    except (binascii.Error, ValueError, OverflowError):
        pass
    raise Problem(422, errors=[{"parameter": "cursor", "detail": "Input should be a cursor from `next`"}])


def page(
    request: HttpRequest,
    items: QuerySet[Any, T] | Sequence[T],
    size: int,
    render: Callable[[T], Mapping[str, object]],
    place: Callable[[T], str],
) -> dict[str, object]:
    """Return the first page of `items`; one more than `size` is looked up, to see whether there is a next."""
    found, address = list(items[: size + 1]), None
    if len(found) > size:
        query = request.GET.copy()
        query["cursor"] = place(found[size - 1])
        address = request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
    return {"items": [render(item) for item in found[:size]], "next": address}
