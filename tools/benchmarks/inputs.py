"""The input of all contenders: generated drops with every kind of bad line, and the truth about them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.benchmarks.contenders import ROOT
from tools.benchmarks.contenders.shared import CURRENCY_SCALES

# Add a hot customer and a hot letter to the rejects, copies and late lines that the generator makes anyway.
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
        """File of the expected results. The generator writes it last: if it exists, the input is complete."""
        return self.folder / "truth.json"

    def make(self, log: Path) -> None:
        """Generates the drops if they do not exist.

        Args:
            log: file for the generator's output.

        Raises:
            CalledProcessError: the generator failed; see the log.
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
        """Reads every file once, so that the first contender has the same page cache as the others."""
        for path in sorted(self.landing.glob("*/*.csv")):
            with path.open("rb") as file:
                while file.read(1 << 20):
                    pass
