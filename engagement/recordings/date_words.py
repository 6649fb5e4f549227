"""What the words in a date mean, in the languages in which platforms export. Pure.

The words are those of the Unicode CLDR, which Babel brings: the platforms format their dates with the same data.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from babel import Locale

LOCALES = (
    "de", "fr", "es", "pt", "it", "nl", "ja", "ko", "zh", "zh_Hant", "ru", "uk", "pl", "tr", "vi", "id", "sv", "da",
    "nb", "fi", "cs", "sk", "sl", "hr", "sr", "bg", "ro", "hu", "el", "he", "ar", "fa", "hi", "th", "ca", "eu", "gl",
    "et", "lv", "lt", "ms", "fil", "en_GB", "en",
)  # fmt: skip
FILLERS = {
    "at",
    "um",
    "uhr",
    "kl",
    "klo",
    "г",
    "ч",
    "р",
    "о",
    "в",
    "à",
    "h",
    "de",
    "del",
    "às",
    "las",
    "a",
    "alle",
    "the",
}
BETWEEN = re.compile(r"[\s.,·‎‏]+")


@dataclass(frozen=True, slots=True)
class Words:
    """Months by their names, the two halves of a day by theirs (False is the first), and what says nothing."""

    months: dict[str, int]
    halves: dict[str, bool]
    silent: frozenset[str]


@cache
def find_words() -> Words:
    """Return the words of all languages. Where a word means two things in two of them, it means neither."""
    months: dict[str, set[int]] = {}
    halves: dict[str, set[bool]] = {"am": {False}, "pm": {True}, "a": {False}, "p": {True}}
    silent = set(FILLERS)
    for code in LOCALES:
        locale = Locale.parse(code)
        for name, month in _months(locale):
            months.setdefault(name, set()).add(month)
        for periods in locale.day_periods["format"].values():
            for key, is_second in (("am", False), ("pm", True)):
                if name := fold(str(periods.get(key, ""))):
                    halves.setdefault(name, set()).add(is_second)
        silent |= {fold(str(name)) for each in locale.days["format"].values() for name in each.values()}
    return Words(
        {name: month for name, (month, *others) in months.items() if not others},
        {name: half for name, (half, *others) in halves.items() if not others},
        frozenset(silent),
    )


def _months(locale: Locale) -> Iterator[tuple[str, int]]:
    for context in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            for month, name in locale.months[context][width].items():
                if not any(letter.isdigit() for letter in name):
                    yield fold(name), month


def fold(word: str) -> str:
    """Return a word as the tables have it: in small letters, without points, spaces and invisible marks.

    >>> fold("p. m."), fold("MÄRZ"), fold("mar.")
    ('pm', 'märz', 'mar')
    """
    return BETWEEN.sub("", unicodedata.normalize("NFKC", word).casefold())


@cache
def is_day_first_in(locale: str) -> bool | None:
    """Tell whether people write the day before the month in a language; None for one that is written both ways.

    >>> is_day_first_in("pt"), is_day_first_in("ja"), is_day_first_in("en")
    (True, False, None)
    """
    if locale == "en":
        return None
    pattern = str(Locale.parse(locale).date_formats["short"].pattern)
    return pattern.index("d") < pattern.index("M")
