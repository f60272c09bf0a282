"""Converts chart specifications to SVG in a process of its own: a fault there must not end the run.

The converter is native code. It ends its whole process where a text holds a character that XML does not know.
Run as a program, this file is that process: it reads one specification a line, and answers with one line.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PACKAGE, _VEGA_LITE = "vl_convert", "6.1"
_SECONDS = 60.0


class ConversionError(Exception):
    """A chart could not be converted."""


class Converter:
    """The process that converts charts. It starts with the first chart, and anew after a fault."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def to_svg(self, specification: dict[str, Any]) -> str:
        """Converts a Vega-Lite specification.

        Raises:
            ImportError: the package is not installed.
            ConversionError: the chart cannot be converted, or takes longer than 60 s.
        """
        if find_spec(_PACKAGE) is None:
            raise ImportError(f"no package {_PACKAGE}", name=_PACKAGE)
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(specification).encode() + b"\n")
            process.stdin.flush()
            answered, _, _ = select.select([process.stdout], [], [], _SECONDS)
            line = process.stdout.readline() if answered else b""
        except OSError:
            line = b""
        if not line:
            self.close()
            raise ConversionError("the converter of charts ended or gave no answer")
        answer = json.loads(line)
        if "error" in answer:
            raise ConversionError(answer["error"])
        return str(answer["svg"])

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(OSError):
                process.communicate()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).resolve())],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process


@cache
def converter() -> Converter:
    """The one converter of this process; it ends with it."""
    one = Converter()
    atexit.register(one.close)
    return one


def _serve() -> None:
    import vl_convert

    for line in sys.stdin.buffer:
        try:
            answer = {"svg": vl_convert.vegalite_to_svg(json.loads(line), vl_version=_VEGA_LITE)}
        except ValueError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
