"""How much a simulated audience says and claps, second by second. Pure."""

from dataclasses import dataclass

import numpy as np

from anomalies.bench.simulation.script import Script, Stretch
from anomalies.detector.arrays import Floats

QUESTIONS_SECONDS = 15 * 60  # before the end, where a session ends with questions
STAIRS = 4  # the steps of a fall that comes in stairs
STEADY_APPLAUSE = 0.8  # the share of the planned reactions that comes without a burst


@dataclass(frozen=True, slots=True)
class Mood:
    """What chat, reactions and attention are multiplied by in each second."""

    chat: Floats
    reactions: Floats
    active: Floats


def draw_mood(rng: np.random.Generator, script: Script, total: int) -> Mood:
    """Return a mood that wanders as real ones do, and does what the script's stretches say."""
    unrest, tempo = script.unrest, script.tempo
    chat = np.exp(_wander(rng, total, unrest * rng.uniform(0.2, 0.45), tempo * rng.uniform(70, 160)))
    chat *= np.exp(_wander(rng, total, unrest * rng.uniform(0.1, 0.3), tempo * 900))
    reactions = np.exp(_wander(rng, total, unrest * rng.uniform(0.2, 0.45), tempo * rng.uniform(70, 150)))
    active = np.exp(_wander(rng, total, unrest * rng.uniform(0.05, 0.14), tempo * 170))
    seconds = np.arange(total, dtype=np.float64)
    if rng.random() < script.kind.questions_chance:
        shape = np.clip((seconds - script.seconds + QUESTIONS_SECONDS) / 240, 0, 1)
        chat *= 1 + rng.uniform(0.3, 1.0) * shape
    for stretch in script.stretches + script.breaks:
        depth = depth_of(seconds, stretch)
        chat *= 1 - (1 - stretch.chat) * depth
        reactions *= 1 - (1 - stretch.reactions) * depth
        active *= 1 - (1 - stretch.active) * depth
    return Mood(chat, reactions, active)


class Voices:
    """Chat that excites more chat (a Hawkes process), and reactions that come in bursts."""

    def __init__(self, rng: np.random.Generator, script: Script, mood: Mood):
        self.rng = rng
        self.mood = mood
        self.chats_per_head = script.chat / 60
        self.reactions_per_head = script.reactions / 60
        # Of each message come `branching` more, on the average within `memory` seconds.
        self.branching, self.memory = rng.uniform(0.3, 0.6), rng.uniform(8, 25)
        self.burst_chance = 1 / rng.uniform(150, 500)
        self.fading = float(np.exp(-1 / rng.uniform(6, 16)))
        self.excitement = 0.0  # expected answers in this second
        self.burst = 0.0  # expected reactions of a burst in this second

    def count_chats(self, second: int, here: int) -> int:
        """Return how many messages come in this second, and let them excite the next ones."""
        mood = float(self.mood.chat[second])
        unasked = (1 - self.branching) * self.chats_per_head * here
        count = int(self.rng.poisson(mood * (unasked + self.excitement)))
        # Without the mood, which is on the answers too: else a drop would count twice and never end.
        answers = self.branching * count / self.memory / max(0.05, mood)
        self.excitement = (self.excitement + answers) * (1 - 1 / self.memory)
        return count

    def count_reactions(self, second: int, here: int) -> int:
        """Return how many reactions come in this second."""
        steady = self.reactions_per_head * here
        if self.rng.random() < self.burst_chance:
            self.burst += steady * self.rng.gamma(2.0, 2.5)
        count = int(self.rng.poisson(self.mood.reactions[second] * (STEADY_APPLAUSE * steady + self.burst)))
        self.burst *= self.fading
        return count


def depth_of(seconds: Floats, stretch: Stretch) -> Floats:
    """Return 0 outside a stretch and 1 where it is at its deepest."""
    begun = np.ones_like(seconds) if stretch.start <= 0 else np.clip((seconds - stretch.start) / stretch.rise, 0, 1)
    over = np.clip((seconds - stretch.end) / stretch.fall, 0, 1)
    deepest_at = stretch.start + stretch.rise
    better = np.clip((seconds - deepest_at) / max(1.0, stretch.end - deepest_at), 0, 1)
    return np.asarray(_shaped(begun, stretch.shape) * (1 - stretch.recovers * better) * (1 - over))


def _shaped(begun: Floats, shape: str) -> Floats:
    """Return how deep a stretch is of which this part of its time to the deepest is over."""
    if shape == "stairs":
        return np.asarray(np.floor(begun * STAIRS) / STAIRS)
    return begun * (2 - begun) if shape == "curve" else begun


def _wander(rng: np.random.Generator, total: int, deviation: float, memory: float) -> Floats:
    """Return an Ornstein-Uhlenbeck path of this standard deviation, whose values forget each other in `memory` s."""
    keep = float(np.exp(-1 / memory))
    shocks = rng.normal(0.0, deviation * float(np.sqrt(1 - keep * keep)), total)
    path = np.empty(total)
    value = float(rng.normal(0.0, deviation))
    for second in range(total):
        value = keep * value + shocks[second]
        path[second] = value
    return path
