"""Have the detector ready before the first row, in as little memory as that takes."""

import ctypes
import importlib
import mmap
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anomalies.detector.replay import prepare

MAPPING = re.compile(r"(?P<begin>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<rights>\S+) \S+ \S+ \S+ +(?P<file>/.*)")
COMPILER = "libllvmlite.so"


def prepare_lean() -> None:
    """Load what judges, and give back what of it no row needs: 80 MB of 140."""
    with _without("scipy"):  # 15 MB of linear algebra, which numba looks for once and no detector does
        importlib.import_module("numba.np.arraymath")
    prepare()
    give_back(COMPILER)


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Have an import of a package fail for a while, where it is not loaded yet."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # so Python says that there is none
    try:
        yield
    finally:
        del sys.modules[package]


def give_back(library: str) -> None:
    """Take the pages of a library out of our memory (on Linux); what is needed again is read from its file again.

    Only what is as it is in the file: nothing that was written to, such as addresses that the loader put in.
    """
    maps = Path("/proc/self/smaps")
    if not maps.exists():
        return
    advise = ctypes.CDLL(None).madvise
    place = None
    for line in maps.read_text().splitlines():
        if found := MAPPING.fullmatch(line):
            is_ours = Path(found["file"]).name == library and "w" not in found["rights"]
            place = found if is_ours else None
        elif line.startswith("Anonymous:") and place is not None and line.split()[1] == "0":
            begin, end = int(place["begin"], 16), int(place["end"], 16)
            advise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.MADV_DONTNEED)
