"""The input that every contender reads: generated drops with every kind of dirt, and the truth about them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks.contenders import ROOT
from tools.benchmarks.contenders.shared import CURRENCY_SCALES

# A hot customer and a hot letter on top of what the generator does anyway: rejects, copies, late lines.
_SHAPE = ("--formats", "[csv]", "--hot-customer-share", "0.1", "--letter-skew", "0.2")


@dataclass(frozen=True)
class Input:
    """A generated landing.

    Attributes:
        lines: base lines; copies come on top.
        folder: holds the landing and its truth.
    """

    lines: int
    folder: Path

    @property
    def landing(self) -> Path:
        """Folder of the drops."""
        return self.folder / "landing"

    @property
    def truth(self) -> Path:
        """What is to come of them; written last, so where it is the input is whole."""
        return self.folder / "truth.json"

    def make(self, log: Path) -> None:
        """Generates the drops where they are not there.

        Raises:
            CalledProcessError: the generator failed; the log tells why.
        """
        if self.truth.exists():
            return
        command = [
            str(ROOT / "scripts" / "submit.sh"), "generate_sales", "--overwrite",
            "--landing", str(self.landing), "--rows", str(self.lines), *_SHAPE,
            "--set", f"currencies=[{', '.join(CURRENCY_SCALES)}]",
        ]  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=True)

    def warm(self) -> None:
        """Reads every file once, so that the first contender finds the page cache as the others do."""
        for path in sorted(self.landing.glob("*/*.csv")):
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass
