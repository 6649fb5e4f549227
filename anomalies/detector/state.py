"""What a session's detector remembers: one record of fixed size, the same for every session. Pure."""

import zlib

import numpy as np
from numpy.typing import NDArray

from anomalies.detector.sizes import BAND_BLOCKS, BLOCKS, HISTORY_SLOTS, N_TREES, SLOTS_PER_MINUTE, TREE_WINDOW

REVISION = 1  # to be raised when the same fields come to mean something else

# Rows of `history`: what happened in each slot of 5 s, newest last.
CHATS, REACTIONS, LEAVERS, PEOPLE, ACTIVITY, SCORE = range(6)
# Rows of `blocks`, `usual` and `reference`: per head and slot, then shares.
CHAT_RATE, REACTION_RATE, LEAVE_RATE, ACTIVE_SHARE, MEAN_SCORE = range(5)
# Evidence that is scaled by its own noise: chat and reactions over four windows, activity, the slow three, the sharp.
NOISES = 13

STATE = np.dtype(
    [
        # what was taken
        ("t", "f8"),  # seconds since the epoch, on the grid of slots
        ("slots", "i4"),  # how many slots the session has lasted
        ("held", "i2"),  # rows held back since the last one that was taken
        ("glitches", "u1"),  # rows in a row that were held because they cannot be true
        ("still", "u1"),  # rows in a row in which nobody moved and no rate rose
        ("same", "u1"),  # rows in a row in which nothing changed at all, in a room where something is counted
        ("coarse", "u1"),  # rows in a row whose rates are whole tens
        ("previous", "f4", (5,)),  # chats, reactions and leavers a minute, active and present people of that row
        ("is_exact", "?", (3,)),  # whether the slots of chats, reactions and leavers are counts and no guesses
        ("history", "f4", (6, HISTORY_SLOTS)),
        # what is usual
        ("block", "f4", (6,)),
        ("block_slots", "i2"),
        ("block_known", "i2", (6,)),
        ("blocks", "f2", (5, BLOCKS)),
        ("n_blocks", "i2"),
        ("usual", "f2", (5,)),
        ("reference", "f2", (5,)),
        ("noise", "f2", (NOISES,)),
        ("score_noise", "f4"),
        ("proofs", "u1"),  # rows with more people active than chats and reactions can account for
        ("since_poll", "i2"),  # slots since a poll was open
        ("has_spoken", "?"),  # whether anything but people was ever seen
        ("band", "u1", (BAND_BLOCKS, 2)),  # expected score, low and high, in 255ths, newest last
        ("band_at", "f8"),  # the moment of the newest
        ("n_band", "u1"),
        # the session's own half-space trees: the complete window, and the one that is filling
        ("tree_leaves", "u1", (2, TREE_WINDOW, N_TREES)),
        ("n_tree_leaves", "u1", (2,)),
        # the incident
        ("is_open", "?"),
        ("opened_at", "f8"),
        ("run", "i2"),  # slots for which rows in a row would open one
        ("calm", "i2"),  # rows in a row that would close it
        ("lively", "i2"),  # rows that were above it, ever
        ("low", "i2"),  # slots in a row at or below LOW_ENGAGEMENT
        ("closed_at", "f8"),
        ("unsettled_until", "f8"),
        ("anomaly_type", "u1"),
        ("told_leavers", "f4"),  # how many had left within a minute when the incident was last told of
        ("is_critical", "?"),
    ]
)

States = NDArray[np.void]

FIELDS = [(name, STATE[name].base.itemsize) for name in STATE.names or ()]
RAW = -zlib.MAX_WBITS  # deflate without a header

# A state that was written with other fields, or by another revision, has another number (15 bits).
VERSION = zlib.crc32(repr((REVISION, STATE.descr)).encode()) & 0x7FFF


def new_states(n: int = 1) -> States:
    """Return the states of n sessions that nothing is known of."""
    states = np.zeros(n, STATE)
    states["history"][:, ACTIVITY] = states["history"][:, SCORE] = np.nan
    for field in ("blocks", "usual", "reference", "previous"):
        states[field] = np.nan
    states["noise"] = 1.0
    states["score_noise"] = 0.03**2
    states["since_poll"] = SLOTS_PER_MINUTE + 1
    states["closed_at"] = -np.inf
    states["unsettled_until"] = -np.inf
    return states


def pack(state: np.void) -> bytes:
    """Return one state as bytes, the same for equal states: about 0.9 KB.

    Of each field all first bytes come first, then all second ones: those of one rank are alike, and pack well.
    """
    planes = [np.frombuffer(state[name].tobytes(), np.uint8).reshape(-1, size).T.tobytes() for name, size in FIELDS]
    packer = zlib.compressobj(9, wbits=RAW)
    return packer.compress(b"".join(planes)) + packer.flush()


def unpack(packed: bytes) -> np.void:
    """Return the state that `pack` made bytes of. Raises ValueError where these are no such bytes."""
    try:
        planes = zlib.decompress(packed, wbits=RAW)
    except zlib.error as error:
        raise ValueError("not a packed detector state") from error
    if len(planes) != STATE.itemsize:
        raise ValueError("not a packed detector state")
    state: np.void = new_states()[0]
    start = 0
    for name, size in FIELDS:
        end = start + STATE[name].itemsize
        field = np.frombuffer(planes[start:end], np.uint8).reshape(size, -1).T.tobytes()
        state[name] = np.frombuffer(field, STATE[name].base).reshape(STATE[name].shape)
        start = end
    return state
