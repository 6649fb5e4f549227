"""Which of 03/04 is the day: what a file, a language and a person say. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum

from engagement.recordings.dates import Written

DAY = timedelta(hours=24)
CLOCKS_DIFFER = timedelta(minutes=5)


class DateOrder(StrEnum):
    MONTH_FIRST = "month-first"
    DAY_FIRST = "day-first"


@dataclass(frozen=True, slots=True)
class Clues:
    """What tells the order of the dates of a file: who was asked, what else is dated, and what is usual."""

    chosen: DateOrder | None = None
    around: Sequence[datetime] = ()  # moments that the session was near to: its planned start, dates in words
    now: datetime | None = None  # nothing is recorded before it happens
    is_day_first_usual: bool | None = None  # in the language of the file


@dataclass(frozen=True, slots=True)
class DatesRead:
    """How the dates of a file were read. Where both orders were possible, on which day it began by each."""

    order: DateOrder
    is_doubtful: bool = False
    month_first: date | None = None
    day_first: date | None = None


Span = tuple[datetime, datetime]


def find_order(dates: Iterable[Written], clues: Clues, zone: tzinfo) -> DatesRead | None:
    """Return how dates are to be read, None where there is nothing to choose."""
    found = list(dates)
    if not any(each.is_open for each in found):
        return DatesRead(_told(found)) if any(each.is_plain for each in found) else None
    spans = {order: span for order in DateOrder if (span := _span(found, zone, order)) is not None}
    likely = {order: span for order, span in spans.items() if _is_likely(span, clues)} or spans
    days = {order: span[0].astimezone(zone).date() for order, span in spans.items()}
    month_first, day_first = days.get(DateOrder.MONTH_FIRST), days.get(DateOrder.DAY_FIRST)
    if clues.chosen is not None:
        return DatesRead(clues.chosen, False, month_first, day_first)
    if len(likely) < 2:
        return DatesRead(next(iter(likely), _told(found)))
    is_american = any(each.has_american_half for each in found)
    if clues.is_day_first_usual is None or is_american:
        return DatesRead(DateOrder.MONTH_FIRST, not is_american, month_first, day_first)
    usual = DateOrder.DAY_FIRST if clues.is_day_first_usual else DateOrder.MONTH_FIRST
    return DatesRead(usual, False, month_first, day_first)


def _span(dates: list[Written], zone: tzinfo, order: DateOrder) -> Span | None:
    """Return the first and the last of the moments in an order, None where a date contradicts it."""
    is_day_first = order is DateOrder.DAY_FIRST
    if any(each.is_plain and each.is_day_first not in (None, is_day_first) for each in dates):
        return None
    moments = [each.moment(zone, day_first=is_day_first) for each in dates]
    known = [moment for moment in moments if moment is not None]
    return (min(known), max(known)) if len(known) == len(moments) else None


def _is_likely(span: Span, clues: Clues) -> bool:
    first, last = span
    if last - first > DAY or (clues.now is not None and first > clues.now + CLOCKS_DIFFER):
        return False
    return all(first - DAY <= moment <= last + DAY for moment in clues.around)


def _told(dates: list[Written]) -> DateOrder:
    """Return what the dates themselves say."""
    is_day_first = any(each.is_plain and each.is_day_first for each in dates)
    return DateOrder.DAY_FIRST if is_day_first else DateOrder.MONTH_FIRST
