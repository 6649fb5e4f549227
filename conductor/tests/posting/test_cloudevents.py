"""CloudEvents' JSON batch becomes raw events, at both doors alike."""

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from conductor.api.cloudevents import BATCH
from conductor.tests.posting.test_door import django, live, site, stored  # noqa: F401  a fixture
from conductor.tests.rest import START, Rest
from engagement.models import RawEventRow

pytestmark = pytest.mark.django_db(transaction=True)

SOURCE = "https://live.example.org/rooms/1"


def cloud_event(number: int = 1, kind: str = "org.example.live.chat", **fields: object) -> dict:
    at = (START + timedelta(seconds=number)).isoformat()
    event = {"specversion": "1.0", "id": f"m-{number}", "source": SOURCE, "type": kind, "time": at}
    return event | {"datacontenttype": "application/json", "data": {"user": "u-17"}} | fields


def post(site, rest, path: str, events: object, application=None) -> tuple:  # noqa: F811
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    return site.post(rest, path, body, application, content_type=BATCH)


def test_batch_is_taken_once_and_past_django_the_next_time(site, rest):  # noqa: F811
    session = live(rest, "events")
    path = f"/sessions/{session.id}/events"
    batch = [cloud_event(1), cloud_event(2, "join", traceparent="00-x", subject="rooms/1")]

    assert post(site, rest, path, batch)[2] == b'{"accepted": 2, "duplicates": 0, "late": 0}'
    assert post(site, rest, path, [*batch, cloud_event(3, data=None)])[2].startswith(b'{"accepted": 1, "duplicates": 2')
    assert post(site, rest, path, batch)[2].startswith(b'{"accepted": 0, "duplicates": 2')

    assert site.asked == 2, "the first, and the one without data"
    told = RawEventRow.objects.order_by("id").values_list("type", "user", "key")
    assert list(told) == [("chat", "u-17", f"{SOURCE} m-1"), ("join", "u-17", f"{SOURCE} m-2"),
                          ("chat", "", f"{SOURCE} m-3")]  # fmt: skip


def test_batch_names_sessions_in_its_data(site, rest):  # noqa: F811
    sessions = [live(rest, "events", external_id=f"room-{number}") for number in range(2)]
    batch = [cloud_event(1, data={"session_id": str(sessions[0].id)}), cloud_event(2, data={"external_id": "room-1"})]
    for _ in range(2):
        assert post(site, rest, "/events", batch)[0] == 202
    assert site.asked == 1
    assert RawEventRow.objects.filter(session__in=sessions).count() == 2


def test_event_of_another_source_is_another(site, rest):  # noqa: F811
    session = live(rest, "events")
    batch = [cloud_event(1), cloud_event(1, source="urn:other")]
    assert post(site, rest, f"/sessions/{session.id}/events", batch)[2].startswith(b'{"accepted": 2')


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        (cloud_event(specversion="0.3"), "/0/specversion"), (cloud_event(time="yesterday"), "/0/time"),
        (cloud_event(kind="org.example.applause"), "/0/type"), (cloud_event(source=""), "/0/source"),
        (cloud_event(data={"text": "hello"}), "/0/data/text"), (cloud_event(data="hello"), "/0/data"),
        (cloud_event(kind="join", data=None), "/0"), (cloud_event(id="x" * 190), "/0"),
        (cloud_event(data_base64="aGVsbG8="), "/0/data_base64"), ("chat", "/0"),
    ],
    ids=str,
)  # fmt: skip
def test_event_that_is_wrong_is_told_where(rest, event, pointer):
    session = rest.new_session()
    headers = {"authorization": f"Bearer {rest.secret}"}
    found = rest.client.generic(
        "POST", f"/api/v1/sessions/{session.id}/events", json.dumps([event]), BATCH, headers=headers
    )
    assert (found.status_code, found.json()["errors"][0]["pointer"]) == (422, pointer)


def test_batch_is_bounded(rest):
    session = rest.new_session()
    headers = {"authorization": f"Bearer {rest.secret}"}
    for events, status in (([], 422), ([cloud_event(n) for n in range(1_001)], 413), ({}, 422)):
        found = rest.client.generic(
            "POST", f"/api/v1/sessions/{session.id}/events", json.dumps(events), BATCH, headers=headers
        )
        assert found.status_code == status


def test_raw_events_are_no_cloudevents(site, rest):  # noqa: F811
    """Also where such a request was taken before: what it is said to be decides how it is read."""
    session = live(rest, "events")
    path = f"/sessions/{session.id}/events"
    assert post(site, rest, path, [cloud_event()])[0] == 202
    plain = [{"type": "chat", "timestamp": START.isoformat()}]
    assert post(site, rest, path, plain)[0] == 422
    assert site.post(rest, path, json.dumps([cloud_event()]).encode())[0] == 422
    assert site.post(rest, path, json.dumps(plain).encode())[0] == 202


ODD = st.sampled_from([None, 1, True, "", " ", "x" * 201, "\0", [], {}, "1.0", "chat", "application/json"])
FIELDS = {
    "specversion": st.just("1.0"),
    "id": st.sampled_from(["m-1", "m-2", "ä", "x" * 150]),
    "source": st.sampled_from([SOURCE, "urn:x", "y" * 60]),
    "type": st.sampled_from(["chat", "org.example.reaction", "a.b.join", ".leave", "poll_vote", "Chat", "chat."]),
    "time": st.sampled_from(
        [START.isoformat(), "2026-03-02T09:00:05Z", "2026-03-02t09:00:05.5+01:00", "1970-01-01T00:00:00Z"]
    ),
    "data": st.fixed_dictionaries({}, optional={"user": st.sampled_from(["ada", "", None]), "poll": ODD}),
}  # fmt: skip
right = st.fixed_dictionaries(FIELDS, optional={"subject": ODD, "datacontenttype": st.just("application/json")})
wrong = st.fixed_dictionaries(
    {name: st.one_of(field, field, ODD) for name, field in FIELDS.items()},
    optional={"datacontenttype": ODD, "data_base64": ODD, "Extension": ODD},
)
batches = st.lists(st.one_of(right, right, wrong), min_size=1, max_size=3).map(lambda some: json.dumps(some).encode())


def test_any_batch_is_answered_and_stored_as_django_does(site):  # noqa: F811
    here, there = Rest.of_new_event(), Rest.of_new_event()
    for rest in (here, there):
        assert post(site, rest, f"/sessions/{live(rest, 'events').id}/events", [cloud_event()])[0] == 202
    site.asked = tried = 0

    @hypothesis_settings(max_examples=40, suppress_health_check=list(HealthCheck), database=None)
    @example(json.dumps([cloud_event(1, data={"user": "ada"})]).encode())
    @given(batches)
    def compare(body: bytes) -> None:
        nonlocal tried
        mine, theirs = ([live(rest, "events")] for rest in (here, there))
        for _ in range(2):
            tried += 1
            assert post(site, here, f"/sessions/{mine[0].id}/events", body) == post(
                site, there, f"/sessions/{theirs[0].id}/events", body, django
            )
        assert stored(mine) == stored(theirs)

    compare()
    assert site.asked < tried * 0.95, "the door takes what is right"
