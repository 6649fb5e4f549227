"""What the page of an event's platforms shows: where each calls us, and what was heard of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from conductor.models import Heard, Platform


@dataclass(frozen=True, slots=True)
class PlatformCard:
    """A platform as the page shows it."""

    platform: Platform
    address: str
    heard: list[Heard]

    @property
    def last_at(self) -> datetime | None:
        """When it was heard last; None where it never was."""
        return max((each.last_at for each in self.heard), default=None)

    @property
    def state(self) -> str:
        """Tell whether it was heard, and whether anything of that was of use: unheard, useless or fine."""
        if not self.heard:
            return "unheard"
        return "fine" if any(each.used for each in self.heard) else "useless"


def show_platforms(platforms: Iterable[tuple[Platform, str]]) -> list[PlatformCard]:
    """Return the cards of platforms, each given with its address."""
    return [PlatformCard(platform, address, list(platform.heard.all())) for platform, address in platforms]
