"""Read the chat that Zoom saves, on a computer or in the cloud, in any language. Pure."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engagement.recordings.dates import read_clock, read_date
from engagement.recordings.formats import Format
from engagement.recordings.recording import Gathering
from engagement.recordings.source import LINE_HEAD, Source
from engagement.recordings.undated import Undated
from engagement.recordings.vocabulary import load

TELLS_NO_DATE = "tells no date: give the planned start, or choose the attendee report along with it"
APPENDED = "Zoom appends a chat to the one that was saved before, so split it there"
UNKNOWN_LANGUAGE = "The chat is in a language that is not known: private messages in it count as public ones."
MOST_WORDS = 7  # beside what a reaction quotes
FIRST_PICTOGRAM = "\u2190"
LEAST_LINES = 3  # that show a language which nobody knows
MESSAGE_HEAD = 300  # characters; only as much as tells a message from a reaction

# 18:21:17 From NAME to Everyone: …   2026-03-02 18:21:17 From NAME to Everyone:   18:21:17 \t From NAME : …
TIMED = re.compile(r"(?:(\d{4}-\d\d-\d\d)[ T])?(\d{1,3}:\d\d:\d\d)\s+(?=[^\s<|])(.*)")
CLOUD = re.compile(r"(\d{1,3}:\d\d:\d\d)\s+([^\t:]+?):(?:\t|[ ]{2,})(.*)")  # counts from the start of the recording
QUOTED = re.compile(r"[\"“”«»„「『‘'].*[\"“”«»「」『』’']", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the lines of a file are written.

    `opening` is the word before a name; where a language has none, `between` is the one behind it. The chat of a cloud
    recording has neither.
    """

    opening: str
    locales: tuple[str, ...] = ()
    between: str = ""

    @property
    def is_cloud(self) -> bool:
        return not (self.opening or self.between)

    def begins(self, rest: str) -> bool:
        """Tell whether what stands behind a time begins a message."""
        return _opens(rest, self.opening) if self.opening else _stands_between(self.between, rest)

    def words(self, which: str) -> list[str]:
        """Return the words of its languages, and the English ones, as some versions translate a part only."""
        chat = load("zoom").phrases["chat"]
        return [word for locale in (*self.locales, "en") for word in chat[locale][which]]


@dataclass(frozen=True, slots=True)
class _Head:
    date: str | None
    clock: str
    name: str
    to: str
    text: str  # the beginning of the message, where it follows in the same line


def find_dialect(lines: Sequence[str]) -> Dialect | None:
    """Return how the lines of a chat are written, None where they are no chat of Zoom's.

    >>> find_dialect(["18:21:17 De  Guest One  a  Todos:", "\\thola"]).locales
    ('es', 'pt', 'fr')
    >>> find_dialect(["00:01:02\\tGuest One:\\thello"]), find_dialect(["18:21:17 guest: hello"])
    (Dialect(opening='', locales=(), between=''), None)
    """
    timed = [found[3] for line in lines if (found := TIMED.match(line[:LINE_HEAD])) and ":" in found[3]]
    if not timed:
        return None
    openings = Counter(opening for rest in timed for opening in _known_openings() if _opens(rest, opening))
    if openings:
        [(opening, count)] = openings.most_common(1)
        if count * 2 > len(timed):
            return Dialect(opening, _known_openings()[opening])
    for between, locale in _known_betweens():
        if sum(_stands_between(between, rest) for rest in timed) * 2 > len(timed):
            return Dialect("", (locale,), between)
    if sum(CLOUD.match(line[:LINE_HEAD]) is not None for line in lines) * 2 > len(timed):
        return Dialect("")
    return _guess_dialect(timed)


def _guess_dialect(timed: list[str]) -> Dialect | None:
    """Return the dialect of a language that nobody knows: each line has the same word, and then another name."""
    words = [rest.split(None, 1) for rest in timed if len(rest.split(None, 1)) == 2]
    first = {opening for opening, _ in words}
    names = {rest.partition(":")[0] for _, rest in words}
    is_one = len(first) == 1 and len(words) == len(timed) >= LEAST_LINES and len(names) > 1
    return Dialect(first.pop().casefold()) if is_one and all(":" in rest for _, rest in words) else None


def _known_openings() -> dict[str, tuple[str, ...]]:
    """Return the words before a name, and in which languages each one is."""
    found: dict[str, tuple[str, ...]] = {}
    for locale, words in load("zoom").phrases["chat"].items():
        for word in words["from"]:
            found[word.casefold()] = (*found.get(word.casefold(), ()), locale)
    return found


def _known_betweens() -> list[tuple[str, str]]:
    """Return the words behind a name of the languages that have none before it, each with its language."""
    chats = load("zoom").phrases["chat"].items()
    return [(word, locale) for locale, words in chats for word in words.get("between", ())]


def _opens(rest: str, opening: str) -> bool:
    return rest[: len(opening)].casefold() == opening and rest[len(opening) : len(opening) + 1].isspace()


def _stands_between(word: str, rest: str) -> bool:
    """Tell whether a word stands between two names, before the colon.

    >>> _stands_between("對", "Guest One 對 所有人:"), _stands_between("對", "Guest One: 你 對 了")
    (True, False)
    """
    return f" {word} " in " ".join(rest.partition(":")[0].split())


