from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.recordings.dates import read_clock, read_date, read_time_of_day, read_written

FOURTH = datetime(2026, 3, 4, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "3/4/26, 6:00:00 PM",
        "03/04/2026 18:00",
        "Mar 04, 2026 18:00:00",
        "March 4, 2026, 6:00 p.m.",
        "Wed Mar  4 18:00:00 2026",
        "2026/3/4 18:00",
        "2026年3月4日 18:00",
        "2026/3/4 下午6:00:00",
        "2026. 3. 4. 오후 6:00:00",
        "2026. 03. 04. 18:00:00",
        "4.3.2026, 18.00.00",
        "4. mars 2026 kl. 18:00",
        "4 de março de 2026 18:00",
        "mercredi 4 mars 2026 à 18:00",
        "4.03.2026 г., 18:00:00 ч.",
        "4 бер. 2026 р., 18:00:00",
        "3/4/2569 18:00",
        "٣/٤/٢٠٢٦ ٦:٠٠ م",
        "18:00:00 03/04/2026",
        "2026-03-04T18:00:00.745062070Z",
        "2026-03-04T19:00:00+01:00",
        "2026-03-04 13:00:00 EST",
        "3/4/2026 19:00 (UTC+01:00)",
        "2026/03/05 03:00:00 GMT+9",
        "3/4/26,\u202f6:00:00\u202fPM",
    ],
)
def test_a_date_is_read_however_it_is_written(text):
    assert read_date(text, UTC).replace(microsecond=0) == FOURTH


def test_decimals_are_kept_to_the_microsecond():
    assert read_date("2026-03-04T18:00:00.74506207Z", UTC) == FOURTH + timedelta(microseconds=745062)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "--", "18:00:00", "1:02 PM", "tomorrow 9:00", "02/31/2026 09:00:00", "2026-03-04 25:00", "3/4 9:00"],
)
def test_what_is_no_date_is_none(text):
    assert read_date(text, UTC) is None


@pytest.mark.parametrize(
    ("text", "is_open", "is_day_first"),
    [
        ("03/04/2026 18:00", True, None),
        ("04/04/2026 18:00", False, None),
        ("13/04/2026 18:00", False, True),
        ("03/14/2026 18:00", False, False),
        ("03.04.2026 18:00", False, True),
        ("2026-03-04 18:00", False, False),
    ],
)
def test_a_date_says_whether_its_order_is_open(text, is_open, is_day_first):
    written = read_written(text)
    assert (written.is_open, written.is_day_first) == (is_open, is_day_first)


def test_the_second_of_two_hours_can_be_meant():
    written = read_written("2025-10-26 02:30:00")
    once, again = (written.moment(ZoneInfo("Europe/Berlin"), fold=fold) for fold in (0, 1))
    assert again - once == timedelta(hours=1)


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text):
    for read in (lambda: read_date(text, UTC), lambda: read_clock(text), lambda: read_time_of_day(text)):
        read()


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))
def test_a_date_comes_back_as_it_was_written(at):
    at = at.replace(microsecond=0)
    for written in (f"{at:%m/%d/%Y %I:%M:%S %p}", f"{at:%Y-%m-%d %H:%M:%S}", f"{at:%b %d, %Y %H:%M:%S}"):
        assert read_date(written, UTC) == at.replace(tzinfo=UTC)
    assert read_date(f"{at:%d/%m/%Y %H:%M:%S}", UTC, day_first=True) == at.replace(tzinfo=UTC)
