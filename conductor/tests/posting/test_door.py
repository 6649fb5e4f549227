"""What goes past Django is answered, and stored, as Django does it: the same bodies at both doors."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from conductor import keys, metrics
from conductor.posting import committer as committing
from conductor.posting import door as doors
from conductor.posting.committer import NotStored
from conductor.tests.posting.site import Site, django
from conductor.tests.rest import START, Rest, signals
from conductor.tests.waiting import wait_until
from engagement.models import EngagementRow, RawEventRow, Session
from engagement.readings import MEASURED

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
JUDGED = START + timedelta(seconds=5)


class RestSite(Site):
    """The site as holders of keys ask it."""

    def post(self, rest: Rest, path: str, body: bytes, application: Any = None, **headers: str) -> tuple:
        """Return status, headers and body of an answer."""
        pairs = {"authorization": f"Bearer {rest.secret}", "content-type": "application/json"}
        pairs |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(path, body, pairs, application)

    def learn(self, rest: Rest) -> None:
        """Have Django take one of each call, so that the next ones need not ask it."""
        rows, events = live(rest, "signals"), live(rest, "events")
        chat = {"type": "chat", "timestamp": START.isoformat()}
        for path, body in (
            (f"/sessions/{rows.id}/signals", signals()),
            (f"/sessions/{events.id}/events", [chat]),
            ("/signals", [signals() | {"session_id": str(rows.id)}]),
            ("/events", [chat | {"session_id": str(events.id)}]),
        ):
            assert self.post(rest, path, json.dumps(body).encode())[0] == 202
        self.asked = 0


def live(rest: Rest, source: str, **fields) -> Session:
    return rest.new_session(status="live", source=source, judged_until=JUDGED, **fields)


@pytest.fixture
def site(db, monkeypatch, settings) -> Iterator[RestSite]:
    settings.RATE_LIMIT = settings.ITEM_LIMIT = 0
    monkeypatch.setattr("conductor.api.routes.now", lambda: NOW)
    monkeypatch.setattr(doors, "now", lambda: NOW)
    monkeypatch.setattr(committing, "now", lambda: NOW)
    keys.KEYS.known.clear()
    with RestSite.running() as site:
        yield site


def body_of(*rows: Mapping[str, object]) -> bytes:
    return json.dumps(rows).encode()


def test_second_post_does_not_ask_django_and_is_answered_alike(site, rest):
    session = live(rest, "signals")
    path = f"/sessions/{session.id}/signals"

    first = site.post(rest, path, body_of(signals(10)))
    assert site.asked == 1
    second = site.post(rest, path, body_of(signals(15)))

    assert site.asked == 1
    assert second == first
    assert (second[0], second[2]) == (202, b'{"accepted": 1, "duplicates": 0, "late": 0}')
    assert {b"Cache-Control", b"X-Frame-Options", b"Content-Length"} <= {name for name, _ in second[1]}
    assert site.post(rest, path, body_of(signals(15), signals(0)))[2] == b'{"accepted": 1, "duplicates": 1, "late": 1}'
    assert EngagementRow.objects.for_session(session).count() == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "elsewhere"},
        {"x_forwarded_proto": "https"},
        {"content_type": "text/plain"},
        {"authorization": "Basic abc"},
        {"authorization": "Bearer ec_unknown"},
        {"content_encoding": "gzip"},
        {"cookie": "a=b"},
        {"x_anything": "of which nobody knows what it does"},
        {"content_length": "1"},
    ],
    ids=lambda headers: "-".join(headers),
)
def test_what_is_odd_is_for_django_to_judge(site, rest, headers):
    session = live(rest, "signals")
    site.learn(rest)
    path, body = f"/sessions/{session.id}/signals", body_of(signals())

    answer = site.post(rest, path, body, **headers)

    assert site.asked == 1
    assert answer[0] == site.post(rest, path, body, django, **headers)[0]


@pytest.mark.parametrize("path", ["/sessions/{}/signals?x=1", "/sessions/{}/signals/", "/sessions", "/sessions/{}/end"])
def test_other_addresses_are_djangos(site, rest, path):
    session = live(rest, "signals")
    site.learn(rest)
    site.post(rest, path.format(session.id), body_of(signals()))
    assert site.asked == 1


def test_header_that_django_has_taken_once_is_taken(site, rest):
    session = live(rest, "signals")
    path = f"/sessions/{session.id}/signals"
    for second in (0, 5):
        site.post(rest, path, body_of(signals(second)), user_agent="platform/1", content_type="application/x+json")
        assert site.asked == 1
    for second in (10, 15):  # another one of each request, and nobody looks at them
        site.post(
            rest, path, body_of(signals(second)), user_agent="platform/1", content_type="application/x+json",
            x_request_id=str(second), x_forwarded_for=f"192.0.2.{second}",
        )  # fmt: skip
    assert site.asked == 1


@pytest.mark.parametrize("fields", [{"status": "ended"}, {"source": "events"}, {"status": "scheduled", "source": ""}])
def test_session_that_takes_no_rows_or_none_yet_is_for_django(site, rest, fields):
    sessions = [rest.new_session(**{"status": "live", "source": "signals"} | fields) for _ in range(2)]
    site.learn(rest)

    [here, there] = [
        site.post(rest, f"/sessions/{session.id}/signals", body_of(signals()), application)
        for session, application in zip(sessions, (None, django), strict=True)
    ]

    assert site.asked == 1
    assert here == there


def test_session_of_another_event_is_not_there(site, rest):
    other = live(Rest.of_new_event(), "signals")
    site.learn(rest)
    status, _, _ = site.post(rest, f"/sessions/{other.id}/signals", body_of(signals()))
    assert (status, site.asked) == (404, 1)


def test_revoked_key_works_no_longer_than_elsewhere(site, rest, monkeypatch):
    session = live(rest, "signals")
    site.learn(rest)
    path = f"/sessions/{session.id}/signals"
    rest.event.api_keys.get().revoke(NOW)
    assert site.post(rest, path, body_of(signals(10)))[0] == 202

    monkeypatch.setattr(keys, "CACHE_SECONDS", 0.0)

    assert site.post(rest, path, body_of(signals(15)))[0] == 401
    assert site.asked == 1


def test_remembered_key_is_looked_up_again_without_django(site, rest, monkeypatch):
    session = live(rest, "signals")
    site.learn(rest)
    monkeypatch.setattr(keys, "CACHE_SECONDS", 0.0)
    assert site.post(rest, f"/sessions/{session.id}/signals", body_of(signals()))[0] == 202
    assert site.asked == 0


def test_requests_are_counted_as_django_counts_them(site, rest):
    session = live(rest, "signals")
    path = f"/sessions/{session.id}/signals"
    before = {name: value() for name, value in COUNTED.items()}
    for second in (10, 15):
        site.post(rest, path, body_of(signals(second)))
        # The answer goes out before it is counted.
        wait_until(lambda before=before: all(value() == before[name] + 1 for name, value in COUNTED.items()))
        before = {name: value() for name, value in COUNTED.items()}


ROUTE = "api/v1/sessions/<session_id>/signals"
COUNTED = {
    "requests": lambda: metrics.REQUESTS.labels("POST", ROUTE, 202)._value.get(),
    "durations": lambda: (
        next(
            sample.value
            for metric in metrics.DURATION.collect()
            for sample in metric.samples
            if sample.name.endswith("_count") and sample.labels == {"method": "POST", "route": ROUTE}
        )
        if metrics.DURATION._metrics
        else 0
    ),
    "rows": lambda: metrics.ROWS.labels("accepted")._value.get(),
}


@pytest.mark.parametrize("is_express", [False, True])
def test_post_is_not_stored_and_nobody_can_say_more_while_the_database_says_nothing(
    site, rest, monkeypatch, is_express
):
    session = live(rest, "signals")
    site.learn(rest)
    path = f"/sessions/{session.id}/signals"
    if is_express:
        site.door._decline(("192.0.2.1", 9), NotStored.NOBODY)

    def submit(*_: object) -> asyncio.Future:
        assert not is_express, "it was tried already"
        outcome = asyncio.get_running_loop().create_future()
        outcome.set_result(NotStored.NOBODY)
        return outcome

    monkeypatch.setattr(site.committer, "submit", submit)
    status, headers, body = site.post(rest, path, body_of(signals()))

    assert (status, site.asked) == (503, 0)
    assert dict(headers)[b"retry-after"] == b"5"
    assert b"The database does not answer" in body
    assert not site.door.declined


def test_who_goes_while_the_body_comes_is_djangos(site, rest):
    site.learn(rest)
    session = live(rest, "signals")

    async def leave() -> None:
        headers = [
            (b"host", b"localhost"),
            (b"authorization", f"Bearer {rest.secret}".encode()),
            (b"content-type", b"application/json"),
            (b"content-length", b"10"),
        ]
        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "query_string": b"",
            "path": f"/api/v1/sessions/{session.id}/signals", "headers": headers,
        }  # fmt: skip
        request = ApplicationCommunicator(site.door, scope)
        await request.send_input({"type": "http.request", "body": b"[", "more_body": True})
        await request.send_input({"type": "http.disconnect"})
        await request.wait(timeout=20)

    site.loop.run(leave())
    assert site.asked == 1


# Bodies as text, so that they may hold what no JSON library writes. Of every field what is right, and what is odd.
SHARES = ["0", "1", "1.0", "0.5", "-0", "-0.0", "1e-400", "0.1000000000000000055511151231257827", "7e-1", "null"]
RATES = [*SHARES, "5", "5.0", "1E+2", "1e9", "1000000000.0", "123456.000000000000000000000000001"]
FEW, MANY = ["0", "-0", "-0.0", "5", "5.0", "5e0", "null"], ["40", "40.0", "4e1", "2147483647", "2147483647.0", "null"]
ODD_NUMBERS = [
    "-1", "1.5", "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "2147483648", "1000000000.1", "1000000001", "01",
    "1.", ".5", "+1", "123456789012345678901234567890", "1e99999999999", "true", "false", '"5"', "[]", "{}", "nul", "",
]  # fmt: skip
MOMENTS = [
    '"2026-03-02T09:00:00Z"', '"2026-03-02T09:00:05+00:00"', '"2026-03-02t10:00:10.5+01:00"',
    '"2026-03-02T09:00:00.0000001Z"', '"2026-03-02T09:00:00.1234567890123Z"', '"2000-01-01T00:00:00Z"',
    '"2026-03-02T12:05:00Z"', '"2026-03-02T09:00:00-00:00"', '"\\u0032026-03-02T09:00:20Z"',
]  # fmt: skip
ODD_MOMENTS = [
    '"2026-03-02 09:00:00Z"', '"2026-03-02T09:00Z"', '"2026-03-02T09:00:00"', '"2026-02-30T09:00:00Z"',
    '"1999-12-31T23:59:59Z"', '"2026-03-02T12:05:01Z"', '"2026-03-02T09:00:60Z"', '"2026-03-02T24:00:00Z"',
    '"2026-03-02T09:00:00+24:00"', '"9999-12-31T23:59:59-01:00"', '"0001-01-01T00:00:00+01:00"', '""', "1772442000",
    '"２026-03-02T09:00:00Z"', '"2026-03-02T09:00:00Z "', '"2026-03-02T09:00:30.,5Z"', "true", "[]", "null",
]  # fmt: skip
TEXTS = ['"ada"', '"a"', '"é\\ud83d\\ude00"', '" x"', '"\\t\\u00a0x"', '"\\u007f"', '"' + "é" * 200 + '"', "null"]
ODD_TEXTS = [
    '""', '" "', '"\\u00a0\\u2003"', '"a\\u0000b"', '"\\ud800"', '"\\udc00\\ud800"', '"a\nb"', '"' + "é" * 201 + '"',
    "5", "true", "[]", '"\\x"',
]  # fmt: skip
TYPES = [f'"{kind}"' for kind in ("chat", "reaction", "poll_opened", "poll_vote", "poll_closed", "question_vote")]
ODD_TYPES = ['"join"', '"mic_on"', '"talk_stopped"', '"leave"', '"focus"', '"dance"', "5", "null"]
SESSION_IDS = ['"ID0"', '"ID1"', '"UPPER0"', '"HEX0"']
ODD_SESSION_IDS = [
    '"urn:uuid:ID0"', '"{ID0}"', '"0c2f7d1e-0000-4000-8000-000000000000"', '"ID0 "', '"x"', '""', "5", "null",
]  # fmt: skip
NAMES, ODD_NAMES = ['"room-0"', '"room-1"'], ['"room-9"', '" room-0"', '"\\u0000"', '""', "7", "null"]

Fields = dict[str, tuple[list[str], list[str]]]
SIGNALS: Fields = {
    "timestamp": (MOMENTS, ODD_MOMENTS),
    "chat_msgs_per_min": (RATES, ODD_NUMBERS),
    "poll_participation": (SHARES, ODD_NUMBERS),
    "active_users": (FEW, [*ODD_NUMBERS, *MANY]),
    "total_users": (MANY, [*ODD_NUMBERS, *FEW]),
    "reactions_per_min": (RATES, ODD_NUMBERS),
    "user_leave_rate": (SHARES, ODD_NUMBERS),
    "chatters": (FEW, ODD_NUMBERS),
    "hands_raised": (MANY, ODD_NUMBERS),
    "mics_on": (FEW, ODD_NUMBERS),
    "cameras_on": (MANY, ODD_NUMBERS),
    "talk_share": (SHARES, ODD_NUMBERS),
    "speakers": (FEW, ODD_NUMBERS),
    "questions_per_min": (RATES, ODD_NUMBERS),
    "question_votes_per_min": (RATES, ODD_NUMBERS),
}
assert set(SIGNALS) == {"timestamp", *MEASURED}
EVENT: Fields = {
    "type": (TYPES, ODD_TYPES),
    "timestamp": (MOMENTS, ODD_MOMENTS),
    "user": (TEXTS, ODD_TEXTS),
    "id": (TEXTS, ODD_TEXTS),
    "poll": (TEXTS, ODD_TEXTS),
}
BY_ID: Fields = {"session_id": (SESSION_IDS, ODD_SESSION_IDS)}
BY_NAME: Fields = {"external_id": (NAMES, ODD_NAMES)}


@st.composite
def objects(draw, fields: Fields, always: tuple[str, ...]) -> str:
    """Return an object that is right, its fields in any order."""
    names = draw(st.lists(st.sampled_from(list(fields)), max_size=6, unique=True))
    names = draw(st.permutations([*names, *(name for name in always if name not in names)]))
    pairs = [f'"{name}": {draw(st.sampled_from(fields[name][0]))}' for name in names]
    return "{" + draw(st.sampled_from([", ", ",", " ,\n\t"])).join(pairs) + "}"


@st.composite
def odd_objects(draw, fields: Fields, always: tuple[str, ...]) -> str:
    """Return one with anything in it: fields that are missing, or there twice, or unknown."""
    names = draw(st.lists(st.sampled_from(list(fields)), max_size=6))
    pairs = [f'"{name}": {draw(st.sampled_from([*fields[name][0], *fields[name][1]]))}' for name in names]
    pairs += [f'"{name}": {draw(st.sampled_from(fields[name][0]))}' for name in always if draw(st.booleans())]
    pairs += draw(st.lists(st.sampled_from(['"active": 1', '"": 1', '"active_users ": 1', '"chat_count": 1', "", "5"])))
    return "{" + ", ".join(pairs) + "}"


def bodies(*kinds: tuple[Fields, tuple[str, ...]], is_alone_taken: bool = False) -> st.SearchStrategy[bytes]:
    """Return whole bodies: half of them right, the others with something odd, changed, missing or added."""
    right, odd = (
        arrays(st.one_of(*(make(*kind) for kind in kinds)), is_alone_taken) for make in (objects, odd_objects)
    )
    cut = st.tuples(right, st.integers(0, 200), st.binary(max_size=2), st.integers(0, 3)).map(
        lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + drawn[3] :]
    )
    return st.one_of(right, right, right, odd, cut, st.binary(max_size=20))


def arrays(item: st.SearchStrategy[str], is_alone_taken: bool) -> st.SearchStrategy[bytes]:
    repeated = st.lists(item, min_size=1, max_size=3).flatmap(
        lambda some: st.sampled_from([some, some + some[:1], some[:1] * 3])
    )
    several = repeated.map(lambda some: f"[{', '.join(some)}]")
    return (st.one_of(item, several) if is_alone_taken else several).map(str.encode)


ROW, CHAT = ("total_users",), ("type", "timestamp")
BODIES = {
    ("signals", True): bodies((SIGNALS, ROW), is_alone_taken=True),
    ("events", True): bodies((EVENT, CHAT)),
    ("signals", False): bodies(
        (SIGNALS | BY_ID, (*ROW, "session_id")), (SIGNALS | BY_NAME, (*ROW, "external_id")),
    ),
    ("events", False): bodies((EVENT | BY_ID, (*CHAT, "session_id")), (EVENT | BY_NAME, (*CHAT, "external_id"))),
}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "is_of_one"), BODIES, ids=["signals", "events", "signals of many", "events of many"]
)
def test_any_body_is_answered_and_stored_as_django_does(site, source, is_of_one):
    """The same bodies come to both doors, each twice, for an event with two sessions behind each."""
    here, there = Rest.of_new_event(), Rest.of_new_event()
    site.learn(here)
    site.learn(there)
    tried = 0

    @hypothesis_settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None)
    @example(b'{"timestamp": "2026-03-02T09:00:10Z", "active_users": 5.0, "total_users": 5}')
    @example(b'[{"type": "chat", "timestamp": "2026-03-02T09:00:10Z", "id": "a"}]')
    @given(BODIES[source, is_of_one])
    def compare(body: bytes) -> None:
        nonlocal tried
        tried += 2
        mine, theirs = (
            [live(rest, source, external_id=f"room-{number}") for number in range(2)] for rest in (here, there)
        )
        for _ in range(2):
            answers = [
                site.post(rest, address(sessions), named(body, sessions), application)
                for rest, sessions, application in ((here, mine, None), (there, theirs, django))
            ]
            assert answers[0] == answers[1]
        assert stored(mine) == stored(theirs)
        Session.objects.filter(id__in=[session.id for session in (*mine, *theirs)]).update(external_id=None)

    def address(sessions: list[Session]) -> str:
        return f"/sessions/{sessions[0].id}/{source}" if is_of_one else f"/{source}"

    compare()
    assert site.asked < tried * 0.7, "the door takes what is right"


def named(body: bytes, sessions: list[Session]) -> bytes:
    ids = {b"ID0": str(sessions[0].id), b"ID1": str(sessions[1].id)}
    ids |= {b"UPPER0": str(sessions[0].id).upper(), b"HEX0": sessions[0].id.hex}
    return re.sub(rb"UPPER0|HEX0|ID0|ID1", lambda found: ids[found[0]].encode(), body)


def stored(sessions: list[Session]) -> list:
    rows = [field.attname for field in EngagementRow._meta.concrete_fields if field.attname != "session_id"]
    events = ["timestamp", "type", "user", "key", "poll", "late", "received_at"]
    session_fields = ["status", "source", "newest_event_at", "closed_until", "heard_at"]
    return [
        (
            [tuple(map(repr, values)) for values in EngagementRow.objects.for_session(session).values_list(*rows)],
            list(RawEventRow.objects.filter(session=session).order_by("id").values_list(*events)),
            Session.objects.values_list(*session_fields).get(id=session.id),
        )
        for session in sessions
    ]
