"""The bytes of a recording: unpacked, counted, and given in pieces of bounded size. Pure."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from typing import BinaryIO, cast

from engagement.recordings.recording import BadRecording

MAX_BYTES = 64 * 1024 * 1024
MAX_UNPACKED_BYTES = 4 * MAX_BYTES
MAX_LINE = 1024 * 1024
HEAD = 64 * 1024
LINE_HEAD = 500  # characters; a line has said by then what it is, as a line of chat has told who and when
GZIP = b"\x1f\x8b"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
UTF8_MARK = b"\xef\xbb\xbf"
CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")
SAMPLE = 16 * 1024  # bytes that tell an old encoding
# In what spreadsheets save a CSV where nobody chose UTF-8.
OLD_ENCODINGS = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874",
    "cp932", "cp949", "gb18030", "big5", "mac_roman",
]  # fmt: skip


class Source:
    """One file, which is read once and front to back; whatever is wrong with its bytes is a `BadRecording`.

    `where` is the line that is being read, and `place` what else says where that is, for messages.
    """

    def __init__(self, file: BinaryIO, name: str):
        self.name = name
        self.where = 0
        self.place = ""
        self._digest = sha256()
        if _size(file) > MAX_BYTES:
            raise BadRecording(f"{name} is larger than {MAX_BYTES // 2**20} MB")
        is_gzip = file.read(2) == GZIP  # whatever the file is called
        file.seek(0)
        unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_gzip else file
        self._bytes = io.BufferedReader(_Counted(unpacked, self), HEAD)
        with self.blame():
            self.head = self._bytes.peek(HEAD)

    @property
    def digest(self) -> bytes:
        """What is the same only for the same bytes, once they are read."""
        return self._digest.digest()

    @cached_property
    def encoding(self) -> str:
        """In what the file is written, by its first bytes: UTF-8 unless they say otherwise."""
        return find_encoding(self.head)

    def lines(self, errors: str = "strict") -> Iterator[str]:
        """Yield the lines as text, without their ends. Where `errors` is "replace" no line is wrong."""
        text = self.text(errors)
        while True:
            with self.blame():
                line = text.readline(MAX_LINE + 1)
            if not line:
                return
            self.where += 1
            if len(line) > MAX_LINE:
                raise self.wrong("is longer than a megabyte")
            yield line.rstrip("\n")

    def text(self, errors: str = "strict") -> io.TextIOWrapper:
        """Return the file as text, what programs write for programs in Unicode; who reads it may have to be blamed."""
        is_unicode = errors != "strict" or self.encoding.startswith("utf")
        return io.TextIOWrapper(self._bytes, self.encoding if is_unicode else "utf-8-sig", errors)

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes."""
        while True:
            with self.blame():
                piece = self._bytes.read(HEAD)
            if not piece:
                return
            yield piece

    @cached_property
    def whole(self) -> bytes:
        """All bytes, for what cannot be read front to back."""
        return b"".join(self.pieces())

    def wrong(self, reason: str) -> BadRecording:
        """Return what to raise for something in the line that is being read."""
        return BadRecording(f"{self.name}{self.place or f', line {self.where}'}: {reason}")

    @contextmanager
    def blame(self) -> Iterator[None]:
        """Turn what reading the bytes may raise into words."""
        try:
            yield
        except (gzip.BadGzipFile, zlib.error):
            raise BadRecording(f"{self.name}: is packed with gzip and damaged") from None
        except EOFError:
            raise BadRecording(f"{self.name}: is packed with gzip and breaks off") from None
        except UnicodeError:
            raise BadRecording(f"{self.name}, after line {self.where}: is no text in UTF-8") from None


class _Counted(io.RawIOBase):
    """Counts and digests what is read, and stops where a small file unpacks to a huge one."""

    def __init__(self, file: BinaryIO, source: Source):
        self._file, self._source, self._count = file, source, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._file.read(len(buffer))
        self._count += len(piece)
        if self._count > MAX_UNPACKED_BYTES:
            raise BadRecording(f"{self._source.name} unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB")
        self._source._digest.update(piece)
        buffer[: len(piece)] = piece
        return len(piece)


def find_encoding(head: bytes) -> str:
    """Return in what a file is written that begins so; UTF-8 where it is no text at all.

    >>> [find_encoding("Réunion".encode(name)) for name in ("utf-8", "utf-16", "utf-16-le", "cp1252")]
    ['utf-8-sig', 'utf-16', 'utf-16-le', 'cp1252']
    """
    if head.startswith(UTF16_MARKS):
        return "utf-16"
    if head[1:400:2].count(0) > 0.4 * len(head[:400]):
        return "utf-16-le"
    if head.startswith(UTF8_MARK) or _is_utf8(head) or not CONTROLS.isdisjoint(head):
        return "utf-8-sig"
    from charset_normalizer import from_bytes  # here, as few files are in no Unicode

    best = from_bytes(head[:SAMPLE], cp_isolation=OLD_ENCODINGS).best()
    return "cp1252" if best is None or "cp1252" in best.could_be_from_charset else best.encoding


def _is_utf8(head: bytes) -> bool:
    """Tell whether bytes are UTF-8, the last letter of which may be cut off."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) >= HEAD
    return True


def _size(file: BinaryIO) -> int:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size
