"""The obvious build does its job: what costs less because it does nothing would be no baseline."""

from dataclasses import replace

import pytest

from benchmarks import stacks
from benchmarks.cases import CASES
from benchmarks.measure import measure


@pytest.mark.servers
def test_rows_are_judged_and_shown_and_every_role_is_counted(tmp_path):
    tmp_path.chmod(0o711)
    case = replace(CASES["frame"], rate=5, rooms=5, seconds=1.0, warm_seconds=0.4)
    with stacks.obvious(tmp_path / "obvious") as stack:
        found = measure(stack, replace(case, watching=replace(case.watching, rooms=2)))

    assert (found.told.statuses, found.told.accepted, found.waiting) == ({"202": 5}, 5, 0)
    assert (len(found.told.frames), found.told.unseen) == (2, 0)
    assert {role for role, seconds in found.cpu.items() if seconds > 0} >= {"web", "worker", "PostgreSQL"}
