"""What a session's detector remembers: one record of fixed size, the same for every session. Pure."""

import zlib
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from anomalies.detector.arrays import NEWEST, Floats
from anomalies.detector.config import DEFAULT, Noise
from anomalies.detector.records import Field, Records
from anomalies.detector.sizes import (
    BAND_BLOCKS,
    BLOCKS,
    EARLIER_SLOTS,
    HISTORY_SLOTS,
    N_TREES,
    SLOTS_PER_MINUTE,
    TREE_WINDOW,
    WINDOWS,
)

BAND_UNITS = 255  # in a score of 1
BAND_LOW, BAND_HIGH = range(2)  # the columns of a band
REVISION = 2  # to be raised when the same fields come to mean something else, or are packed otherwise


class Series(IntEnum):
    """What is remembered of each slot: the rows of `history` and `block`."""

    CHATS = 0
    REACTIONS = 1
    LEAVERS = 2
    PEOPLE = 3
    ACTIVITY = 4
    SCORE = 5


class Figure(IntEnum):
    """What a row said, rates a minute and people: the columns of `previous`, which begin as the signals do."""

    CHATS = Series.CHATS
    REACTIONS = Series.REACTIONS
    LEAVERS = Series.LEAVERS
    ACTIVE = 3
    PRESENT = 4


class Usual(IntEnum):
    """What is usual in a room, rates a head and slot and shares: the rows of `blocks`, `usual` and `reference`."""

    CHAT_RATE = 0
    REACTION_RATE = 1
    LEAVE_RATE = 2
    ACTIVE_SHARE = 3
    MEAN_SCORE = 4


class TreeWindow(IntEnum):
    """The two windows of a session's own half-space trees: rows are judged by the complete one."""

    COMPLETE = 0
    FILLING = 1


N_SERIES, N_FIGURES, N_USUAL = len(Series), len(Figure), len(Usual)
N_EVENTS = Series.REACTIONS + 1  # chats and reactions, which come first among series, figures and what is usual
N_COUNTED = Series.LEAVERS + 1  # what comes as a rate over the last minute, likewise
LAST_MINUTE = slice(-SLOTS_PER_MINUTE, None)


class Deviation(IntEnum):
    """How far the newest row lies below what is usual, by test: the places of `noise` and of standard scores."""

    CHAT = 0  # over the shortest window; those of the longer ones follow
    REACTIONS = CHAT + WINDOWS  # likewise
    ACTIVITY = REACTIONS + WINDOWS
    SLOW_CHAT = ACTIVITY + 1  # over the longest window, against the slow reference
    SLOW_REACTIONS = SLOW_CHAT + 1
    SLOW_ACTIVITY = SLOW_REACTIONS + 1
    SHARP = SLOW_ACTIVITY + 1  # activity, against the room's own last minute


class AnomalyType(IntEnum):
    """The types of anomaly in the published order of urgency."""

    GRADUAL_DECLINE = 1
    SUDDEN_DROP = 2
    LOW_ENGAGEMENT = 3
    MASS_EXIT = 4


N_DEVIATIONS = int(Deviation.SHARP) + 1


