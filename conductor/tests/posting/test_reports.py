"""What beacons report goes past Django too, and is answered and stored as Django does it."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from conductor import keys, wakeups
from conductor.api.problems import Problem
from conductor.posting import committer as committing
from conductor.posting import door as doors
from conductor.posting.listening import Listener
from conductor.requests import send_answer
from conductor.tests.posting.site import Site, django
from conductor.tests.rest import Rest
from conductor.tests.waiting import wait_until
from engagement.models import BeaconToken, RawEventRow, Session, Visitor

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ORIGIN = "https://player.example.org"
PERSON = "5d6f0c3a9b1e47d28c70aa41be9f3e12"


class BeaconSite(Site):
    """The site as tabs ask it."""

    def send(self, token: str, body: object, application=None, **headers: str) -> tuple:
        """Return status, headers and body of an answer; an empty header is not sent."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        pairs = {"content-type": "text/plain;charset=UTF-8", "origin": ORIGIN}
        pairs |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(f"/beacon/{token}", data, {name: value for name, value in pairs.items() if value}, application)

    def learn(self, token: str) -> None:
        """Have Django take one, so that the next ones need not ask it."""
        assert self.send(token, report(0, person="x" * 16))[0] == 202
        self.asked = 0


def report(number: int = 1, state: str = "focus", *events: dict, **fields: object) -> dict:
    return {"person": PERSON, "number": number, "state": state, "events": list(events)} | fields


def live_token(*origins: str, rest: Rest | None = None) -> tuple[Session, str]:
    session = (rest or Rest.of_new_event()).new_session(status="live", source="events")
    return session, BeaconToken.objects.issue(session, "Player", origins or [ORIGIN])[1]


@pytest.fixture
def site(db, monkeypatch, settings) -> Iterator[BeaconSite]:
    settings.BEACON_LIMIT = settings.BEACON_ADDRESS_LIMIT = settings.ITEM_LIMIT = 0
    for place in ("conductor.api.beacons.now", "conductor.posting.door.now", "conductor.posting.committer.now"):
        monkeypatch.setattr(place, lambda: NOW)
    assert doors.now() == committing.now() == NOW
    keys.TOKENS.known.clear()
    with BeaconSite.running() as site:
        yield site


def test_second_report_does_not_ask_django_and_is_answered_alike(site):
    session, token = live_token()
    first = site.send(token, report(1))
    second = site.send(token, report(2, "left"))
    third = site.send(token, report(3))

    assert site.asked == 1
    assert third == first
    assert (second[0], second[2]) == (202, b'{"accepted": 1, "duplicates": 0, "late": 0}')
    assert dict(third[1])[b"Access-Control-Allow-Origin"] == ORIGIN.encode()
    assert RawEventRow.objects.filter(session=session).count() == 5


def test_browsers_of_all_kinds_are_one_to_the_door(site):
    _, token = live_token()
    site.learn(token)
    for number, agent in enumerate(["Firefox", "Chrome", "Safari"], start=1):
        odd = {"user_agent": agent, "referer": f"{ORIGIN}/{agent}", "accept_language": agent[:2], "cookie": "a=b",
               "sec_fetch_mode": "no-cors", "accept": "*/*", "accept_encoding": "br", "priority": "u=4"}  # fmt: skip
        assert site.send(token, report(number), **odd)[0] == 202
    assert site.asked == 0


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", ""])
def test_page_of_another_origin_is_for_django_to_refuse(site, origin):
    """Also where a page of that origin was taken with a token of its own."""
    session, token = live_token()
    if origin.startswith("https"):
        assert site.send(live_token(origin)[1], report(), origin=origin)[0] == 202
    site.learn(token)

    assert site.send(token, report(), origin=origin)[0] == 403
    assert site.asked == 1
    assert not Visitor.objects.filter(session=session, user=f"beacon:{PERSON}").exists()


