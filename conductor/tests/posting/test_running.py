"""The running product, sent rows by many at once: daphne, the committer, a worker."""

import json
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from conductor.tests.rest import START, Rest, signals
from conductor.tests.waiting import wait_until
from engagement.models import EngagementRow, Session

pytestmark = pytest.mark.django_db(transaction=True)


def post(url: str, rest: Rest, body: object) -> tuple[Mapping[str, str], dict]:
    """Return headers and body of the answer, which is a 202."""
    headers = {"Authorization": f"Bearer {rest.secret}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202
        return dict(answer.headers), json.load(answer)


def test_rows_that_many_post_at_once_are_stored_once_and_judged(stack):
    rest = Rest.of_new_event()
    sessions = [rest.new_session() for _ in range(4)]
    address = stack.url + "/api/v1/sessions/{}/signals"
    first = [post(address.format(session.id), rest, signals(0)) for session in sessions]
    second = [post(address.format(session.id), rest, signals(5)) for session in sessions]
    assert {answer["accepted"] for _, answer in [*first, *second]} == {1}
    assert [headers for headers, _ in second] == [headers for headers, _ in first], "as Django answers"

    def tell(place: int) -> dict:
        session = sessions[place % 4]
        return post(address.format(session.id), rest, signals(10 + 5 * (place // 4)))[1]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(tell, range(80)))
        again = list(threads.map(tell, range(80)))

    assert [answer["accepted"] for answer in answers] == [1] * 80
    assert [answer["duplicates"] for answer in again] == [1] * 80
    assert EngagementRow.objects.count() == 4 * 22
    newest = START + timedelta(seconds=10 + 5 * 19)
    wait_until(lambda: set(Session.objects.values_list("judged_until", flat=True)) == {newest})
