"""The upload page in a real Chromium, served by the running product."""

import pytest

from conductor.tests.browsing import LAPTOP, PHONE, PROJECTOR, wait_until_live
from conductor.tests.test_uploads import ROWS
from engagement.models import Session
from engagement.recordings.source import MAX_BYTES

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def choose(page, content: bytes, title: str = "Rehearsal") -> None:
    page.get_by_label("Recording", exact=True).set_input_files(
        {"name": "room.jsonl", "mimeType": "application/json", "buffer": content}
    )
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Read it").click()


def test_an_upload_shows_the_session_as_it_would_have_run(page, stack):
    page.goto(stack.url)
    page.get_by_role("link", name="Upload a recording").click()
    choose(page, ROWS)
    wait_until_live(page)
    session = Session.objects.get()
    assert page.url == f"{stack.url}/sessions/{session.id}/"
    assert page.get_by_text("the session as it would have run").is_visible()
    assert page.locator(".chart-mark").text_content() == "Mass exit"
    assert page.locator(".timeline-why").is_visible()
    assert page.locator("[role=alert]").text_content() == ""  # nobody is alarmed by what is over


def test_a_broken_file_is_told_of_and_what_was_filled_in_stays(page, stack):
    page.goto(f"{stack.url}/recordings/")
    page.get_by_label("Time zone").select_option("Europe/Oslo")
    choose(page, ROWS[:-9])
    page.wait_for_selector(".form-error")
    assert "room.jsonl, line 600: is not JSON, or breaks off." in page.locator(".form-error").text_content()
    assert page.get_by_label("Title").input_value() == "Rehearsal"
    assert page.get_by_label("Time zone").input_value() == "Europe/Oslo"
    assert page.get_by_role("button", name="Read it").is_enabled()
    assert not Session.objects.exists()


def test_what_is_too_large_is_told_before_it_is_sent(page, stack, tmp_path):
    huge = tmp_path / "huge.jsonl"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    page.goto(f"{stack.url}/recordings/")
    field = page.get_by_label("Recording", exact=True)
    field.set_input_files(huge)
    page.get_by_label("Title").fill("Rehearsal")
    page.on("request", lambda request: pytest.fail(f"{request.method} {request.url}"))
    page.get_by_role("button", name="Read it").click()
    assert field.evaluate("field => field.validationMessage").startswith("An upload holds up to 64 MB.")
    field.set_input_files({"name": "room.jsonl", "mimeType": "application/json", "buffer": ROWS})
    assert field.evaluate("field => field.validationMessage") == ""


def test_the_time_zone_is_the_viewers_own_at_first(page, stack):
    page.goto(f"{stack.url}/recordings/")
    assert page.get_by_label("Time zone").input_value() in ("Asia/Kolkata", "Asia/Calcutta")


@pytest.mark.parametrize("width_and_height", [PHONE, LAPTOP, PROJECTOR])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits(page, stack, width_and_height, scheme):
    page.set_viewport_size(dict(zip(("width", "height"), width_and_height, strict=True)))
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{stack.url}/recordings/")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    choose(page, b"")
    page.wait_for_selector(".form-error")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
