"""Where the page of a run is, and how it gets there."""

from __future__ import annotations

from pyspark.sql import SparkSession

from pipeline.lake.files import FileStore
from pipeline.report.pages.facts import RunFacts


def page_name(run_id: str) -> str:
    """Name of a run's page within its folder."""
    return f"{run_id}.html"


def page_of(spark: SparkSession, folder: str, run_id: str) -> str:
    """Address of a run's page, for a link: a URI, also of a local file; whether or not it exists yet.

    Args:
        spark: session; it knows the file systems.
        folder: value of ``--report``, a path or URI.
        run_id: run.

    Raises:
        UsageError: Spark knows no file system for the folder.
    """
    return FileStore(spark, folder).address(page_name(run_id))


def store_page(spark: SparkSession, folder: str, facts: RunFacts, *, index: str | None = None) -> str:
    """Renders and writes the page of a run, readable for its owner and group only.

    Args:
        spark: session.
        folder: path or URI; it is made if it does not exist.
        facts: what the page shows.
        index: address of the overview, relative to the page; None if there is none.

    Returns:
        Address of the page.

    Raises:
        OSError: the file system refuses.
        UsageError: Spark knows no file system for the folder.
    """
    from pipeline.report.pages.render import render_run

    store = FileStore(spark, folder)
    return store.write_private(page_name(facts.run_id), render_run(facts, index=index).encode())
