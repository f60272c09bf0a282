"""Opens delivered files as streams of plain bytes, however they are compressed. Plain Python, no Spark.

The driver reads the start of each file through it, and a task reads whole files that Spark cannot split.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa

# A delivery of text does not shrink to less than a hundredth; a bomb shrinks to a thousandth and less.
MAX_RATIO = 200
_RATIO_COUNTS_FROM = 16 << 20
MAX_MEMBERS = 10_000
MAX_UNPACKED = 64 << 30

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"PAR1", "Parquet"),
    (b"%PDF", "PDF"),
    (b"\xd0\xcf\x11\xe0", "an Excel or Word file of 1997 to 2003"),
    (b"SQLite format 3\x00", "SQLite"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)
# A zip module that lacks a way of compression, as Deflate64, raises NotImplementedError, a RuntimeError.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    pa.ArrowException,
)


def kind_of(start: bytes) -> str | None:
    """Says what the first bytes of a file are, by their magic number; None for what may be text."""
    return next((name for magic, name in _MAGIC if start.startswith(magic)), None)


def printable(text: str) -> str:
    """The text with control characters and other characters that no terminal shows as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def compression_of(name: str) -> str:
    """How a file is compressed, by the ending of its name in any letter case: gz, bz2, zst, zip or empty."""
    ending = name.lower().rpartition(".")[2]
    return ending if ending in ("gz", "bz2", "zst", "zip") else ""


def open_parts(raw: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """Opens a file: one stream, or for a zip one for each member, in the order of their names.

    Args:
        raw: the file as it is stored; it can be sought in.
        name: its name, whose ending says how it is compressed.

    Raises:
        UNREADABLE: it is not of that compression, is damaged, or unpacks to more than the limits allow.
    """
    compression = compression_of(name)
    if compression == "zip":
        yield from _members(raw)
    elif compression == "gz":
        if raw.read(2) not in (b"", b"\x1f\x8b"):
            raise OSError("its bytes are no gzip")
        raw.seek(0)
        yield _limited(gzip.GzipFile(fileobj=raw, mode="rb"))
    elif compression == "bz2":
        yield _limited(bz2.BZ2File(raw, "rb"))
    elif compression == "zst":
        yield _limited(pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"))
    else:
        yield raw


def _members(raw: IO[bytes]) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(raw) as archive:
        members = sorted(
            (m for m in archive.infolist() if not m.is_dir() and not _is_of_macos(m.filename)),
            key=lambda m: m.filename,
        )
        _check_members(members)
        for member in members:
            with archive.open(member) as stream:
                yield _limited(stream, member.compress_size)


def _is_of_macos(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if not members:
        raise ValueError("the zip holds no file")
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"the zip holds {len(members):,} files, more than {MAX_MEMBERS:,}")
    if sum(member.file_size for member in members) > MAX_UNPACKED:
        raise ValueError(f"the zip unpacks to more than {MAX_UNPACKED >> 30} GB")
    locked = next((member.filename for member in members if member.flag_bits & 1), None)
    if locked is not None:
        raise ValueError(f"{printable(locked)} in the zip needs a password")


def _limited(stream: Any, compressed: int | None = None) -> IO[bytes]:
    return io.BufferedReader(_Limited(stream, compressed), 1 << 16)


class _Limited(io.RawIOBase):
    """A stream that refuses to unpack a bomb: far more bytes than its compressed size explains."""

    def __init__(self, stream: Any, compressed: int | None = None) -> None:
        self._stream = stream
        self._compressed = compressed
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            chunk = self._stream.read(len(buffer))
        except gzip.BadGzipFile:
            raise OSError("other bytes follow its gzip stream") from None
        except UNREADABLE as error:
            raise OSError(str(error) or type(error).__name__) from None
        self._read += len(chunk)
        limit = MAX_UNPACKED
        if self._compressed is not None:
            limit = min(limit, max(_RATIO_COUNTS_FROM, MAX_RATIO * self._compressed))
        if self._read > limit:
            raise OSError(f"it unpacks to more than {limit:,} bytes: it is refused as a decompression bomb")
        buffer[: len(chunk)] = chunk
        return len(chunk)
