"""What is compiled is compiled once: it is kept, found again, and never stands in the way of who may not write."""

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from anomalies.detector import compiled
from anomalies.detector.config import BY_SENSITIVITY
from anomalies.detector.incidents import judge_until_news
from anomalies.detector.replay import judge_rows, prepare
from anomalies.detector.state import new_states, pack, unpack
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import START, healthy_room

needs_machine_code = pytest.mark.skipif(
    "NUMBA_DISABLE_JIT" in os.environ, reason="nothing is compiled where NUMBA_DISABLE_JIT says so"
)
CODE = """
import os, tempfile
from anomalies.detector import compiled
def refuse(*_, **__): raise FileNotFoundError
if "TREE" in os.environ: compiled._is_writable = lambda folder: False  # root may write anywhere
if "TEMPORARY" in os.environ: tempfile.mkdtemp = refuse
@compiled.compiled
def double(x): return 2 * x
assert double(21) == 42
stats = double.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), stats.cache_path)
"""


@needs_machine_code
def test_all_that_is_judged_is_judged_by_the_code_that_was_prepared():
    """Whoever judges finds it ready, however many rooms, rows, breaks and configs there are."""
    prepare()
    assert len(judge_until_news.signatures) == 1
    break_ = (START + timedelta(minutes=1), START + timedelta(minutes=2))
    for config in BY_SENSITIVITY.values():
        for breaks in ((), (break_,), (break_, break_)):
            states = new_states(3)
            timetables = [Timetable(breaks=breaks), Timetable(), Timetable(START, START, breaks)]
            judge_rows(states, [healthy_room(minutes=2)] * 3, timetables, config=config)
            judge_rows(states[[2, 0]], [[], healthy_room(minutes=3)[24:]], timetables[:2], config=config)
            judge_rows(states[1:2], [healthy_room(minutes=3)[24:]], timetables[:1], config=config)
    unpacked = new_states(1)
    unpacked[0] = unpack(pack(states[0]))
    judge_rows(unpacked, [healthy_room(minutes=3)[24:]], [Timetable()])
    assert len(judge_until_news.signatures) == 1


@pytest.fixture
def tree(tmp_path):
    """A copy of the sources, in which nothing is compiled yet."""
    root = Path(compiled.__file__).parents[2]
    for package in ("anomalies/detector", "engagement"):
        shutil.copytree(root / package, tmp_path / "tree" / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tree" / "anomalies" / "__init__.py").touch()
    (tmp_path / "tree" / "code.py").write_text(CODE)
    return tmp_path / "tree"


def run(tree, **environment):
    """Run the code of a process of its own; return what was found in the cache, what was not, and where it is."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    command = [sys.executable, "-B", "-c", "import runpy; runpy.run_path('code.py')"]
    done = subprocess.run(command, cwd=tree, env=clean | environment, capture_output=True, text=True, check=True)
    hits, misses, folder = done.stdout.split()
    return int(hits), int(misses), Path(folder)


@pytest.mark.slow
def test_code_is_kept_beside_the_sources_and_found_there(tree):
    hits, misses, folder = run(tree)
    assert (hits, misses) == (0, 1)
    assert folder.is_relative_to(tree / "anomalies" / "detector" / "__pycache__")
    assert run(tree) == (1, 0, folder)


@pytest.mark.slow
def test_change_of_any_source_is_seen(tree):
    """Numba looks at a function alone, and would go on to use what it calls as it was."""
    _, _, folder = run(tree)
    with (tree / "anomalies" / "detector" / "sizes.py").open("a") as sizes:
        sizes.write("\n# another one\n")
    hits, misses, other = run(tree)
    assert (hits, misses) == (0, 1)
    assert other != folder


@pytest.mark.slow
def test_tree_that_is_not_ours_to_write_to_is_read(tree, tmp_path):
    """As in the image, whose root is read-only: a copy is found, and goes with its process."""
    run(tree)
    hits, misses, folder = run(tree, TREE="not ours", TMPDIR=str(tmp_path))
    assert (hits, misses) == (1, 0)
    assert folder.is_relative_to(tmp_path)
    assert not folder.is_relative_to(tree)
    assert not folder.exists()


@pytest.mark.slow
def test_nowhere_to_write_is_no_reason_to_fail(tree):
    """Then each process compiles for itself."""
    assert run(tree, TREE="not ours", TEMPORARY="none") == (0, 1, Path("None"))


SPLITS = """
import os, sys
from anomalies.detector import compiled
if "TREE" in os.environ: compiled._is_writable = lambda folder: False  # root may write anywhere
from anomalies.detector.trees import Forest
on, at = Forest(("a", "b"), n_trees=2, height=3).splits
print("river" in sys.modules, repr((on.tolist(), at.tolist())))
"""


def run_splits(tree, **environment):
    """Return whether a process of its own loads River, and the splits that it has."""
    (tree / "code.py").write_text(SPLITS)
    command = [sys.executable, "-B", "-c", "import runpy; runpy.run_path('code.py')"]
    done = subprocess.run(command, cwd=tree, env=os.environ | environment, capture_output=True, text=True, check=True)
    loads_river, _, splits = done.stdout.partition(" ")
    return loads_river == "True", splits


@pytest.mark.slow
def test_river_is_loaded_once_for_all_processes(tree):
    loads_river, made = run_splits(tree)
    assert loads_river
    assert run_splits(tree) == (False, made)
    assert run_splits(tree, TREE="not ours") == (False, made)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [b"", b"PK\x03\x04 and no more", b"\x93NUMPY"])
def test_kept_splits_that_cannot_be_read_are_made_again(tree, wrong):
    _, made = run_splits(tree)
    [kept] = (tree / "anomalies" / "detector" / "__pycache__").glob("compiled-*/river-*.npz")
    kept.write_bytes(wrong)
    assert run_splits(tree) == (True, made)
    assert run_splits(tree) == (False, made)


@pytest.mark.slow
def test_unwritable_home_does_no_harm(tree):
    assert run(tree, HOME="/proc/nowhere")[:2] == (0, 1)
