"""Says every few seconds that this process hears what is posted: while none does, nobody's silence means anything."""

import asyncio
import time
from collections.abc import Callable

from conductor import wakeups

EVERY_SECONDS = 5.0


def say_listening() -> None:
    wakeups.say_goes_on(wakeups.LISTENING, time.time())


class Listener:
    """Speaks from the first request on, for as long as the event loop turns."""

    def __init__(self, say: Callable[[], None] = say_listening) -> None:
        self._say = say
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._task = loop, loop.create_task(self._go_on())

    async def _go_on(self) -> None:
        assert self._loop
        while True:
            await self._loop.run_in_executor(None, self._say)
            await asyncio.sleep(EVERY_SECONDS)
