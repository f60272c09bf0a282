"""Lists, reads and writes files on any Hadoop file system, through Spark's own JVM."""

from __future__ import annotations

import io
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from py4j.protocol import Py4JJavaError
from pyspark import SparkContext
from pyspark.sql import SparkSession

from pipeline.lake.jvm import items, java_class
from schemas.errors import UsageError


@dataclass(frozen=True)
class FileStatus:
    """One file, as its file system lists it.

    Attributes:
        path: full URI.
        size: bytes.
        version: the etag, if the file system has one; otherwise the modification time in milliseconds.
        modified_ms: modification time in milliseconds, by the clock of the file system.
        is_folder: whether it is a folder, not a file.
    """

    path: str
    size: int
    version: str
    modified_ms: int
    is_folder: bool = False

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Usage:
    """The size of a folder.

    Attributes:
        files: number of files.
        bytes: total size of the files.
    """

    files: int = 0
    bytes: int = 0

    def __sub__(self, other: Usage) -> Usage:
        """Subtracts the files and bytes of another folder."""
        return Usage(self.files - other.files, self.bytes - other.bytes)


# A write to S3 replaces an existing object, unless the write sets this condition.
_S3_SCHEMES = ("s3", "s3a", "s3n")
_CONDITION = "fs.option.create.conditional.overwrite"
# Errors of a store when the file exists, or when another client is writing it.
_ALREADY_EXISTS = re.compile(
    r"Status Code: (412|409)\b|PreconditionFailed|FileAlreadyExistsException|already exists"
)

_AWS_NOISE = re.compile(r"software\.amazon\.awssdk[\w.]+: | \(Service: [^()]*\)| \(SDK Attempt Count: \d+\)")


