"""The bytes of a recording: unpacked, counted, and given in pieces of bounded size. Pure."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
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


class Source:
    """One file, which is read once and front to back; whatever is wrong with its bytes is a `BadRecording`.

    `where` is the line that is being read, for messages.
    """

    def __init__(self, file: BinaryIO, name: str):
        self.name = name
        self.where = 0
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

    def lines(self, errors: str = "strict") -> Iterator[str]:
        """Yield the lines as text, without their ends. Where `errors` is "replace" no line is wrong."""
        is_utf16 = self.head.startswith(UTF16_MARKS)
        text = io.TextIOWrapper(self._bytes, "utf-16" if is_utf16 else "utf-8-sig", errors)
        while True:
            with self.blame():
                line = text.readline(MAX_LINE + 1)
            if not line:
                return
            self.where += 1
            if len(line) > MAX_LINE:
                raise self.wrong("is longer than a megabyte")
            yield line.rstrip("\n")

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes."""
        while True:
            with self.blame():
                piece = self._bytes.read(HEAD)
            if not piece:
                return
            yield piece

    def wrong(self, reason: str) -> BadRecording:
        """Return what to raise for something in the line that is being read."""
        return BadRecording(f"{self.name}, line {self.where}: {reason}")

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


def _size(file: BinaryIO) -> int:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size
