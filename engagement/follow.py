"""Follow the polls of sessions through new rows, and give those rows the scores that follow from it.

What a poll says depends on the rows before. A post does not know these for certain, as another process may hold some of
them; a sweep does: nothing comes before a row that it judges which is not late. So a row that is posted is scored by
itself, and a row with a poll in it has its score put right here, once, before it is judged. All else is not written to.
"""

from collections.abc import Sequence

from engagement import arrays
from engagement.models import EngagementRow, Session
from engagement.scoring import count_score, hear_polls
from engagement.turnout import Polling

SAVE_SCORES = """
    UPDATE engagement e SET engagement_score = new.score
    FROM UNNEST(%b::uuid[], %b::timestamptz[], %b::float8[]) AS new (session_id, timestamp, score)
    WHERE e.session_id = new.session_id AND e.timestamp = new.timestamp
"""


def follow_polls(sessions: Sequence[Session], rows: Sequence[Sequence[EngagementRow]]) -> None:
    """Put the scores of unjudged rows right, in these and in the database, and move each session's `polling`."""
    changed: list[EngagementRow] = []
    for session, new in zip(sessions, rows, strict=True):
        if session.polling is None and all(row.poll_participation is None for row in new):
            continue
        heard_at = None if session.judged_until is None else session.judged_until.timestamp()
        polling = Polling.unpack(session.polling, heard_at)
        for row in new:
            reading = row.reading
            found = count_score(reading, hear_polls(polling, reading))
            if found != row.engagement_score:
                row.engagement_score = found
                changed.append(row)
        session.polling = polling.pack()
    if changed:
        keys = [row.session_id for row in changed], [row.timestamp for row in changed]
        arrays.execute(SAVE_SCORES, *keys, [row.engagement_score for row in changed])
