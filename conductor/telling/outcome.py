"""What came of one attempt to tell somebody something. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` says in words what went wrong; empty: it was delivered."""

    error: str = ""
    status: int | None = None  # of the answer
    answer: str = ""  # how it began
    is_unwanted: bool = False  # the receiver wants nothing any more
    wait_seconds: float = 0.0  # that the receiver asked for

    @property
    def is_delivered(self) -> bool:
        return not self.error
