"""What is kept of one person in a room: changed by their own events only. Pure."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Person:
    """One person. Whatever changes takes another value, so a shallow copy is one."""

    is_present: bool = False
    is_focused: bool = False
    left_at: int | None = None  # since when they are away
    acted_at: int | None = None
    votes: list[int] = field(default_factory=list)  # numbers of the open polls that they voted in

    def was_here_since(self, moment: int) -> bool:
        return self.is_present or (self.left_at is not None and self.left_at >= moment)
