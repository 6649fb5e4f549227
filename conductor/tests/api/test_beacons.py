"""What a token of a beacon opens, and what not: it writes into one session, from named pages, and reads nothing."""

import json
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils.timezone import now

from conductor import keys
from conductor.api.beacons import NO_ORIGIN, OTHER_ORIGIN
from conductor.tests.rest import Rest
from engagement.erasure import erase_sessions
from engagement.models import ApiKey, BeaconToken, RawEventRow, Session, Visitor

ORIGIN = "https://player.example.org"
PERSON = "5d6f0c3a9b1e47d28c70aa41be9f3e12"


@pytest.fixture(autouse=True)
def forgetful():
    keys.TOKENS.known.clear()


@pytest.fixture
def session(rest) -> Session:
    return rest.new_session()


@pytest.fixture
def token(session) -> str:
    return BeaconToken.objects.issue(session, "Player", [ORIGIN])[1]


def report(number: int = 1, state: str = "focus", *events: dict, **fields: object) -> dict:
    return {"person": PERSON, "number": number, "state": state, "events": list(events)} | fields


def send(token: str, body: object, kind: str = "text/plain;charset=UTF-8", **headers: str) -> HttpResponse:
    """Send a report as a browser does; `Origin` is that of the page unless said otherwise."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"origin": ORIGIN} | headers
    client = Client(raise_request_exception=False)
    return client.generic("POST", f"/api/v1/beacon/{token}", data, kind, headers=headers)


def kinds(session: Session) -> list[str]:
    return list(RawEventRow.objects.filter(session=session).order_by("id").values_list("type", flat=True))


def test_report_becomes_raw_events_and_its_page_may_read_the_answer(token, session):
    found = send(token, report(1, "focus", {"number": 1, "type": "reaction", "seconds_ago": 0.5}))

    assert (found.status_code, found.json()) == (202, {"accepted": 3, "duplicates": 0, "late": 0})
    assert found.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert found.headers["Vary"] == "origin"
    assert not found.cookies
    assert sorted(kinds(session)) == ["focus", "join", "reaction"]
    assert send(token, report(1, "focus", {"number": 1, "type": "reaction"})).json()["duplicates"] == 1


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/vnd.beacon+json"])
def test_report_may_be_said_to_be_text_or_json(token, kind):
    assert send(token, report(), kind).status_code == 202


def test_nothing_else_may_be_said_to_be_text(rest, session):
    headers = {"authorization": f"Bearer {rest.secret}"}
    found = rest.client.generic("POST", f"/api/v1/sessions/{session.id}/events", b"[]", "text/plain", headers=headers)
    assert found.status_code == 415


@pytest.mark.parametrize(
    ("origin", "detail"),
    [("https://elsewhere.example", OTHER_ORIGIN), ("http://player.example.org", OTHER_ORIGIN),
     ("https://player.example.org:8443", OTHER_ORIGIN), ("null", OTHER_ORIGIN), ("", NO_ORIGIN)],
)  # fmt: skip
def test_page_of_another_origin_is_refused_and_cannot_read_why(token, session, origin, detail):
    found = send(token, report(), origin=origin)

    assert (found.status_code, found.json()["detail"]) == (403, detail)
    assert found.headers["Content-Type"] == "application/problem+json"
    assert "Access-Control-Allow-Origin" not in found.headers
    assert kinds(session) == []


def test_revoked_token_writes_nothing_after_the_seconds_of_keys(token, session, monkeypatch):
    assert send(token, report()).status_code == 202
    BeaconToken.objects.get().revoke(now())
    assert send(token, report(2, "blur")).status_code == 202, "remembered for as long as a key is"

    monkeypatch.setattr(keys, "CACHE_SECONDS", 0.0)

    found = send(token, report(3, "left"))
    assert (found.status_code, found.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)
    assert (
        "Access-Control-Allow-Origin" not in send(token, report(3, "left"), origin="https://elsewhere.example").headers
    )
    assert kinds(session) == ["join", "focus", "blur"]


def test_token_that_nobody_made_opens_nothing(db):
    for token in ("eb_" + 43 * "x", "x", "eb_"):
        found = send(token, report())
        assert found.status_code == 401
        assert "Access-Control-Allow-Origin" not in found.headers


def test_stolen_token_reads_nothing_and_writes_to_one_session(rest, token, session):
    """Whoever takes it out of the page has what any visitor has."""
    other = rest.new_session(title="Other")
    thief = Rest(rest.event, token)
    for method, path in (
        ("GET", "/sessions"), ("GET", f"/sessions/{session.id}"), ("GET", f"/sessions/{session.id}/engagement"),
        ("GET", f"/sessions/{session.id}/report"), ("GET", "/anomalies"), ("GET", f"/sessions/{session.id}/anomalies"),
        ("GET", f"/sessions/{session.id}/beacon-tokens"), ("GET", "/webhooks"), ("PATCH", f"/sessions/{session.id}"),
        ("POST", f"/sessions/{session.id}/events"), ("POST", f"/sessions/{other.id}/events"),
        ("POST", "/events"), ("POST", f"/sessions/{session.id}/signals"), ("POST", f"/sessions/{session.id}/end"),
        ("DELETE", f"/sessions/{session.id}"), ("DELETE", "/people/u-1"),
    ):  # fmt: skip
        assert thief.call(method, path, {} if method != "GET" else None, origin=ORIGIN).status_code == 401, path
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
        found = thief.call(method, f"/beacon/{token}", origin=ORIGIN)
        assert found.status_code == 405
        assert set(found.json()) == {"type", "title", "status", "detail"}
        assert "Access-Control-Allow-Origin" not in found.headers

    assert send(token, report(session_id=str(other.id))).status_code == 422
    assert send(token, report()).status_code == 202
    assert set(RawEventRow.objects.values_list("session_id", flat=True)) == {session.id}


def test_token_speaks_of_nobody_whom_the_platform_knows(token, session):
    """Nor can it take the id of an event of theirs before they do."""
    send(token, report(1, "focus", {"number": 1, "type": "chat"}))
    for user, key in RawEventRow.objects.values_list("user", "key"):
        assert user == f"beacon:{PERSON}"
        assert key is None or (key.startswith("beacon:") and PERSON not in key)


def test_api_key_is_no_token(rest, session):
    assert send(rest.secret, report()).status_code == 401


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (report(person="short"), "/person"), (report(person="ä" * 20), "/person"), (report(person="a" * 65), "/person"),
        (report(person=PERSON + "\n"), "/person"), (report(-1), "/number"), (report(2**31), "/number"),
        (report(1, "away"), "/state"), (report(1, "here", {"number": 1, "type": "chat"}), "/events"),
        (report(1, "focus", {"number": 1, "type": "join"}), "/events/0/type"),
        (report(1, "focus", {"number": 1, "type": "chat", "seconds_ago": -1}), "/events/0/seconds_ago"),
        (report(1, "focus", {"number": 1, "type": "chat", "text": "hello"}), "/events/0/text"),
        (report(1, "focus", *[{"number": n, "type": "chat"} for n in range(51)]), None),
        (report(name="Ada"), "/name"), ([], ""),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_report_that_is_wrong_is_told_where(token, session, body, pointer):
    found = send(token, body)

    assert found.status_code == 422
    assert found.headers["Access-Control-Allow-Origin"] == ORIGIN
    if pointer is not None:
        assert found.json()["errors"][0]["pointer"] == pointer
    assert kinds(session) == []


def test_report_is_bounded_and_is_json(token):
    assert send(token, b"x" * 16_385).status_code == 413
    assert send(token, b"{").status_code == 400
    assert send(token, b"").status_code == 400
    assert send(token, report(), "application/x-www-form-urlencoded").status_code == 415


def test_session_that_takes_nothing_is_told_to_its_page(rest, token, session):
    Session.objects.filter(id=session.id).update(status="ended")
    found = send(token, report())
    assert (found.status_code, found.headers["Access-Control-Allow-Origin"]) == (409, ORIGIN)
    Session.objects.filter(id=session.id).update(status="live", source="signals")
    assert send(token, report()).status_code == 409
    erase_sessions([session.id], "ada", now())
    assert send(token, report()).status_code == 404


@pytest.mark.parametrize(("name", "limit"), [("BEACON_LIMIT", 1), ("BEACON_ADDRESS_LIMIT", 1), ("ITEM_LIMIT", 1)])
def test_token_and_address_and_event_are_limited(token, settings, monkeypatch, name, limit):
    monkeypatch.setattr("conductor.api.throttle.time", lambda: 1_800_000_003.0)
    settings.BEACON_LIMIT = settings.BEACON_ADDRESS_LIMIT = settings.ITEM_LIMIT = 0
    setattr(settings, name, limit)
    address = f"192.0.2.{['BEACON_LIMIT', 'BEACON_ADDRESS_LIMIT', 'ITEM_LIMIT'].index(name) + 1}"
    settings.PROXIES = 1

    found = [send(token, report(number), x_forwarded_for=address) for number in range(1, 12)]

    assert [each.status_code for each in found] == [202] * 10 + [429]
    assert found[-1].headers["Retry-After"] == "7"
    assert found[-1].headers["Access-Control-Expose-Headers"] == "Retry-After"
    other = send(token, report(12), x_forwarded_for="192.0.2.200")
    assert other.status_code == (202 if name == "BEACON_ADDRESS_LIMIT" else 429)


def test_global_privacy_control_is_honoured_whatever_the_page_says(token, session):
    assert send(token, report(1, "focus", {"number": 1, "type": "chat"}), sec_gpc="1").status_code == 202
    send(token, report(2, "blur"), sec_gpc="1")
    send(token, report(3, "left"), sec_gpc="1")
    assert kinds(session) == ["join", "leave"]


def test_tokens_are_made_listed_and_revoked_with_a_key(rest, session):
    path = f"/sessions/{session.id}/beacon-tokens"
    made = rest.post(path, {"name": "Player", "origins": ["HTTPS://Player.example.org:443/", ORIGIN]})

    assert made.status_code == 201
    assert made.json()["origins"] == [ORIGIN]
    assert send(made.json()["token"], report()).status_code == 202
    listed = rest.get(path).json()["items"]
    assert listed == [{name: value for name, value in made.json().items() if name != "token"}]
    for _ in range(2):
        assert rest.call("DELETE", f"{path}/{made.json()['id']}").status_code == 204
    assert rest.get(path).json() == {"items": []}
    other = Rest.of_new_event()
    assert other.post(path, {"name": "x", "origins": [ORIGIN]}).status_code == 404
    assert other.get(path).status_code == other.call("DELETE", f"{path}/{made.json()['id']}").status_code == 404
    assert rest.call("DELETE", f"{path}/{ApiKey.objects.first().id}").status_code == 404


@pytest.mark.parametrize("origins", [[], ["*"], ["null"], ["https://a.example/x"], ["ftp://a.example"],
                                     [f"https://a{n}.example" for n in range(21)]])  # fmt: skip
def test_token_names_origins_and_nothing_else(rest, session, origins):
    found = rest.post(f"/sessions/{session.id}/beacon-tokens", {"name": "Player", "origins": origins})
    assert found.status_code in (413, 422)
    assert not BeaconToken.objects.exists()


def test_visitors_vanish_with_their_session(token, session):
    send(token, report())
    assert Visitor.objects.get().heard_at > now() - timedelta(minutes=1)
    Session.objects.get(id=session.id).delete()
    assert (Visitor.objects.count(), BeaconToken.objects.count()) == (0, 0)
