"""Record what several requests post in one transaction; each is told what became of its own.

A group waits for nobody and refuses nothing: what it does not take at once is recorded by itself, by those who wait and
who say why it cannot be. A post is taken whole or not at all.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Generic, TypeVar

from django.db import transaction

from engagement import arrays, cursors
from engagement.events import count_outcomes, store_each
from engagement.ingest import Recorded, Row, store_batches
from engagement.models import Session
from engagement.readings import Reading
from engagement.visitors import store_reports
from engagement.visits import Report
from engagement.windows import RawEvent

IDS_OF_NAMES = """
    SELECT s.event_id, s.external_id, s.id FROM engagement_session s
    JOIN UNNEST(%b::uuid[], %b::varchar[]) AS wanted (event_id, external_id)
        ON s.event_id = wanted.event_id AND s.external_id = wanted.external_id
    WHERE s.erased_at IS NULL
"""

Item = TypeVar("Item", Reading, RawEvent, Report)
Place = uuid.UUID | str  # a session's id, or the platform's name of it


class NotTaken(Enum):
    """Why a post was left out of its group."""

    HELD = "somebody holds one of its sessions just now"
    OTHER = "one of its sessions is not there, not live, or told of in another way"


@dataclass(frozen=True, slots=True)
class Post(Generic[Item]):
    """What one request posts to sessions of an event: each item with its session. All of it is checked."""

    event_id: uuid.UUID
    places: Sequence[Place]
    items: Sequence[Item]


Outcome = Recorded | NotTaken


@dataclass(frozen=True, slots=True)
class Group:
    """What became of each post of a group, in their order, and in which sessions there is something to judge since.

    Of raw events that is where a window has closed: whatever else they bring waits for that, and nobody is woken.
    """

    outcomes: Sequence[Outcome]
    moved: set[uuid.UUID]


@dataclass(frozen=True, slots=True)
class _Sorted(Generic[Item]):
    """The posts that are taken, by their places in the group, with their sessions, which are held; and the others."""

    taken: Mapping[int, Sequence[tuple[uuid.UUID, Item]]]
    left: Mapping[int, NotTaken]
    sessions: Mapping[uuid.UUID, Session]


def record_posts_of_rows(posts: Sequence[Post[Reading]], now: datetime) -> Group:
    """Store engagement rows. The group stores, and tells each post, what one after the other would have."""
    with transaction.atomic():
        group = _sort_out(posts, Session.Source.SIGNALS, alone=False)
        judged_until = {id_: session.judged_until for id_, session in group.sessions.items()}
        batches: list[Sequence[Row]] = list(group.taken.values())
        recorded = store_batches(batches, judged_until, now) if batches else []
    told = zip(group.taken.values(), recorded, strict=True)
    moved = {id_ for items, each in told if each.accepted for id_, _ in items}
    return _tell(group, recorded, moved, len(posts))


def record_posts_of_events(posts: Sequence[Post[RawEvent]], now: datetime) -> Group:
    """Store raw events, those of each session in the order of the posts."""
    with transaction.atomic():
        group = _sort_out(posts, Session.Source.EVENTS, alone=True)
        by_session: dict[uuid.UUID, list[RawEvent]] = {}
        senders: dict[uuid.UUID, list[int]] = {}
        for place, items in group.taken.items():
            for id_, event in items:
                by_session.setdefault(id_, []).append(event)
                senders.setdefault(id_, []).append(place)
        closed = _closed_until(group)
        stored = store_each(group.sessions, by_session, now)
    outcomes: dict[int, list[bool | None]] = {place: [] for place in group.taken}
    for id_, those in stored.items():
        for place, outcome in zip(senders[id_], those, strict=True):
            outcomes[place].append(outcome)
    return _tell(group, list(map(count_outcomes, outcomes.values())), _find_closed(group, closed), len(posts))


def record_posts_of_reports(posts: Sequence[Post[Report]], now: datetime) -> Group:
    """Store what tabs report, a report in each post, those of each session in the order of the posts."""
    with transaction.atomic():
        group = _sort_out(posts, Session.Source.EVENTS, alone=True)
        by_session: dict[uuid.UUID, list[Report]] = {}
        senders: dict[uuid.UUID, list[int]] = {}
        for place, [(id_, report)] in group.taken.items():
            by_session.setdefault(id_, []).append(report)
            senders.setdefault(id_, []).append(place)
        closed = _closed_until(group)
        stored = store_reports(group.sessions, by_session, now) if by_session else {}
    outcomes = {place: each for id_, those in stored.items() for place, each in zip(senders[id_], those, strict=True)}
    return _tell(group, [outcomes[place] for place in group.taken], _find_closed(group, closed), len(posts))


def _closed_until(group: _Sorted[Item]) -> dict[uuid.UUID, datetime | None]:
    return {id_: session.closed_until for id_, session in group.sessions.items()}


def _find_closed(group: _Sorted[Item], before: Mapping[uuid.UUID, datetime | None]) -> set[uuid.UUID]:
    """Return the sessions in which a window has closed since."""
    return {id_ for id_, session in group.sessions.items() if session.closed_until != before[id_]}


def _tell(group: _Sorted[Item], recorded: Sequence[Recorded], moved: set[uuid.UUID], number: int) -> Group:
    outcomes: dict[int, Outcome] = {**group.left, **dict(zip(group.taken, recorded, strict=True))}
    return Group([outcomes[place] for place in range(number)], moved)


def _sort_out(posts: Sequence[Post[Item]], source: Session.Source, *, alone: bool) -> _Sorted[Item]:
    """Hold the sessions that nobody holds, and say which posts these are enough for."""
    ids = _find_ids(posts)
    wanted = {(id_, post.event_id) for post, those in zip(posts, ids, strict=True) for id_ in set(those) if id_}
    sessions = cursors.lock_free(wanted, source, alone=alone)
    held = cursors.find_takers([(id_, event_id) for id_, event_id in wanted if id_ not in sessions], source)
    taken: dict[int, Sequence[tuple[uuid.UUID, Item]]] = {}
    left: dict[int, NotTaken] = {}
    for place, (post, those) in enumerate(zip(posts, ids, strict=True)):
        missing = {id_ for id_ in those if id_ is None or not _is_of(post.event_id, sessions.get(id_))}
        if not missing:
            taken[place] = [(id_, item) for id_, item in zip(those, post.items, strict=True) if id_]
        else:
            left[place] = NotTaken.HELD if missing <= held else NotTaken.OTHER
    return _Sorted(taken, left, sessions)


def _is_of(event_id: uuid.UUID, session: Session | None) -> bool:
    """Tell whether a session is held, and of this event: another post of the group may have had it held."""
    return session is not None and session.event_id == event_id


def _find_ids(posts: Iterable[Post[Item]]) -> list[list[uuid.UUID | None]]:
    """Return of every item the id of its session; None where its event has none of that name."""
    names = {(post.event_id, place) for post in posts for place in set(post.places) if isinstance(place, str)}
    found: dict[tuple[uuid.UUID, str], uuid.UUID] = {}
    if names:
        rows = arrays.execute(IDS_OF_NAMES, [event_id for event_id, _ in names], [name for _, name in names])
        found = {(event_id, name): id_ for event_id, name, id_ in rows}
    return [
        [found.get((post.event_id, place)) if isinstance(place, str) else place for place in post.places]
        for post in posts
    ]