class FileStore:
    """Lists, reads and writes files below a root on any file system."""

    def __init__(self, spark: SparkSession | None, root: str) -> None:
        """Opens the file system of a root.

        Args:
            spark: session; None to use the settings of spark-submit, without a session.
            root: path or URI; a relative path starts at the working folder.

        Raises:
            UsageError: the file system does not exist or cannot be reached.
        """
        jvm, self._settings = _java_of(spark)
        self._jvm = jvm
        self._path = java_class(jvm, "org.apache.hadoop.fs.Path")
        try:
            path = self._path(root)
            self._system = path.getFileSystem(self._settings)
        except Py4JJavaError as error:
            raise UsageError(f"{root}: {first_line(error)}") from None
        self._root = path.makeQualified(self._system.getUri(), self._system.getWorkingDirectory())
        self._etags: bool | None = None
        self._scheme = str(self._root.toUri().getScheme())

    @property
    def root(self) -> str:
        """Full URI of the root."""
        return str(self._root.toString())

    def address(self, name: str) -> str:
        """Full URI of a path below the root, as a browser takes it."""
        path = self._below(name)
        return _local(path).as_uri() if self.is_on_this_host else str(path.toString())

    @property
    def is_on_s3(self) -> bool:
        """Whether the root is in a bucket of S3 or of an S3-compatible store."""
        return self._scheme in _S3_SCHEMES

    def exists(self, name: str = "") -> bool:
        """Whether the root, or a path below it, exists.

        Raises:
            OSError: the file system refuses.
        """
        try:
            return bool(self._system.exists(self._below(name)))
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None

    def is_folder(self) -> bool:
        """Whether the root exists and is a folder.

        Raises:
            OSError: the file system refuses.
        """
        try:
            return bool(self._system.isDirectory(self._root))
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None

    def status(self, name: str) -> FileStatus | None:
        """Returns the status of a file below the root; None if it does not exist.

        Raises:
            OSError: the file system refuses.
        """
        try:
            return self._status(self._system.getFileStatus(self._below(name)))
        except Py4JJavaError as error:
            if "FileNotFoundException" in str(error.java_exception.getClass().getName()):
                return None
            raise OSError(first_line(error)) from None

    def make_folder(self, name: str = "") -> None:
        """Creates a folder below the root, with all parent folders.

        Raises:
            OSError: the file system refuses.
        """
        try:
            is_made = self._system.mkdirs(self._below(name))
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None
        if not is_made:
            raise OSError(f"cannot make the folder {self._below(name).toString()}")

    def check_writable(self) -> None:
        """Writes and deletes an empty file in the root, as a test.

        Raises:
            OSError: the file system refuses.
        """
        probe = self._below(f"_writable_{self._jvm.java.util.UUID.randomUUID().toString()}")
        try:
            self._system.create(probe, True).close()
            self._system.delete(probe, False)
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None

    def folders(self) -> list[str]:
        """Returns the names of the folders directly below the root."""
        if self.is_on_this_host:
            return [entry.name for entry in _entries_here(self.root) if entry.is_folder]
        return [s.getPath().getName() for s in self._system.listStatus(self._root) if s.isDirectory()]

    def entries(self, folder: str = "") -> list[FileStatus]:
        """Returns the files and folders directly in a folder below the root."""
        if self.is_on_this_host:
            return list(_entries_here(self._below(folder).toString()))
        return [self._status(status) for status in self._system.listStatus(self._below(folder))]

    def below_root(self, path: str) -> str:
        """Returns a listed path relative to the root, for example drop_date=2026-11-27/sales.csv."""
        return "/".join(path.split("/")[len(self.root.rstrip("/").split("/")) :])

    @property
    def is_on_this_host(self) -> bool:
        """Whether the root is on the local file system of this host."""
        return self._scheme == "file"

    def files(self, folder: str = "") -> Iterator[FileStatus]:
        """Yields the files below a folder at any depth; an object store needs only a few requests."""
        if self.is_on_this_host:
            yield from _files_here(self._below(folder).toString())
            return
        yield from map(self._status, items(self._system.listFiles(self._below(folder), True)))

    def open(self, path: str) -> IO[bytes]:
        """Opens a file for reading; it can be sought in.

        Args:
            path: full URI.

        Raises:
            OSError: the file cannot be read.
        """
        if self.is_on_this_host:
            return Path(path.removeprefix("file:")).open("rb")
        try:
            return io.BufferedReader(_HadoopFile(self._system, self._path(path)), 1 << 16)
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None

    def read(self, path: str, limit: int) -> bytes:
        """Reads the first bytes of a file.

        Args:
            path: full URI.
            limit: maximum number of bytes to return.

        Raises:
            OSError: the file cannot be read.
        """
        if self.is_on_this_host:
            with suppress(OSError), Path(path.removeprefix("file:")).open("rb") as file:
                return file.read(limit)  # through the JVM, each file of the ledger takes 10 ms (measured)
        try:
            stream = self._system.open(self._path(path))
            try:
                return bytes(stream.readNBytes(limit))
            finally:
                stream.close()
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None

    def write(self, name: str, content: bytes) -> FileStatus:
        """Writes a small file below the root in one piece.

        Raises:
            OSError: the file system refuses.
        """
        path = self._below(name)
        if self.is_on_this_host:
            return self._write_local(path, content)
        try:
            stream = self._system.create(path, True)
            try:
                stream.write(content)
            finally:
                stream.close()
            return self._status(self._system.getFileStatus(path))
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None

    def _write_local(self, path: Any, content: bytes) -> FileStatus:
        """Writes as Hadoop does, without the process that Hadoop starts to set each file's permissions."""
        local = _local(path)
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(content)
        modified_ms = local.stat().st_mtime_ns // 1_000_000
        return FileStatus(str(path.toString()), len(content), str(modified_ms), modified_ms)

    def write_private(self, name: str, content: bytes) -> str:
        """Writes a file below the root, whole or not at all, that only its owner and group can read.

        Returns:
            Its full URI.

        Raises:
            OSError: the file system refuses.
        """
        path = self._below(name)
        if self.is_on_this_host:
            _write_private(_local(path), content)
            return self.address(name)
        part = name if self.is_on_s3 else _part_of(name)  # a write to S3 appears as a whole
        self.write(part, content)
        try:  # a store without permissions of its own ignores it
            permission = java_class(self._jvm, "org.apache.hadoop.fs.permission.FsPermission")("640")
            self._system.setPermission(self._below(part), permission)
            if part != name:
                self._system.delete(self._below(name), False)
                if not self._system.rename(self._below(part), self._below(name)):
                    raise OSError(f"{self.address(part)} cannot be renamed")
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None
        return self.address(name)

    def replace(self, name: str, content: bytes) -> None:
        """Writes a small file below the root; a reader never finds half of it.

        It finds the old or the new content, or on some stores, for a moment, no file. Only one
        process at a time may replace a file.

        Raises:
            OSError: the file system refuses.
        """
        part = f"{name}.part"
        if self.is_on_s3:  # a write to S3 appears as a whole
            self.write(name, content)
            return
        self.write(part, content)
        if self.is_on_this_host:
            _local(self._below(part)).replace(_local(self._below(name)))
            return
        try:
            renaming = getattr(self._jvm.org.apache.hadoop.fs, "Options$Rename")
            context = self._jvm.org.apache.hadoop.fs.FileContext.getFileContext(
                self._root.toUri(), self._settings
            )
            options = _array_of(renaming, renaming.OVERWRITE)
            context.rename(self._below(part), self._below(name), options)
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None

    def create(self, name: str, content: bytes) -> bool:
        """Creates a small file below the root, if it does not exist yet.

        Of several callers at the same time, only one creates the file.

        Returns:
            Whether this call created the file. If the store's response was lost, whether the file now holds
            the content.

        Raises:
            OSError: the file system refuses, or does not support conditional writes.
        """
        path = self._below(name)
        if self.is_on_this_host:
            return _create_local(_local(path), content)
        try:
            if self.is_on_s3:
                builder = self._system.createFile(path).overwrite(False).must(_CONDITION, "true")
                stream = builder.build()
            else:
                stream = self._system.create(path, False)
            stream.write(content)
            stream.close()
        except Py4JJavaError as error:
            if _ALREADY_EXISTS.search(str(error.java_exception)):
                return False
            if self._holds(path, content):
                return True
            raise OSError(first_line(error)) from None
        return True

    def _holds(self, path: Any, content: bytes) -> bool:
        try:
            return self.read(path.toString(), len(content) + 1) == content
        except OSError:
            return False

    def copy_folder(self, source: str, target: str) -> None:
        """Copies a folder below the root to another path below the root.

        Raises:
            OSError: the file system refuses.
        """
        configuration = self._system.getConf()
        copy = self._jvm.org.apache.hadoop.fs.FileUtil.copy
        system, start, end = self._system, self._below(source), self._below(target)
        try:
            copy(system, start, system, end, False, configuration)
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None

    def usage(self, folder: str) -> Usage:
        """Returns the size of all files below a folder at any depth; zero if the folder does not exist."""
        path = self._below(folder)
        if not self._system.exists(path):
            return Usage()
        summary = self._system.getContentSummary(path)
        return Usage(summary.getFileCount(), summary.getLength())

    def delete(self, name: str) -> None:
        """Deletes a file below the root; a missing file is no error.

        Raises:
            OSError: the file system refuses.
        """
        try:
            self._system.delete(self._below(name), False)
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None

    def _below(self, name: str) -> Any:
        return self._path(self._root, name) if name else self._root

    def _status(self, status: Any) -> FileStatus:
        return FileStatus(
            status.getPath().toString(),
            status.getLen(),
            self._version(status),
            status.getModificationTime(),
            status.isDirectory(),
        )

    def _version(self, status: Any) -> str:
        if self._etags is None:
            etag_source = self._jvm.java.lang.Class.forName("org.apache.hadoop.fs.EtagSource")
            self._etags = bool(etag_source.isInstance(status))
        etag = status.getEtag() if self._etags else None  # a gateway has none for files it found on its disk
        return str(etag or status.getModificationTime())


