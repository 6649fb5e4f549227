"""What an audience shows and says beside its chat: hands, cameras, voices, questions. Pure."""

import numpy as np

from anomalies.bench.simulation.crowd import Crowd
from anomalies.bench.simulation.script import Script
from anomalies.bench.simulation.voices import Mood

CAMERAS = {"meeting": 0.7, "workshop": 0.4}  # share of those who come with one on; of other kinds:
FEW_CAMERAS = 0.03
PHRASE_SECONDS, PAUSE_SECONDS = 8.0, 1.5  # of whoever has the word, on the average
TURN_SECONDS = 20.0  # how long one of the audience has it
PATIENCE_SECONDS = 45.0  # how long a hand stays up that nobody calls
CALL_CHANCE = 0.05  # that a hand is called in a second in which only the host has the word
VOTES_A_QUESTION = 6.0


class Conversation:
    """A host who talks, and an audience that raises hands, takes its turn to talk, asks and votes.

    It has random numbers of its own and changes nothing of the crowd, so the rest of a session is the same with it.
    """

    def __init__(self, rng: np.random.Generator, script: Script, crowd: Crowd, mood: Mood):
        self.rng, self.crowd, self.mood = rng, crowd, mood
        self.hands_per_head = script.chat * rng.uniform(0.05, 0.3) / 60
        self.questions_per_head = script.chat * rng.uniform(0.03, 0.2) / 60
        self.cameras = CAMERAS.get(script.kind.name, FEW_CAMERAS)
        self.seen = np.zeros(len(crowd.present), dtype=bool)
        self.hands: dict[int, int] = {}  # until when whose hand is up
        self.votes = 0.0  # expected votes that are still to come
        self.host: int | None = None
        self.guest: int | None = None
        self.guest_until = 0
        self.voice: int | None = None  # whose is heard

    def go_on(self, second: int) -> None:
        """Tell what is shown and said in this second."""
        here = np.flatnonzero(self.crowd.present)
        self._arrive(second)
        if len(here):
            self._raise_hands(second, here)
            self._ask(second, here)
        self._take_turns(second, here)

    def _arrive(self, second: int) -> None:
        """Let who is back or new have a camera on; what was on ended when they left."""
        new = np.flatnonzero(self.crowd.present & ~self.seen)
        self.seen = self.crowd.present.copy()
        for person in new[self.rng.random(len(new)) < self.cameras]:
            self._tell(second, "camera_on", int(person))

    def _raise_hands(self, second: int, here: np.ndarray) -> None:
        self.hands = {person: until for person, until in self.hands.items() if self.crowd.present[person]}
        for person in [person for person, until in self.hands.items() if until <= second]:
            self._lower(second, person)
        count = self.rng.poisson(self.hands_per_head * len(here) * self.mood.chat[second])
        for person in map(int, self.rng.choice(here, size=min(count, len(here)), replace=False)):
            if person not in self.hands and person not in (self.host, self.guest):
                self.hands[person] = second + 1 + int(self.rng.exponential(PATIENCE_SECONDS))
                self._tell(second, "hand_raised", person)

    def _ask(self, second: int, here: np.ndarray) -> None:
        expected = self.questions_per_head * len(here) * self.mood.chat[second]
        asked, votes = int(self.rng.poisson(expected)), int(self.rng.poisson(self.votes / 20))
        for what, count in (("question_asked", asked), ("question_vote", votes)):
            for person in self.rng.choice(here, size=count):
                self._tell(second, what, int(person))
        self.votes = self.votes * (1 - 1 / 20) + asked * VOTES_A_QUESTION

    def _take_turns(self, second: int, here: np.ndarray) -> None:
        if self.host is None or not self.crowd.present[self.host]:
            self.host = int(here[np.argmax(self.crowd.talkativeness[here])]) if len(here) else None
            if self.host is not None:
                self._tell(second, "mic_on", self.host)
        if self.guest is not None and (second >= self.guest_until or not self.crowd.present[self.guest]):
            self._end_turn(second)
        elif self.guest is None and self.hands and self.rng.random() < CALL_CHANCE:
            self._call(second)
        self._talk(second, self.host if self.guest is None else self.guest)

    def _call(self, second: int) -> None:
        self.guest = next(iter(self.hands))
        self.guest_until = second + 3 + int(self.rng.exponential(TURN_SECONDS))
        self._lower(second, self.guest)
        self._tell(second, "mic_on", self.guest)

    def _end_turn(self, second: int) -> None:
        if self.guest is not None and self.crowd.present[self.guest]:
            self._tell(second, "mic_off", self.guest)
        if self.voice == self.guest:
            self.voice = None
        self.guest = None

    def _talk(self, second: int, speaker: int | None) -> None:
        """Let whoever has the word talk in phrases."""
        if self.voice is not None and self.voice != speaker:
            if self.crowd.present[self.voice]:
                self._tell(second, "talk_stopped", self.voice)
            self.voice = None
        elif self.voice is not None and self.rng.random() < 1 / PHRASE_SECONDS:
            self._tell(second, "talk_stopped", self.voice)
            self.voice = None
        elif self.voice is None and speaker is not None and self.rng.random() < 1 / PAUSE_SECONDS:
            self._tell(second, "talk_started", speaker)
            self.voice = speaker

    def _lower(self, second: int, person: int) -> None:
        del self.hands[person]
        self._tell(second, "hand_lowered", person)

    def _tell(self, second: int, what: str, person: int) -> None:
        """Note an event before the first half of the second is over: after that people come and go."""
        self.crowd.events.append((1000 * second + int(self.rng.integers(0, 500)), what, person))
