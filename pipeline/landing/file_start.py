"""Reads the start of a landed file on the driver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from pipeline.lake.files import FileStore
from pipeline.landing.formats.base import FileStart
from pipeline.landing.records import BLANK, BYTE_ORDER_MARK
from pipeline.landing.unpack import UNREADABLE, kind_of, open_parts, printable
from schemas.drops import LandedFile
from schemas.errors import AuditError, NotReadyError

_LIMITS = (1 << 12, 1 << 20)


class LandedStart(FileStart):
    """A landed file, before it is read."""

    def __init__(self, where: str, file: LandedFile, files: FileStore) -> None:
        """Takes the file, its place for messages, and the file system."""
        self.where = where
        self.name = file.name
        self._file = file
        self._files = files

    def raw(self) -> IO[bytes]:
        """Opens the file as it is stored; it can be sought in."""
        return self._files.open(self._file.path)

    def parts(self) -> Iterator[IO[bytes]]:
        """Opens the file: plain bytes of it, or of each of its members."""
        with self.raw() as raw:
            yield from open_parts(raw, self.name)

    def first_line(self, encoding: str) -> str | None:
        """First line that is not blank, from as few bytes as it takes.

        Raises:
            AuditError: the file cannot be read, or is no text.
            NotReadyError: its first megabyte holds no line.
        """
        line, limit = None, 0
        for limit in _LIMITS:
            start = self._read(limit)
            self._check_text(start)
            # Control characters alone are no line of JSON either: a full disk leaves files of them.
            line, is_whole = _first_line(start.decode(encoding, errors="replace"))
            if is_whole or len(start) < limit:
                return line
        if line is None:
            raise NotReadyError(f"file {self.name} has no line in its first {limit:,} bytes")
        return line

    def _read(self, limit: int) -> bytes:
        try:
            parts = self.parts()  # keeps the file open
            part = next(parts)
            chunks, size = [], 0
            while size < limit and (chunk := part.read(limit - size)):
                chunks.append(chunk)
                size += len(chunk)
            return b"".join(chunks)
        except UNREADABLE as error:
            self._check_text(self._stored_start(), stored=True)
            raise AuditError(f"{self.where}: cannot be read: {printable(str(error))}") from None

    def _stored_start(self) -> bytes:
        try:
            with self.raw() as raw:
                return raw.read(64)
        except OSError:
            return b""

    def _check_text(self, start: bytes, *, stored: bool = False) -> None:
        """Says what bytes are that are no text, by their magic number."""
        kind = kind_of(start)
        if kind is None or (stored and kind == "gzip"):
            return
        what = "its bytes are" if not stored else "its stored bytes are"
        raise AuditError(f"{self.where}: {what} {kind}, which its name does not say ({start[:4].hex(' ')})")


def _first_line(text: str) -> tuple[str | None, bool]:
    """First line that holds more than blanks, as Spark's reader finds it, and whether its end is there."""
    lines = re.split(r"\r\n|\r|\n", text.removeprefix(BYTE_ORDER_MARK))
    for position, line in enumerate(lines):
        if line.strip(BLANK):
            return line, position + 1 < len(lines)
    return None, False
