"""Files on any Hadoop file system. This is the only module here that needs the JVM."""

from __future__ import annotations

import re
from typing import Any

from py4j.java_gateway import is_instance_of
from pyspark.sql import SparkSession

_WRITTEN = re.compile(r"drop_day=(-?\d+)/file=(\d+)/(part-[^/]+)$")


class Storage:
    """The file system of a landing.

    Args:
        spark: session.
        root: path or URI on the file system to use.
    """

    def __init__(self, spark: SparkSession, root: str) -> None:
        context: Any = spark.sparkContext
        self._jvm: Any = context._jvm
        self._fs: Any = self._path(root).getFileSystem(context._jsc.hadoopConfiguration())
        # Bypass the layer that writes checksum files: a hidden .crc beside a landed file would make the file
        # unreadable after an edit by hand.
        with_checksums = self._jvm.org.apache.hadoop.fs.ChecksumFileSystem
        if is_instance_of(context._gateway, self._fs, with_checksums):
            self._fs = self._fs.getRawFileSystem()

    def _path(self, path: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(path)

    def parent(self, path: str) -> str:
        """The folder that holds ``path``."""
        return str(self._fs.makeQualified(self._path(path)).getParent().toString())

    def folders(self, path: str, prefix: str) -> list[str]:
        """Names of the folders in ``path`` that start with ``prefix``, sorted."""
        if not self._fs.exists(self._path(path)):
            return []
        statuses = self._fs.listStatus(self._path(path))
        names = (str(status.getPath().getName()) for status in statuses if status.isDirectory())
        return sorted(name for name in names if name.startswith(prefix))

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with its contents. Does nothing if it does not exist."""
        self._fs.delete(self._path(path), True)

    def make_folder(self, path: str) -> None:
        """Make a folder and its parents. Does nothing if it exists."""
        self._fs.mkdirs(self._path(path))

    def written_files(self, folder: str) -> dict[tuple[int, int], str]:
        """Paths of the files that a partitioned write left in ``folder``, by drop day and file.

        Raises:
            RuntimeError: a file was written in more than one part.
        """
        paths: dict[tuple[int, int], str] = {}
        for status in self._fs.globStatus(self._path(f"{folder}/drop_day=*/file=*/part-*")) or ():
            path = str(status.getPath().toString())
            match = _WRITTEN.search(path)
            if match is None:
                continue
            key = (int(match[1]), int(match[2]))
            if key in paths:
                raise RuntimeError(
                    f"drop day {key[0]}, file {key[1]} was written in two parts: {paths[key]}, {path}"
                )
            paths[key] = path
        return paths

    def rename(self, source: str, target: str) -> None:
        """Move a file.

        Raises:
            OSError: the file system refused.
        """
        if not self._fs.rename(self._path(source), self._path(target)):
            raise OSError(f"could not move {source} to {target}")

    def write_text(self, path: str, text: str) -> None:
        """Write a small file; replaces an existing one."""
        stream = self._fs.create(self._path(path), True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()
