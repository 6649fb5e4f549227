"""Count what a platform told, by what it calls it, and what of that was of no use."""

import re
from collections import Counter
from datetime import datetime

from conductor.models import Heard, Platform
from engagement import arrays

MOST_NAMES = 200  # of one platform: more are counted as others
NAME = re.compile(r"[\w.:-]{1,100}", re.ASCII)
UNNAMED, OTHERS = "without a name", "others"
COUNT = """
    INSERT INTO platform_heard (platform_id, last_at, name, used, ignored)
    SELECT p.id, %b, told.* FROM platforms p CROSS JOIN UNNEST(%b::varchar[], %b::bigint[], %b::bigint[]) told
    WHERE p.id = %b FOR KEY SHARE OF p  -- it may be deleted just now
    ON CONFLICT (platform_id, name) DO UPDATE SET
        used = platform_heard.used + EXCLUDED.used,
        ignored = platform_heard.ignored + EXCLUDED.ignored,
        last_at = GREATEST(platform_heard.last_at, EXCLUDED.last_at)
"""


def count_heard(platform: Platform, heard: Counter[str], ignored: Counter[str], now: datetime) -> None:
    """Add what one request told; a repeat is told again, and counts again."""
    known = set(Heard.objects.filter(platform=platform).values_list("name", flat=True))
    used: Counter[str] = Counter()
    unused: Counter[str] = Counter()
    for name, count in heard.items():
        as_counted = _name(name, known)
        known.add(as_counted)
        used[as_counted] += count - ignored[name]
        unused[as_counted] += ignored[name]
    names = sorted(used)  # in one order, as two requests may count the same
    columns = names, [used[name] for name in names], [unused[name] for name in names]
    arrays.execute(COUNT, now, *columns, platform.id)


def _name(name: str, known: set[str]) -> str:
    if not NAME.fullmatch(name):
        return UNNAMED
    return name if name in known or len(known) < MOST_NAMES else OTHERS
