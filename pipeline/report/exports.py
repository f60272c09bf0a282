"""Writes issued documents for another system: as CSV, or as one UBL 2.1 file each."""

from __future__ import annotations

from urllib.parse import quote

from pyspark.sql import DataFrame

from pipeline.lake.files import FileStore
from pipeline.report.ubl import to_ubl
from pipeline.steps.context import Batch
from pipeline.steps.documents import documents_issued, lines_of, read_documents
from schemas.errors import UsageError

# Without these, Spark escapes a quote by a backslash and trims texts; a reader of CSV knows neither.
_RFC_4180 = {
    "header": "true",
    "escape": '"',
    "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false",
}


def export_csv(batch: Batch, folder: str) -> int:
    """Writes ``documents`` and ``document_lines``, each a folder with one CSV file with a header.

    Args:
        batch: the run; its requested dates are dates of issue.
        folder: path or URI; an earlier export in it is replaced.

    Returns:
        The number of documents.

    Raises:
        UsageError: the folder cannot be written to.
    """
    _open(batch, folder)
    documents = documents_issued(batch, batch.requested)
    _write(documents.orderBy("series", "running_number"), f"{folder}/documents")
    order = ("document_number", "sale_date", "store_id", "transaction_id", "line_number", "sign")
    _write(lines_of(batch, documents).orderBy(*order), f"{folder}/document_lines")
    return documents.count()


def export_ubl(batch: Batch, folder: str) -> int:
    """Writes each document as ``NUMBER.xml``; a slash in a number becomes ``%2F``.

    Args:
        batch: the run; its requested dates are dates of issue.
        folder: path or URI; files of the same name are replaced.

    Returns:
        The number of documents.

    Raises:
        UsageError: the folder cannot be written to.
    """
    files, count = _open(batch, folder), 0
    for document in read_documents(batch, batch.requested):
        name = quote(document.document_number, safe="")  # no two numbers have one file name
        files.write(f"{name}.xml", to_ubl(document, batch.settings.billing.seller))
        count += 1
    return count


def _open(batch: Batch, folder: str) -> FileStore:
    try:
        files = FileStore(batch.spark, folder)
        files.make_folder()
        files.check_writable()
    except OSError as error:
        raise UsageError(f"--out {folder}: {error}") from None
    return files


def _write(rows: DataFrame, folder: str) -> None:
    # One file: a receiver of CSV reads one. A span of years is for readers of Delta.
    rows.coalesce(1).write.mode("overwrite").options(**_RFC_4180).csv(folder)
