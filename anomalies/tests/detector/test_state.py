import numpy as np
import pytest
import zstandard

from anomalies.detector.replay import judge_rows
from anomalies.detector.state import States, new_states, pack, unpack
from anomalies.detector.timetables import Timetable
from anomalies.tests.rooms import healthy_room


def test_pack_gives_back_the_same_state():
    states = new_states(1)
    judge_rows(states, [healthy_room(minutes=20)], [Timetable()])
    assert unpack(pack(states[0])).array.tobytes() == states[0].array.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("audience", [20, 200, 900])
def test_state_of_a_long_session_is_at_most_1_kb(audience):
    states = new_states(1)
    judge_rows(states, [healthy_room(minutes=120, audience=audience)], [Timetable()])
    assert States.dtype.itemsize < 2 * 1024
    assert len(pack(states[0])) <= 1024


def test_unpack_refuses_what_is_no_state():
    with pytest.raises(ValueError, match="not a packed detector state"):
        unpack(b"nonsense")
    with pytest.raises(ValueError, match="not a packed detector state"):
        unpack(zstandard.compress(b"something else"))


def test_new_states_do_not_share_memory():
    states = new_states(2)
    states.history[0] = 7
    assert not np.any(states.history[1] == 7)
