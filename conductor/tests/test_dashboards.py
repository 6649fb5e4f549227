"""Whatever is left out on the way to a page, it shows what was told last."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.access import Claim
from conductor.dashboards import DashboardRoom
from conductor.hub import Listener

PART = re.compile(r"(\w)(\d)")
NAMES = "abc"


def write(state: Sequence[int]) -> list[str]:
    return [f"{name}{number}" for name, number in zip(NAMES, state, strict=True)]


class Page:
    """A page with a socket that takes a frame only when there is room; it replaces each part that comes."""

    def __init__(self) -> None:
        self.listener = Listener(Claim(None), self.send, self.close, is_latest_enough=True)
        self.shown: dict[str, str] = {}
        self.frames: list[str] = []
        self.room = asyncio.Semaphore(0)

    async def send(self, frame: str) -> None:
        self.frames.append(frame)
        self.shown |= dict(PART.findall(frame))
        await self.room.acquire()

    async def close(self, code: int) -> None:
        raise AssertionError("a page that is slow was closed")

    async def take_all(self) -> None:
        for _ in range(100):
            self.room.release()
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Ask:
    """A page asks for the state as it is, which may be another than what is told next."""

    page: int
    state: tuple[int, ...]
    pushes: tuple[tuple[int, ...], ...]  # that come before it is found


@dataclass(frozen=True)
class Push:
    state: tuple[int, ...]


@dataclass(frozen=True)
class Take:
    """A page takes some frames."""

    page: int
    frames: int


@dataclass(frozen=True)
class Beat:
    page: int


STATES = st.tuples(*[st.integers(0, 1)] * len(NAMES))
PAGES = st.integers(0, 2)
STEPS = st.one_of(
    st.builds(Push, STATES),
    st.builds(Push, STATES),
    st.builds(Take, PAGES, st.integers(1, 3)),
    st.builds(Beat, PAGES),
    st.builds(Ask, PAGES, STATES, st.lists(STATES, max_size=2).map(tuple)),
)


@given(steps=st.lists(STEPS, max_size=30), last=STATES)
def test_every_page_shows_what_was_told_last_whatever_it_missed(steps, last):
    """Pages come, ask again, and read slowly or not at all while the room is told; then all read, once it is told."""
    asyncio.run(play(steps, last))


async def play(steps: Sequence[Ask | Push | Take | Beat], last: tuple[int, ...]) -> None:
    room, pages = DashboardRoom(uuid4(), lambda: ""), [Page() for _ in range(3)]
    told: tuple[int, ...] | None = None
    is_right = [False] * len(pages)  # whether a push has come since the page last asked
    for step in [*steps, Push(last)]:
        if isinstance(step, Push):
            room.tell(write(step.state))
            told, is_right = step.state, [page.listener in room.listeners for page in pages]
        elif isinstance(step, Take):
            for _ in range(step.frames):
                pages[step.page].room.release()
        elif isinstance(step, Beat):
            pages[step.page].listener.beat("heartbeat")
        else:
            told = await ask(room, pages[step.page], step, told)
            is_right = [right or bool(step.pushes) for right in is_right]
            is_right[step.page] = bool(step.pushes)
            is_right = [right and page.listener in room.listeners for right, page in zip(is_right, pages, strict=True)]
        await settle()
    for page, right in zip(pages, is_right, strict=True):
        await page.take_all()
        if right:
            assert told is not None
            assert page.shown == dict(zip(NAMES, map(str, told), strict=True))


async def ask(room: DashboardRoom, page: Page, step: Ask, told: tuple[int, ...] | None) -> tuple[int, ...] | None:
    found = asyncio.get_running_loop().create_future()
    room.listeners.add(page.listener)
    asking = asyncio.create_task(page.listener.send_first(lambda: found))
    await settle()
    for state in step.pushes:
        room.tell(write(state))
        told = state
    found.set_result("".join(write(step.state)))
    page.room.release()  # what is found is read at once: the socket waits for it
    await settle()
    while not asking.done():
        page.room.release()
        await settle()
    return told


@pytest.fixture
async def page():
    page = Page()
    await page.listener.send_first(None)
    return page


async def test_push_holds_the_parts_that_changed(page):
    room = DashboardRoom(uuid4(), lambda: "")
    room.listeners.add(page.listener)
    for state in ((0, 0, 0), (0, 1, 0), (0, 1, 0), (1, 1, 1)):
        room.tell(write(state))
        await page.take_all()
    assert page.frames == ["a0b0c0", "b1", "a1c1"]


async def test_page_that_reads_again_gets_all_of_the_newest_state_and_then_only_changes(page):
    room = DashboardRoom(uuid4(), lambda: "")
    room.listeners.add(page.listener)
    for state in ((0, 0, 0), (1, 0, 0), (0, 0, 1), (0, 1, 0)):
        room.tell(write(state))
        await settle()
    await page.take_all()
    room.tell(write((0, 1, 1)))
    await page.take_all()
    assert page.frames == ["a0b0c0", "a0b1c0", "c1"]


async def test_page_that_came_while_others_were_told_gets_the_next_push_whole(page):
    room = DashboardRoom(uuid4(), lambda: "")
    early = Page()
    room.listeners |= {page.listener, early.listener}
    await early.listener.send_first(None)
    room.tell(write((0, 0, 0)))
    for each in (page, early):
        await each.take_all()

    async def find() -> str:
        return "a0b1c0"  # seen at another moment than the push before and the next one

    await page.listener.send_first(find)
    room.tell(write((1, 0, 0)))
    for each in (page, early):
        await each.take_all()
    assert page.frames[-1] == "a1b0c0"
    assert early.frames[-1] == "a1"


async def test_what_is_told_anew_after_a_gap_is_whole_and_so_is_the_next(page):
    room = DashboardRoom(uuid4(), lambda: "a2b2c2")
    room.listeners.add(page.listener)
    room.tell(write((0, 0, 0)))
    room.tell(["a2b2c2"])  # as `refresh` does with what is stored
    room.tell(write((2, 2, 3)))
    await page.take_all()
    assert page.shown == {"a": "2", "b": "2", "c": "3"}