class _HadoopFile(io.RawIOBase):
    """A file of any Hadoop file system as a stream of Python."""

    def __init__(self, system: Any, path: Any) -> None:
        self._size = int(system.getFileStatus(path).getLen())
        self._stream = system.open(path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._stream.getPos())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        position = min(max(0, start + offset), self._size)
        self._stream.seek(position)
        return position

    def readinto(self, buffer: Any) -> int:
        try:
            chunk = bytes(self._stream.readNBytes(len(buffer)))
        except Py4JJavaError as error:
            raise OSError(first_line(error)) from None
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _java_of(spark: SparkSession | None) -> tuple[Any, Any]:
    """The JVM, and Hadoop's settings in it: those of the session, or those that spark-submit has set."""
    if spark is not None:
        context: Any = spark.sparkContext._jsc.sc()
        return spark._jvm, context.hadoopConfiguration()
    SparkContext._ensure_initialized()
    jvm: Any = SparkContext._jvm
    spark_conf = jvm.org.apache.spark.SparkConf()  # with the settings of spark-submit
    return jvm, jvm.org.apache.spark.deploy.SparkHadoopUtil.get().newConfiguration(spark_conf)


def _array_of(kind: Any, value: Any) -> Any:
    gateway: Any = SparkContext._gateway
    array = gateway.new_array(kind, 1)
    array[0] = value
    return array


