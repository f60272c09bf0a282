"""Watches the run that is at work in a lake: the same board as in its own terminal. Writes nothing."""

from __future__ import annotations

from pipeline.cli.watch import WatchJob

JOB = WatchJob(
    "watch_run",
    "Shows how far the run is that is at work in a lake, from any machine, until it ends. The exit code is "
    "the run's; 5: no run is at work; 75: it was killed, or is silent. It takes no lock and needs no Spark "
    "session.",
)

if __name__ == "__main__":
    JOB.main()
