"""Run the benchmarks on stacks of their own; print one table, and write the same as JSON and as a plot.

A run of everything takes some minutes; with --case it is one thing in half a minute.
"""

import os
import shutil
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from benchmarks import OWN_SETTINGS


def main() -> int:
    out = Path(os.environ.get("CONDUCTOR_DATA_DIR") or ".data").resolve()
    folder = Path(tempfile.mkdtemp(prefix="conductor-bench-"))
    folder.chmod(0o711)  # PostgreSQL may run as somebody else
    for name in OWN_SETTINGS:
        os.environ.pop(name, None)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "conductor.settings",
        "CONDUCTOR_DATA_DIR": str(folder / "data"),
        "CONDUCTOR_PLAIN_HTTP": "1",
    }
    import django

    django.setup()
    from benchmarks.run import choose, run_all

    try:
        run_all(choose(read_arguments()), folder, out)
    except BaseException:
        print(f"It broke off; the logs are in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def read_arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--case", default="", help="names with commas or spaces: default all, `list` shows them")
    parser.add_argument("--rate", type=float, help="items a second, instead of the case's own")
    parser.add_argument("--rooms", type=int, help="how many rooms, instead of the case's own")
    parser.add_argument("--seconds", type=float, help="how long, instead of the case's own")
    parser.add_argument("--clients", type=int, help="how many dashboards of one room: default 1,000")
    parser.add_argument("--long", action="store_true", help="thousands of rooms besides, and longer")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