def _part_of(name: str) -> str:
    """Name of a file while it is written, hidden in the folder of the whole file."""
    folder, slash, own = name.rpartition("/")
    return f"{folder}{slash}.{own}.{uuid.uuid4().hex}"


def _local(path: Any) -> Path:
    return Path(str(path.toUri().getPath()))


def _entries_here(folder: str) -> Iterator[FileStatus]:
    """Lists a folder of this host, given as a URI, as Hadoop does: without links that lead to nothing.

    Through the JVM each value of an entry is a call of its own. Hadoop's own listing at any depth runs ``ls``
    for each file, 9 ms (measured).
    """
    with os.scandir(folder.removeprefix("file:")) as entries:
        for entry in entries:
            try:
                found = entry.stat()
            except OSError as error:
                if entry.is_symlink() or isinstance(error, FileNotFoundError):
                    continue
                raise
            modified_ms = found.st_mtime_ns // 1_000_000
            path = f"{folder.rstrip('/')}/{entry.name}"
            is_folder = stat.S_ISDIR(found.st_mode)
            yield FileStatus(path, found.st_size, str(modified_ms), modified_ms, is_folder)


def _files_here(folder: str) -> Iterator[FileStatus]:
    for entry in _entries_here(folder):
        if entry.is_folder:
            yield from _files_here(entry.path)
        else:
            yield entry


def _write_private(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        part.chmod(0o640)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _create_local(path: Path, content: bytes) -> bool:
    """Creates a local file atomically with a hard link, as :meth:`FileStore.create` promises.

    Hadoop's local file system cannot do this: it checks for the file first and creates it afterwards.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    complete_copy = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        complete_copy.write_bytes(content)
        try:
            os.link(complete_copy, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            try:
                with path.open("xb") as file:
                    file.write(content)
            except FileExistsError:
                return False
        return True
    finally:
        complete_copy.unlink(missing_ok=True)


def first_line(error: Py4JJavaError) -> str:
    """Returns the first line of a Java exception's message, without trace or S3 request ids."""
    java: Any = error.java_exception
    text = str(java.getMessage() or java.getClass().getSimpleName())
    text = _AWS_NOISE.sub("", text)
    return text.strip().splitlines()[0] if text.strip() else str(java.getClass().getSimpleName())
