"""What is kept of one person in a room: changed by their own events only. Pure."""

from dataclasses import dataclass, field

HAND, MIC, CAMERA, VOICE = "hand", "mic", "camera", "voice"


@dataclass(slots=True)
class Person:
    """One person. Whatever changes takes another value, so a shallow copy is one."""

    is_present: bool = False
    is_focused: bool = False
    left_at: int | None = None  # since when they are away
    acted_at: int | None = None
    votes: list[int] = field(default_factory=list)  # numbers of the open polls that they voted in
    signs: frozenset[str] = frozenset()  # what of theirs is up or on
    chatted_at: int | None = None
    talked_at: int | None = None  # when their last words ended

    @property
    def is_away(self) -> bool:
        """Whether they left; who was never seen to come may be here all the same."""
        return self.left_at is not None

    @property
    def is_talking(self) -> bool:
        return VOICE in self.signs and not self.is_away

    def was_here_since(self, moment: int) -> bool:
        return self.is_present or (self.left_at is not None and self.left_at >= moment)
