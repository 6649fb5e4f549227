"""What is taken, and how much of it: the bounds that REST, recordings and the tables share. Pure."""

from datetime import timedelta

MAX_BATCH = 1_000  # rows or raw events of a session in one request
MAX_BATCH_OF_MANY = 5_000  # of many sessions
MAX_BREAKS = 100  # of one session
MAX_TEXT = 200  # characters of a title, or of what a platform calls a session, a person, an event or a poll
MAX_PEOPLE = 2**31 - 1  # the column is an int4
MAX_PER_MINUTE = 1e9  # no audience sends more, and its square is still far from where a float ends
FIRST_YEAR, LAST_YEAR = 2000, 2099  # outside them a clock is broken, and not a recording old
MAX_AHEAD = timedelta(minutes=5)  # of the server's clock
LATENESS_SECONDS, MAX_LATENESS_SECONDS = 2, 60  # where a session says nothing else, and the most that it may say
MAX_RETENTION_DAYS = 3_650  # whoever wants to keep something for longer keeps it for ever
MAX_ORIGIN, MAX_ORIGINS = 300, 20  # characters of the origin of a page, and how many a token names
MAX_REPORT_BYTES = 16_384  # of what a beacon sends at once
MAX_ACTIVITIES = 50  # chat messages and reactions in one report of a beacon