class States(Records):
    """The states of many sessions."""

    __slots__ = ()

    # what was taken
    t = Field(np.float64)  # seconds since the epoch, on the grid of slots
    slots = Field(np.int32)  # how many slots the session has lasted
    held = Field(np.int16)  # rows held back since the last one that was taken
    glitches = Field(np.uint8)  # rows in a row that were held because they cannot be true
    still = Field(np.uint8)  # rows in a row in which nobody moved and no rate rose
    same = Field(np.uint8)  # rows in a row in which nothing changed at all, in a room where something is counted
    coarse = Field(np.uint8)  # rows in a row whose rates are whole tens
    risen = Field(np.uint8)  # slots since anything rose, this one included; 0 where something has fallen since
    previous = Field(np.float32, len(Figure))
    doubted = Field(np.float32, len(Figure))  # what the row said that is held; unknown where none is
    is_exact = Field(np.bool_, N_COUNTED)  # whether the slots of what is counted are counts and no guesses
    history = Field(np.float32, len(Series), HISTORY_SLOTS)  # what happened in each slot, newest last
    earlier = Field(np.float16, N_EVENTS, EARLIER_SLOTS)  # and in those before, where nobody counts the audience
    # what is usual
    block = Field(np.float32, len(Series))
    block_slots = Field(np.int16)
    block_known = Field(np.int16, len(Series))
    blocks = Field(np.float16, len(Usual), BLOCKS)
    n_blocks = Field(np.int16)
    usual = Field(np.float16, len(Usual))
    reference = Field(np.float16, len(Usual))
    settled = Field(np.float16, len(Usual))  # what was usual before the newest minutes, which may be a slow fall
    noise = Field(np.float16, N_DEVIATIONS)  # the variance of each of the standard scores
    score_noise = Field(np.float32)
    dispersion = Field(np.float32, N_EVENTS)  # a block's variance in its means, where nobody counts the audience
    n_dispersion = Field(np.int16, N_EVENTS)  # of how many blocks
    doubt = Field(np.uint8)  # slots for which rows were not learnt as evidence was gathering
    asked = Field(np.int16)  # rows that could prove that others listen than those who do something, up to a limit
    proven = Field(np.float32)  # the part of them with more people active than did anything that is counted
    since_poll = Field(np.int16)  # slots since a poll was open
    has_spoken = Field(np.bool_)  # whether anything but people was ever seen
    tells_activity = Field(np.bool_)  # whether fewer were ever active than present
    band = Field(np.uint8, BAND_BLOCKS, 2)  # expected score, low and high, in units, newest last
    band_at = Field(np.float64)  # the moment of the newest
    n_band = Field(np.uint8)
    # the session's own half-space trees
    tree_leaves = Field(np.uint8, len(TreeWindow), TREE_WINDOW, N_TREES)
    n_tree_leaves = Field(np.uint8, len(TreeWindow))
    # the incident
    is_open = Field(np.bool_)
    opened_at = Field(np.float64)
    run = Field(np.int16)  # slots for which rows in a row would open one
    calm = Field(np.int16)  # rows in a row that would close it
    lively = Field(np.int16)  # rows that were above it, ever
    low = Field(np.int16)  # slots in a row at or below LOW_ENGAGEMENT
    closed_at = Field(np.float64)
    unsettled_until = Field(np.float64)
    anomaly_type = Field(np.uint8)  # an `AnomalyType`, 0 before the first
    told_leavers = Field(np.float32)  # how many had left within a minute when the incident was last told of
    is_critical = Field(np.bool_)
    is_corrected = Field(np.bool_)  # whether its type was corrected since it opened

    @property
    def records(self) -> NDArray[np.void]:
        """The states themselves, as compiled code sees them."""
        return self.array.view(COMPILED)

    def newest(self, signal: Series) -> Floats:
        """Return what happened in the newest slot."""
        return self.history[..., signal, NEWEST].astype(np.float64)

    def usual_of(self, what: Usual) -> Floats:
        return self.usual[..., what].astype(np.float64)


def _fields(records: type[Records]) -> Mapping[str, Any]:
    return records.dtype.fields or {}


# Compiled code knows no numbers of two bytes, see `halves`, and no arrays of booleans.
_AS_COMPILED = {np.dtype(np.float16): np.dtype(np.uint16), np.dtype(np.bool_): np.dtype(np.uint8)}
COMPILED = np.dtype(
    (
        np.record,
        [
            (name, _AS_COMPILED.get(field.base, field.base), field.shape)
            for name, (field, *_) in _fields(States).items()
        ],
    )
)

LEVEL = -1  # of zstd: literals as they are, in half the time of level 1, and a state is 4 % longer

# Where each byte of a packed state stands in a record: of each field all first bytes come first, then all second ones,
# as those of one rank are alike, and pack well.
PLANES = np.concatenate(
    [
        np.arange(offset, offset + field.itemsize).reshape(-1, field.base.itemsize).T.ravel()
        for field, offset, *_ in _fields(States).values()
    ]
)

# A state that was written with other fields, or by another revision, has another number (15 bits).
VERSION = zlib.crc32(repr((REVISION, States.dtype.descr)).encode()) & 0x7FFF


def new_states(n: int = 1, noise: Noise = DEFAULT.noise) -> States:
    """Return the states of n sessions that nothing is known of."""
    states = States.zeros(n)
    states.history[:, [Series.ACTIVITY, Series.SCORE]] = np.nan
    states.blocks = states.usual = states.reference = states.settled = states.previous = states.doubted = np.nan
    states.noise = noise.at_first
    states.score_noise = noise.score_at_first**2
    states.since_poll = SLOTS_PER_MINUTE + 1
    states.closed_at = states.unsettled_until = -np.inf
    return states


def pack(state: States) -> bytes:
    """Return one state as bytes, the same for equal states: about 1 KB."""
    return pack_all(States(state.array.reshape(1)))[0]


def pack_all(states: States) -> list[bytes]:
    """Return each state as bytes."""
    records = np.ascontiguousarray(states.array).view(np.uint8).reshape(len(states), -1)
    compress = ZstdCompressor(LEVEL, write_checksum=False).compress
    return [compress(planes.data) for planes in records.take(PLANES, axis=1)]


def unpack(packed: bytes) -> States:
    """Return the state that `pack` made bytes of. Raises ValueError where these are no such bytes."""
    return unpack_all([packed])[0]


def unpack_all(packed: Sequence[bytes]) -> States:
    """Return the states that `pack` made bytes of. Raises ValueError where one has no such bytes."""
    size = States.dtype.itemsize
    decompress = ZstdDecompressor().decompress
    try:
        planes = [decompress(each, size) for each in packed]
    except ZstdError as error:
        raise ValueError("not a packed detector state") from error
    if any(len(plane) != size for plane in planes):
        raise ValueError("not a packed detector state")
    records = np.empty((len(packed), size), np.uint8)
    records[:, PLANES] = np.frombuffer(b"".join(planes), np.uint8).reshape(len(packed), size)
    return States(records.view(States.dtype)[:, 0])
