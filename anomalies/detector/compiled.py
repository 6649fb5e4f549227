"""Functions as machine code, and arrays that cost much to make: made once, and kept on disk. Pure.

Whoever imports this loads numba: 66 MB that only who judges needs.
"""

import atexit
import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast
from zipfile import BadZipFile

import numba
import numpy as np
from numba.core import config as numba_config
from numpy.typing import NDArray

from engagement import readings

Given = ParamSpec("Given")
Result = TypeVar("Result")

# Records of `States`, of `Rows`, of `News` and of a config, by their fields: numba refuses what is none of them.
State: TypeAlias = Any
Row: TypeAlias = Any
Tuning: TypeAlias = Any
News: TypeAlias = Any

HERE = Path(__file__).parent
_OPTIONS: Any = numba_config  # which makes its attributes itself
# Any processor of this kind runs what another one compiled, as that of an image did.
_OPTIONS.CPU_NAME, _OPTIONS.CPU_FEATURES = "generic", ""


def compiled(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Return the function as machine code that does to the last bit what it says; what is divided by 0 is infinite."""
    return cast(Callable[Given, Result], numba.njit(error_model="numpy", cache=_find_cache())(function))


def keep_arrays(name: str, make: Callable[[], Sequence[NDArray[Any]]]) -> list[NDArray[Any]]:
    """Return what was made once and is kept beside the machine code; make it where it is not there, or cannot be read.

    `name` changes with all that it depends on, beside the sources of the detector.
    """
    if not _find_cache():
        return list(make())
    path = Path(_OPTIONS.CACHE_DIR) / f"{name}.npz"
    try:
        with np.load(path) as kept:
            return [kept[each] for each in kept]
    except (OSError, EOFError, ValueError, BadZipFile):
        made = list(make())
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = Path(folder) / path.name
        np.savez(whole, *made)
        whole.replace(path)  # nobody finds half of it
    return made


@cache
def _find_cache() -> bool:
    """Let numba keep what it compiles beside the sources, else in a folder of this process; tell whether it can.

    In a tree that is not ours to write to, what was compiled there before is copied, as numba wants to write.
    """
    own = Path(_OPTIONS.CACHE_DIR or HERE / "__pycache__") / f"compiled-{_digest()}"
    if not _is_writable(own):
        try:
            copy = Path(tempfile.mkdtemp(prefix="compiled-"))
        except OSError:
            return False
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        if own.is_dir():
            shutil.copytree(own, copy, dirs_exist_ok=True)
        own = copy
    _OPTIONS.CACHE_DIR = str(own)
    return True


def _digest() -> str:
    """Return what changes with any line that is compiled: numba looks at a function alone, not at what it calls."""
    sources = [*sorted(HERE.glob("*.py")), Path(readings.__file__)]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
