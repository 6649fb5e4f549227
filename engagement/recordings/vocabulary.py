"""What the platforms call the columns of their reports, in any language. Pure.

The names are data: a file of `names/` for each platform, a table in it for each language.
"""

import tomllib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

NAMES = Path(__file__).with_name("names")
PEOPLE = ("name", "first_name", "last_name", "email")


class Kind(StrEnum):
    """What a table tells, by the columns that it has."""

    STAYS = "stays"  # when somebody joined and left, once for each time
    COARSE = "coarse"  # when somebody joined first and left last
    ACTIONS = "actions"  # that somebody joined, or left, a row each
    TOTALS = "totals"  # how long somebody was there, and not when
    ABOUT = "about"  # the meeting itself


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table: what each one holds, "" where we do not need it, and in which language they are."""

    fields: tuple[str, ...]
    locale: str
    kind: Kind | None
    known: int  # how many of them are in the vocabulary, "marks" of the platform as well

    def cells(self, row: Sequence[str]) -> dict[str, str]:
        """Return the cells of a row by what they hold; the first one that is filled, of several."""
        found: dict[str, str] = {}
        for field, cell in zip(self.fields, row, strict=False):
            if field and not found.get(field):
                found[field] = cell
        return found


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of one platform's reports."""

    platform: str
    title: str
    export: str
    lacks_dates: bool
    columns: Mapping[str, Mapping[str, str]]  # by language, and by the name as `normal` has it
    phrases: Mapping[str, Any]

    def read_header(self, cells: Sequence[str]) -> Columns:
        """Return what the columns are that a row names, in the language in which most of them are known."""
        names = [normal(cell) for cell in cells]
        known = Counter({locale: sum(name in words for name in names) for locale, words in self.columns.items()})
        [(locale, _)] = known.most_common(1)
        fields = tuple(self._field(name, locale) for name in names)
        return Columns(fields, locale, find_kind(fields), sum(map(bool, fields)))

    def _field(self, name: str, locale: str) -> str:
        """Return what a column of this name holds. Reports mix languages, so that the others count as well."""
        of_locale = self.columns[locale].get(name)
        return of_locale or next((words[name] for words in self.columns.values() if name in words), "")


def find_kind(fields: Sequence[str]) -> Kind | None:
    """Return what a table with these columns tells, None where it is none that we read.

    >>> find_kind(["name", "joined", "left"]), find_kind(["name", "email"])
    (<Kind.STAYS: 'stays'>, None)
    """
    of = set(fields)
    if of.isdisjoint(PEOPLE):
        return Kind.ABOUT if "end" in of or of >= {"start", "duration"} else None
    if of >= {"joined", "left"}:
        return Kind.STAYS
    if of >= {"first_joined", "last_left"}:
        return Kind.COARSE
    if of >= {"action", "at"}:
        return Kind.ACTIONS
    if of >= {"start", "end"}:
        return Kind.ABOUT
    if "total" in of:
        return Kind.TOTALS
    return Kind.ABOUT if of >= {"start", "duration"} else None


@cache
def load(platform: str) -> Vocabulary:
    """Return the words of a platform."""
    told = tomllib.loads((NAMES / f"{platform}.toml").read_text(encoding="utf-8"))
    columns = {
        locale: {normal(name): field for field, names in fields.items() for name in names}
        for locale, fields in told["columns"].items()
    }
    phrases = {key: value for key, value in told.items() if isinstance(value, dict) and key != "columns"}
    return Vocabulary(told["platform"], told["title"], told["export"], told.get("lacks_dates", False), columns, phrases)


def normal(text: str) -> str:
    """Return a name as it is compared: letters and digits only, small.

    >>> normal("Name (Original Name)") == normal("name_original_name"), normal("時間（分）") == normal("時間(分)")
    (True, True)
    """
    folded = unicodedata.normalize("NFKC", text[:200]).casefold()
    return "".join(letter for letter in folded if letter.isalnum())