@pytest.mark.parametrize(
    "headers",
    [{"host": "elsewhere"}, {"content_type": "text/html"}, {"content_encoding": "gzip"}, {"content_length": "1"},
     {"x_anything": "of which nobody knows what it does"}],
    ids=lambda headers: "-".join(headers),
)  # fmt: skip
def test_what_is_odd_is_for_django_to_judge(site, headers):
    _, token = live_token()
    site.learn(token)
    answer = site.send(token, report(), **headers)
    assert site.asked == 1
    assert answer[0] == site.send(token, report(), django, **headers)[0]


def test_privacy_that_a_browser_asks_for_is_kept(site):
    session, token = live_token()
    for number, person in enumerate(["a" * 16, "b" * 16], start=1):
        said = report(1, "focus", {"number": 1, "type": "chat"}, person=person)
        assert site.send(token, said, sec_gpc="1")[0] == 202
        assert site.asked == 1
        assert RawEventRow.objects.filter(session=session).count() == number
    assert set(RawEventRow.objects.filter(session=session).values_list("type", flat=True)) == {"join"}


def test_revoked_token_works_no_longer_than_elsewhere(site, monkeypatch):
    _, token = live_token()
    site.learn(token)
    BeaconToken.objects.get().revoke(NOW)
    assert site.send(token, report(1))[0] == 202
    monkeypatch.setattr(keys, "CACHE_SECONDS", 0.0)
    assert site.send(token, report(2))[0] == 401
    assert site.asked == 1


def test_page_may_read_when_it_is_to_come_back(site, monkeypatch):
    """Whoever refuses it because the server cannot take it just now, and has not looked whose page it is."""
    _, token = live_token()
    site.learn(token)

    async def away(scope, receive, send) -> None:
        await send_answer(Problem(503, headers={"Retry-After": "9"}).answer(), send)

    monkeypatch.setattr(site.door, "django", away)
    monkeypatch.setattr(committing, "MAX_WAITING", 0)
    full = site.send(token, report(1))
    unknown = site.send("eb_unknown", report(1))
    monkeypatch.undo()
    assert (full[0], unknown[0]) == (503, 503)
    for found in (full, unknown):
        headers = {name.lower(): value for name, value in found[1]}
        assert headers[b"access-control-allow-origin"] == b"*"
        assert headers[b"access-control-expose-headers"] == b"Retry-After"
        assert headers[b"retry-after"].isdigit()
    headers = dict(site.send(token, report(2), django, origin="https://elsewhere.example")[1])
    assert b"Access-Control-Allow-Origin" not in headers


def test_token_is_looked_up_again_without_django(site, monkeypatch):
    _, token = live_token()
    site.learn(token)
    monkeypatch.setattr(keys, "CACHE_SECONDS", 0.0)
    assert site.send(token, report(1))[0] == 202
    assert site.asked == 0


@pytest.mark.parametrize("name", ["BEACON_LIMIT", "BEACON_ADDRESS_LIMIT"])
def test_quotas_hold_here_as_there(site, settings, monkeypatch, name):
    for module in ("conductor.api.throttle.time", "conductor.posting.committer.time.time"):
        monkeypatch.setattr(module, lambda: 1_900_000_000.0 + len(name))
    setattr(settings, name, 1)
    _, token = live_token()
    found = [site.send(token, report(number))[0] for number in range(12)]
    assert found == [202] * 10 + [429] * 2
    assert site.asked == 3, "the first, and those that are refused"


def test_report_counts_for_as_much_as_it_holds(site, settings, monkeypatch):
    for module in ("conductor.api.throttle.time", "conductor.posting.committer.time.time"):
        monkeypatch.setattr(module, lambda: 1_900_000_100.0)
    _, token = live_token()
    site.learn(token)
    settings.ITEM_LIMIT = 10  # a hundred in ten seconds
    acts = [{"number": number, "type": "reaction"} for number in range(49)]
    found = [site.send(token, report(number, "focus", *acts))[0] for number in range(1, 4)]
    assert found == [202, 202, 429]
    _, other = live_token()
    found = [site.send(other, report(number, "focus", *acts), django)[0] for number in range(1, 4)]
    assert found == [202, 202, 429]


