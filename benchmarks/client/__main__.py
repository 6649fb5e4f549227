"""`python -m benchmarks.client PLAN`: do what the plan says; speaks with whoever started it by lines.

It says `warm` when the warm-up is answered, waits for a line, and then says what became of the phase that counts.
"""

import asyncio
import json
import sys
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path

from benchmarks.client.drive import Driver
from benchmarks.client.plan import Told, read_plan


async def drive(plan_path: Path) -> None:
    plan = read_plan(plan_path)
    async with aclosing(Driver(plan)) as driver:
        await driver.open_sockets()
        warm = await driver.send_for(plan.warm_seconds) if plan.warm_seconds else Told()
        say({"phase": "warm", "told": asdict(warm)})
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        told = await (driver.play_rounds() if plan.rounds else driver.send_for(plan.seconds))
        say({"phase": "done", "told": asdict(told)})


def say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(drive(Path(sys.argv[1])))
