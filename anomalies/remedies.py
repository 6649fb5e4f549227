"""Whether what people tried helped: how long incidents went on after it, beside those in which nothing was tried. Pure.

An incident in which something is tried after three minutes has lasted three minutes already. So it is compared with
what others had left that lasted as long and were left alone: a landmark comparison (Anderson, Cain and Gelber,
"Analysis of survival by tumor response", J. Clin. Oncol. 1983). It is no proof: who tries chooses when.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

LEAST_CASES = 5  # of each kind; of fewer nothing can be said
LONG = timedelta(hours=1)  # an incident that nobody saw end counts as this long


@dataclass(frozen=True, slots=True)
class Case:
    """One incident that is over: how long it lasted, whether the audience came back, and what was first tried when."""

    lasted: timedelta
    came_back: bool
    tried: str = ""  # empty where nothing was
    tried_after: timedelta = timedelta()  # since it opened


@dataclass(frozen=True, slots=True)
class Effect:
    """What came after one thing that was tried, and what came of incidents of the same age that were left alone.

    The medians are of the time until the audience came back; `LONG` where it did not.
    """

    tried: str
    cases: int
    median_after: timedelta | None
    left_alone: int
    median_alone: timedelta | None

    @property
    def is_known(self) -> bool:
        """Whether there are enough of both to compare them."""
        return min(self.cases, self.left_alone) >= LEAST_CASES

    @property
    def helped(self) -> bool:
        return (
            self.is_known
            and self.median_after is not None
            and self.median_alone is not None
            and self.median_after < self.median_alone
        )


def find_effects(cases: Iterable[Case]) -> list[Effect]:
    """Return the effect of each thing that was ever tried, what helped most first.

    >>> minute = timedelta(minutes=1)
    >>> alone = [Case(8 * minute, True)] * 5
    >>> (effect,) = find_effects([*alone, *[Case(4 * minute, True, "poll", 2 * minute)] * 5])
    >>> effect.cases, str(effect.median_after), effect.left_alone, str(effect.median_alone), effect.helped
    (5, '0:02:00', 5, '0:06:00', True)
    """
    cases = list(cases)
    alone = [case for case in cases if not case.tried]
    kinds = dict.fromkeys(case.tried for case in cases if case.tried)
    effects = [_find_effect(tried, [case for case in cases if case.tried == tried], alone) for tried in kinds]
    return sorted(effects, key=lambda each: (not each.helped, not each.is_known, each.median_after or LONG))


def _find_effect(tried: str, cases: Sequence[Case], alone: Sequence[Case]) -> Effect:
    after = [_left(case, case.tried_after) for case in cases]
    age = _median([case.tried_after for case in cases])
    others = [_left(case, age) for case in alone if case.lasted > age]
    return Effect(tried, len(after), _median(after), len(others), _median(others) if others else None)


def _median(times: Sequence[timedelta]) -> timedelta:
    return timedelta(seconds=median(time.total_seconds() for time in times))


def _left(case: Case, since: timedelta) -> timedelta:
    """Return how long it took from then on until the audience was back."""
    return max(timedelta(), case.lasted - since) if case.came_back else LONG