NUMBERS = st.integers(0, 6)
ACTS = {"number": NUMBERS, "type": st.sampled_from(["chat", "reaction"])}
AGO = st.one_of(st.floats(0, 100), st.sampled_from([0, 1, 86_400]))
FIELDS = {
    "person": st.sampled_from([PERSON, "b" * 16, "-_" * 8]),
    "number": NUMBERS,
    "state": st.sampled_from(["focus", "blur", "left", "here"]),
}
ODD = st.sampled_from([1.0, 2.5, -1, True, "1", None, 2**31, 2**31 - 1, 1e9, PERSON + "\n", "ä" * 16, "join", [], {}])


def written(fields: dict, acts: dict, ago: st.SearchStrategy, more: dict) -> st.SearchStrategy[bytes]:
    events = st.lists(st.fixed_dictionaries(acts, optional={"seconds_ago": ago}), max_size=3)
    return st.fixed_dictionaries(fields, optional={"events": events, **more}).map(
        lambda body: json.dumps(body).encode()
    )


right = written(FIELDS, ACTS, AGO, {})
wrong = written({name: st.one_of(field, field, ODD) for name, field in FIELDS.items()}, ACTS, st.one_of(AGO, ODD), {})
wrong |= written(FIELDS, {name: st.one_of(field, ODD) for name, field in ACTS.items()}, AGO, {"extra": ODD})
odd = st.one_of(right, right, right, wrong, st.binary(max_size=20), right.map(lambda body: body[:-2]))


def test_any_report_is_answered_and_stored_as_django_does(site):
    """The same reports come to both doors, each twice, for a session behind each."""
    rest = Rest.of_new_event()
    site.learn(live_token(rest=rest)[1])
    tried = 0

    @hypothesis_settings(max_examples=30, suppress_health_check=list(HealthCheck), database=None)
    @example([json.dumps(report(1, "focus", {"number": 1, "type": "chat", "seconds_ago": 1})).encode()])
    @example([b'{"person": "aaaaaaaaaaaaaaaa", "number": 1, "number": 2, "state": "blur"}'])
    @given(st.lists(odd, min_size=1, max_size=3))
    def compare(said: list[bytes]) -> None:
        nonlocal tried
        (mine, token), (theirs, other) = live_token(rest=rest), live_token(rest=rest)
        keys.TOKENS.find(token, 0.0)
        for body in [*said, *said]:
            tried += 1
            assert site.send(token, body) == site.send(other, body, django)
        assert stored(mine) == stored(theirs)

    compare()
    assert site.asked < tried, "the door takes what is right"


def stored(session: Session) -> list:
    events = RawEventRow.objects.filter(session=session).order_by("id")
    visitors = Visitor.objects.filter(session=session).order_by("user")
    session.refresh_from_db()
    return [
        list(events.values_list("timestamp", "type", "user", "key", "poll", "late", "received_at")),
        list(visitors.values_list("user", "state", "number", "changed_at", "heard_at")),
        (session.newest_event_at, session.closed_until, session.heard_at),
    ]


async def test_process_says_that_it_listens_for_as_long_as_it_does(site, monkeypatch):
    monkeypatch.setattr("conductor.posting.listening.EVERY_SECONDS", 0.01)
    said: list[int] = []
    listener = Listener(lambda: said.append(1))
    for _ in range(3):
        listener.begin()
    while len(said) < 3:
        await asyncio.sleep(0.01)
    listener._task.cancel()
    assert len(asyncio.all_tasks()) == 2, "one, however many requests come"


def test_what_goes_on_is_known_since_when_until_it_pauses(site, monkeypatch):
    monkeypatch.setattr(wakeups, "PAUSE_SECONDS", 1)
    assert wakeups.goes_on_since("trying") is None
    assert wakeups.say_goes_on("trying", 5.5) == 5.5
    assert wakeups.say_goes_on("trying", 7.5) == wakeups.goes_on_since("trying") == 5.5
    wait_until(lambda: wakeups.goes_on_since("trying") is None)
    assert wakeups.say_goes_on("trying", 9.5) == 9.5