def _read_head(line: str, dialect: Dialect) -> _Head | None:
    """Return what begins a message, None for a line that goes on with one."""
    line = line[:LINE_HEAD]
    if dialect.is_cloud:
        cloud = CLOUD.match(line)
        return _Head(None, cloud[1], cloud[2].strip(), "", cloud[3]) if cloud else None
    timed = TIMED.match(line)
    if timed is None or not dialect.begins(timed[3]):
        return None
    people, colon, text = timed[3][len(dialect.opening) :].partition(":")
    if not colon:
        return None
    name, to = _split_people(people.strip(), dialect)
    return _Head(timed[1], timed[2], name, to, text)


def _split_people(people: str, dialect: Dialect) -> tuple[str, str]:
    """Return who wrote and to whom. Two spaces stand around the word between them, in most versions.

    >>> english = Dialect("from", ("en",))
    >>> _split_people("Ann to Bo  to  Everyone", english), _split_people("Ann", english)
    (('Ann to Bo', 'Everyone'), ('Ann', ''))
    """
    parts = re.split(r"\s{2,}", people)
    if len(parts) >= 3:
        return " ".join(parts[:-2]), parts[-1]
    people = " ".join(people.split())
    folded = people.casefold()
    places = [(folded.rfind(f" {word.casefold()} "), len(word) + 2) for word in dialect.words("to")]
    place, length = max(places, default=(-1, 0))
    return (people, "") if place < 0 else (people[:place], people[place + length :])


@dataclass(slots=True)
class _Message:
    at: datetime
    user: str
    text: str  # only until the next line


def read(source: Source, gathering: Gathering) -> None:
    """Gather the public messages and the reactions to them; what was said is looked at once and dropped."""
    head_text = source.head.decode(source.encoding, "replace").removeprefix("\ufeff")
    dialect = find_dialect(head_text.splitlines()) or Dialect("from", ("en",))
    if dialect.opening and not dialect.locales:
        gathering.note(UNKNOWN_LANGUAGE)
    calendar = _Calendar(source, gathering)
    waiting: _Message | None = None
    for line in source.lines("replace"):
        head = _read_head(line, dialect)
        if head is not None:
            _gather_message(source, waiting, dialect, gathering)
            at = calendar.place(head)
            waiting = _Message(at, gathering.person(("name", head.name)), head.text.strip()[:MESSAGE_HEAD])
            if any(word.casefold() in head.to.casefold() for word in dialect.words("private")):
                gathering.skip("private messages")
                waiting = None
        elif waiting is not None and not waiting.text:  # newer exports write the message under its head
            waiting.text = line.strip()[:MESSAGE_HEAD]
    _gather_message(source, waiting, dialect, gathering)
    gathering.note_zone()


class _Calendar:
    """Dates the heads of messages."""

    def __init__(self, source: Source, gathering: Gathering):
        self._source, self._gathering = source, gathering
        self._undated: Undated | None = None

    def place(self, head: _Head) -> datetime:
        if head.date:
            at = read_date(f"{head.date} {head.clock}", self._gathering.zone)
        else:
            clock = read_clock(head.clock)
            at = None if clock is None else self._place_clock(clock)
        if at is None:
            raise self._source.wrong("a time cannot be read")
        return at

    def _place_clock(self, clock: timedelta) -> datetime:
        if self._undated is None:
            if self._gathering.anchor is None:
                raise self._source.wrong(TELLS_NO_DATE)
            self._undated = Undated(self._gathering.anchor, self._gathering.zone)
        try:
            return self._undated.place(clock)
        except ValueError as error:
            raise self._source.wrong(
                f"{error}: Zoom appends a chat to the one that was saved before, so split it"
            ) from None


def _gather_message(source: Source, message: _Message | None, dialect: Dialect, gathering: Gathering) -> None:
    if message is None:
        return
    try:
        if message.text.startswith(tuple(dialect.words("removed"))) and has_emoji(message.text):
            gathering.skip("reactions that were taken back")
        elif message.text.startswith(tuple(dialect.words("reacted"))) or _looks_like_reaction(message.text, dialect):
            gathering.add("reaction", message.at, message.user)
        else:
            gathering.add("chat", message.at, message.user)
    except ValueError as error:
        raise source.wrong(str(error)) from None


def _looks_like_reaction(text: str, dialect: Dialect) -> bool:
    """Tell whether a message is a reaction by its form: a few words, what it quotes, and the emoji outside of it.

    In English it is known by its words.
    """
    quoted = QUOTED.search(text)
    if "en" in dialect.locales or dialect.is_cloud or quoted is None:
        return False
    outside = text[: quoted.start()] + " " + text[quoted.end() :]
    words = [word for word in outside.split() if any(letter.isalpha() for letter in word)]
    return has_emoji(outside) and 0 < len(words) <= MOST_WORDS


def has_emoji(text: str) -> bool:
    """Tell whether a text has a pictogram; accents and signs such as ^, ° and ™ are of their kind and are none.

    >>> has_emoji("👍🏽"), has_emoji("❤️"), has_emoji("2° ^ ` ®")
    (True, True, False)
    """
    return any(letter >= FIRST_PICTOGRAM and unicodedata.category(letter) in ("So", "Sk") for letter in text)


FORMAT = Format(
    name="Zoom chat",
    platform="Zoom",
    export=(
        "The saved chat (text), of a computer or a cloud recording, in any language. It tells no date: choose the "
        "attendee report along with it, or give the planned start."
    ),
    knows=lambda look: find_dialect(look.lines) is not None,
    read=read,
    may_lack_dates=True,
)
