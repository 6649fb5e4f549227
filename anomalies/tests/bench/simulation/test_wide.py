from collections import Counter

import numpy as np
import pytest

from anomalies.bench.simulation import MAKERS, simulate
from anomalies.bench.simulation.script import INCIDENT_TYPES, SHAPES, Script, Stretch, draw_script
from anomalies.bench.simulation.voices import depth_of
from anomalies.bench.simulation.wide import RAMP_SECONDS, WIDE, as_platforms_send, draw_wide_incident


def script(seed: int) -> Script:
    return draw_script(np.random.default_rng(seed), None, None, "activity", True, WIDE)


def test_ramps_are_of_one_to_twelve_minutes_and_of_all_shapes():
    rng = np.random.default_rng(1)
    ramps = [draw_wide_incident(rng, script(1), "GRADUAL_DECLINE") for _ in range(300)]
    rises = [ramp.rise for ramp in ramps]
    assert RAMP_SECONDS[0] <= min(rises) < 80
    assert 600 < max(rises) <= RAMP_SECONDS[1]
    assert {ramp.shape for ramp in ramps} == set(SHAPES)
    assert all(ramp.end > ramp.rise for ramp in ramps)
    assert 0.15 < sum(ramp.recovers > 0 for ramp in ramps) / len(ramps) < 0.35


def test_rooms_differ_in_unrest_and_tempo():
    rooms = [script(seed) for seed in range(60)]
    for name in ("unrest", "tempo"):
        drawn = [getattr(room, name) for room in rooms]
        assert max(drawn) > 1.2
        assert min(drawn) < 0.8
    plain = draw_script(np.random.default_rng(1), None, None, "activity", True)
    assert (plain.unrest, plain.tempo) == (1.0, 1.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_begins_at_nothing_and_is_at_its_deepest_after_its_rise(shape):
    stretch = Stretch(100, 300, rise=100, fall=50, shape=shape)
    depth = depth_of(np.arange(400.0), stretch)
    assert depth[:101].max() == 0
    assert (np.diff(depth[100:201]) >= 0).all()
    assert depth[200:301].tolist() == [1.0] * 101
    assert depth[351:].max() == 0


def test_a_stretch_that_recovers_is_better_before_its_end():
    depth = depth_of(np.arange(400.0), Stretch(100, 300, rise=100, fall=50, recovers=0.4))
    assert depth[200] == 1
    assert depth[300] == pytest.approx(0.6)


@pytest.mark.slow
@pytest.mark.parametrize("maker", MAKERS)
def test_wide_sessions_have_every_type_and_repeat_themselves(maker):
    sessions = [simulate(8, "workshop", 60, index=index, maker=maker, wide=True) for index in range(24)]
    kinds = Counter(label.type for session in sessions for label in session.labels if label.type)
    assert set(kinds) == set(INCIDENT_TYPES)
    assert len({session.emits for session in sessions}) >= 3
    assert simulate(8, "workshop", 60, index=3, maker=maker, wide=True) == sessions[3]


@pytest.mark.slow
def test_one_platform_in_five_sends_worse_rates():
    rows = simulate(8, "workshop", 60, maker="rates").rows
    rng = np.random.default_rng(1)
    worse = sum(as_platforms_send(rng, rows) != rows for _ in range(300))
    assert 0.12 < worse / 300 < 0.28
