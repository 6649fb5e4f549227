"""How much is remembered of a session: the sizes of its state. Pure."""

SLOT_SECONDS = 5  # the grid on which rows are counted
SLOTS_PER_MINUTE = 12
HISTORY_SLOTS = 24  # two minutes
EARLIER_SLOTS = 12  # a third one, of chats and reactions where they are all that is known
BLOCK_SLOTS = 6  # baselines are made of blocks of 30 s
BLOCKS = 25  # the newest, ten for the baseline, fourteen for the slow reference
BAND_BLOCKS = 64  # half an hour of what was expected, for the chart
WINDOWS = 4  # over which events are counted
TREE_WINDOW = 30  # rows of a session's own half-space trees
N_TREES = 10
STEPS_A_DECADE = 10  # of the tail of quiet rows' tree scores
FULL_BYTE, FULL_SHORT = 255, 30_000  # counters of one and of two bytes go no further
