"""What people show: a hand that is up, a microphone or camera that is on, and a voice that is heard. Pure."""

from dataclasses import dataclass, field

from engagement.people import CAMERA, HAND, MIC, VOICE, Person
from engagement.slots import Slots, move_on, new_slots, take_out

# Of one moment, on comes before off: what was told as both does not stay on. A microphone that goes off ends talking.
SWITCHES = {
    "hand_raised": (HAND, True),
    "hand_lowered": (HAND, False),
    "camera_on": (CAMERA, True),
    "camera_off": (CAMERA, False),
    "mic_on": (MIC, True),
    "talk_started": (VOICE, True),
    "talk_stopped": (VOICE, False),
    "mic_off": (MIC, False),
}


@dataclass(slots=True)
class Signs:
    """How many people show each sign, and how long and by how many was talked in the last minute.

    A sign that nobody ever told of is not in `shown`: it is unknown, and not zero. A sign is its person's: told twice
    it counts once, and it ends when they leave, whether or not their join was seen. What is told of somebody who is
    away counts once they are back, as a platform may tell of the microphone before it tells of the reconnect.
    """

    shown: dict[str, int] = field(default_factory=dict)
    speech: Slots = field(default_factory=new_slots)  # µs of each slot in which anybody talked
    spoken: Slots = field(
        default_factory=new_slots
    )  # people by the end of their last words; who still talks is in none
    heard_from: int = 0  # since when somebody talks, in the newest slot

    @property
    def voices(self) -> int:
        """How many talk now."""
        return self.shown.get(VOICE, 0)

    @property
    def speakers(self) -> int:
        """How many talked in the last minute."""
        return self.voices + sum(self.spoken)

    def begin_slot(self, start: int) -> None:
        self.skip(1)
        self.heard_from = start

    def end_slot(self, end: int) -> None:
        if self.voices:
            self.speech[-1] += end - self.heard_from

    def skip(self, slots: int) -> None:
        move_on(self.speech, slots)
        move_on(self.spoken, slots)

    def turn(self, moment: int, end: int, person: Person, sign: str, is_on: bool) -> None:
        """Take that a person's sign goes on or off at a moment of the slot that ends at `end`."""
        self.shown.setdefault(sign, 0)
        had = sign in person.signs
        person.signs = person.signs | {sign} if is_on else person.signs - {sign}
        if had != is_on and not person.is_away:
            self._count(moment, end, person, sign, is_on)

    def welcome(self, moment: int, end: int, person: Person) -> None:
        """Count what somebody who was away has on as they come back."""
        for sign in person.signs:
            self._count(moment, end, person, sign, True)

    def dismiss(self, moment: int, end: int, person: Person) -> None:
        """Take that all which a person shows ends, before they are away."""
        for sign in person.signs if not person.is_away else ():
            self._count(moment, end, person, sign, False)
        person.signs = frozenset()

    def _count(self, moment: int, end: int, person: Person, sign: str, is_on: bool) -> None:
        if sign == VOICE and is_on:
            self._begin_to_talk(moment, end, person)
        elif sign == VOICE:
            self._stop_talking(moment, person)
        self.shown[sign] += 1 if is_on else -1

    def _begin_to_talk(self, moment: int, end: int, person: Person) -> None:
        if not self.voices:
            self.heard_from = moment
        if person.talked_at is not None:
            take_out(self.spoken, person.talked_at, end)
            person.talked_at = None

    def _stop_talking(self, moment: int, person: Person) -> None:
        if self.voices == 1:
            self.speech[-1] += moment - self.heard_from
        self.spoken[-1] += 1
        person.talked_at = moment
