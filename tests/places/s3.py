"""A server that speaks S3 on this machine: versitygw, which proves signatures and the conditions of a write.

What is in a bucket lies as files in a folder, so that tests read tables there without S3.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from pyarrow import fs

from tests.places.submission import ROOT, free_port

# Its version and the checksums of all that it is built from are in go.mod and go.sum there.
_SOURCE = Path(__file__).resolve().parent / "s3server"
_PROGRAM = ROOT / "var" / "places" / "versitygw"
_PACKAGE = "github.com/versity/versitygw/cmd/versitygw"
BUCKET = "shop"


@dataclass
class S3Server:
    """A running server, with keys of its own."""

    folder: Path
    key: str = field(default_factory=lambda: f"K{secrets.token_hex(8)}")
    secret: str = field(default_factory=lambda: secrets.token_hex(20))
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def bucket(self) -> Path:
        """Where the objects of the bucket are."""
        return self.folder / "buckets" / BUCKET

    @property
    def settings(self) -> dict[str, str]:
        """Spark's settings with which it is reached; no key is among them."""
        return {
            "spark.hadoop.fs.s3a.endpoint": f"http://127.0.0.1:{self.port}",
            "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
            "spark.hadoop.fs.s3a.path.style.access": "true",
        }

    @property
    def keys(self) -> dict[str, str]:
        """Variables that hold its keys."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def start(self) -> None:
        """Starts it, with an empty bucket."""
        _build()
        self.bucket.mkdir(parents=True)
        log = (self.folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            [str(_PROGRAM), "--port", f"127.0.0.1:{self.port}", "posix", str(self.bucket.parent)],
            env={**os.environ, "ROOT_ACCESS_KEY_ID": self.key, "ROOT_SECRET_ACCESS_KEY": self.secret},
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """Stops it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)

    def upload(self, folder: Path, name: str) -> None:
        """Puts the files of a folder into the bucket."""
        store = fs.S3FileSystem(
            access_key=self.key,
            secret_key=self.secret,
            endpoint_override=f"127.0.0.1:{self.port}",
            scheme="http",
            region="us-east-1",
        )
        fs.copy_files(str(folder), f"{BUCKET}/{name}", destination_filesystem=store)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5)
        except urllib.error.HTTPError:
            return True  # it wants a signature
        except OSError:
            return False
        return True


def _build() -> None:
    """Builds the server, once: some minutes the first time."""
    pins = _SOURCE / "go.sum"
    if _PROGRAM.exists() and _PROGRAM.stat().st_mtime > pins.stat().st_mtime:
        return
    subprocess.run(
        ["go", "build", "-trimpath", "-o", str(_PROGRAM), _PACKAGE],
        cwd=_SOURCE,
        env={**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false"},
        check=True,
        timeout=1500,
    )
