"""Write a synthetic landing and the truth about it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.landing import DROP_FOLDER_PREFIX, MANIFEST_NAME
from tools.synthetic.deliveries import day_number, deliveries, with_fate
from tools.synthetic.draws import at
from tools.synthetic.fields import with_fields
from tools.synthetic.plan import Format, SyntheticPlan
from tools.synthetic.storage import Storage
from tools.synthetic.texts import CSV_HEADER, csv_line, json_line
from tools.synthetic.truth import DropTruth, FileKey, Truth, day_of, find_truth, manifest_amount
from tools.synthetic.values import with_values

TRUTH_NAME = "truth.json"

# Readers of the landing ignore this folder. It is on the same file system, so that moving a file is a rename.
_WORKING_FOLDER = "_generating"

_ROWS_PER_TASK = 250_000
_HEADER_ID = -1

_METHOD_LIMIT = "spark.sql.codegen.hugeMethodLimit"
_METHOD_LIMIT_DEFAULT = "65535"


def generate(
    spark: SparkSession,
    plan: SyntheticPlan,
    landing: str,
    truth_path: str | None = None,
    *,
    overwrite: bool = False,
    partitions: int | None = None,
) -> Truth:
    """Write the drops of ``plan`` under ``landing`` and its truth beside them.

    Args:
        spark: session.
        plan: what to write.
        landing: folder of the drops.
        truth_path: path of the truth; ``truth.json`` beside the landing by default.
        overwrite: whether to delete the drops in the landing; otherwise they are an error.
        partitions: Spark partitions to draw the lines in; the files do not depend on it.

    Returns:
        The truth as written.

    Raises:
        FileExistsError: the landing holds drops and ``overwrite`` is not set.
    """
    storage = Storage(spark, landing)
    _make_room(storage, landing, overwrite)
    with _small_methods(spark):
        lines = deliveries(spark, plan, partitions)
        truth, rows = find_truth(lines, plan)
        _write_drops(storage, lines, plan, rows, landing)
    if plan.manifests:
        for drop_date, drop in truth.drops.items():
            storage.write_text(
                f"{landing}/{DROP_FOLDER_PREFIX}{drop_date}/{MANIFEST_NAME}", manifest_text(drop)
            )
    storage.write_text(truth_path or f"{storage.parent(landing)}/{TRUTH_NAME}", truth.to_json())
    return truth


def manifest_text(drop: DropTruth) -> str:
    """The manifest of a drop."""
    files = [
        {
            "name": name,
            "rows": file.rows,
            "gross_amount": {
                code: manifest_amount(code, amount) for code, amount in file.gross_amount.items()
            },
        }
        for name, file in drop.files.items()
    ]
    return json.dumps({"closed": False, "files": files}, indent=1) + "\n"


def _make_room(storage: Storage, landing: str, overwrite: bool) -> None:
    present = storage.folders(landing, DROP_FOLDER_PREFIX)
    if present and not overwrite:
        raise FileExistsError(
            f"{landing} holds {len(present)} drops already, {present[0]} the first; "
            "generate into an empty folder, or set overwrite"
        )
    for name in present:
        storage.delete(f"{landing}/{name}")
    storage.make_folder(landing)


@contextmanager
def _small_methods(spark: SparkSession) -> Iterator[None]:
    """Keeps generated methods small enough for the JVM to compile.

    Many columns of many draws make one method of a stage larger than 8,000 bytes of bytecode. The JVM only
    interprets such a method: it is five times slower than running the stage in smaller methods.
    """
    before = spark.conf.get(_METHOD_LIMIT)
    spark.conf.set(_METHOD_LIMIT, "8000")
    try:
        yield
    finally:
        spark.conf.set(_METHOD_LIMIT, before or _METHOD_LIMIT_DEFAULT)


def _write_drops(
    storage: Storage, lines: DataFrame, plan: SyntheticPlan, rows: Mapping[FileKey, int], landing: str
) -> None:
    working = f"{landing}/{_WORKING_FOLDER}"
    storage.delete(working)
    try:
        for form in dict.fromkeys(plan.formats):
            of_form = {
                key: count for key, count in rows.items() if plan.format_of(key.drop_day, key.file) == form
            }
            if of_form:
                _write_files(lines, plan, form, of_form, f"{working}/{form}")
                _move_files(storage, plan, landing, f"{working}/{form}", of_form)
    finally:
        storage.delete(working)


def _write_files(
    lines: DataFrame, plan: SyntheticPlan, form: Format, rows: Mapping[FileKey, int], folder: str
) -> None:
    """Write the files of one format. One task writes each file: first the header, then its lines in order.

    Only ids and positions are shuffled and sorted. The fields are drawn afterwards, so that the shuffle stays
    narrow.
    """
    first_day = day_number(plan.first_date)
    numbers, count = _task_of_file(plan, rows)
    ordinal = (F.col("drop_day") - F.lit(first_day)) * F.lit(plan.files) + F.col("file")
    placed = lines.select("id", "copy", "drop_day", "file", "position")
    if form != "json":
        placed = placed.unionByName(_headers(lines.sparkSession, rows))
    task = at(numbers, ordinal)
    ordered = (
        placed.withColumn("task", task)
        .where(F.col("task") >= 0)
        .repartitionById(count, F.col("task"))
        .sortWithinPartitions("drop_day", "file", "position", "id", "copy")
        .select("id", "copy", "drop_day", "file")
    )
    filled = with_fields(with_values(with_fate(ordered, plan), plan), plan)
    if form == "json":
        text = json_line(plan)
    else:
        text = F.when(F.col("id") == _HEADER_ID, F.lit(CSV_HEADER)).otherwise(csv_line(plan))
    writer = filled.select("drop_day", "file", text.alias("value")).write.mode("overwrite")
    compression = "gzip" if form.endswith(".gz") else "none"
    # A session's limit on rows per file would split a file.
    writer.option("maxRecordsPerFile", 0).option("compression", compression).partitionBy(
        "drop_day", "file"
    ).text(folder)


def _task_of_file(plan: SyntheticPlan, rows: Mapping[FileKey, int]) -> tuple[list[int], int]:
    """For every possible file of a drop, the task that writes it, or -1; and the number of tasks.

    The largest files are assigned first, each to the task with the fewest rows.
    """
    count = max(1, min(len(rows), -(-sum(rows.values()) // _ROWS_PER_TASK)))
    load = [0] * count
    first_day = day_number(plan.first_date)
    numbers = [-1] * (len(plan.drops) * plan.files)
    for key in sorted(rows, key=lambda k: (-rows[k], k.drop_day, k.file)):
        task = load.index(min(load))
        load[task] += rows[key]
        numbers[(key.drop_day - first_day) * plan.files + key.file] = task
    return numbers, count


def _headers(spark: SparkSession, rows: Mapping[FileKey, int]) -> DataFrame:
    headers = [
        (_HEADER_ID, 0, key.drop_day, key.file, -1)
        for key in sorted(rows, key=lambda k: (k.drop_day, k.file))
    ]
    return spark.createDataFrame(headers, "id long, copy int, drop_day long, file int, position long")


def _move_files(
    storage: Storage, plan: SyntheticPlan, landing: str, folder: str, rows: Mapping[FileKey, int]
) -> None:
    written = storage.written_files(folder)
    missing = [key for key in rows if (key.drop_day, key.file) not in written]
    if missing or len(written) != len(rows):
        raise RuntimeError(f"{len(written)} files were written to {folder}, {len(rows)} were planned")
    made: set[str] = set()
    for (drop_day, file), path in sorted(written.items()):
        drop = f"{landing}/{DROP_FOLDER_PREFIX}{day_of(drop_day).isoformat()}"
        if drop not in made:
            storage.make_folder(drop)
            made.add(drop)
        storage.rename(path, f"{drop}/{plan.file_name(drop_day, file)}")
