"""Prints the summary of a run from its result."""

from __future__ import annotations

import datetime as dt
import json
import logging
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from pipeline.report.logs import escape_controls, is_structured, write_event
from pipeline.report.streams import error_stream, errors, output, output_stream
from pipeline.report.tables import bare_grid, format_margin
from schemas.billing import DOCUMENTS
from schemas.currencies import format_amount
from schemas.gold import GOLD_TABLES
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES

_BAR_WIDTH = 24
_SHOWN = 20
# A user reads these first.
_TABLES = (RECEIVED_SALES, SALES, CONFLICTS, *GOLD_TABLES, DOCUMENTS)


def print_error(text: str) -> None:
    """Prints one error line on stderr."""
    if is_structured():
        write_event(error_stream(), logging.ERROR, text)
    else:
        errors().print(escape_controls(f"error: {text}"), style="red", markup=False)


def print_summary(result: dict[str, Any], lake: str | None, took: dt.timedelta) -> None:
    """Prints what a run did: errors first, then drops, rejects, chunks and totals."""
    if is_structured():
        _tell_summary(result, took)
        return
    console, terminal = output(), errors()
    for warning in result["warnings"][:_SHOWN]:
        terminal.print(escape_controls(f"warning: {warning}"), style="yellow", markup=False)
    if result["error"]:
        print_error(f"{result['job']}: {result['error']}")
    if result["run_again"]:
        terminal.print(escape_controls(f"to finish the rest, run: {result['run_again']}"), markup=False)
    for line in result["planned"]:
        console.print(escape_controls(line), markup=False)
    _print_drops(console, result)
    _print_dates(console, result)
    _print_chunks(console, result)
    _print_totals(console, result)
    _print_documents(console, result)
    _print_stages(console, result)
    _print_removed(console, result)
    if lake is not None and (result["dates"] or result["drops"]):
        own = [name for name in result["built"] if name not in {table.name for table in _TABLES}]
        names = ", ".join([*(table.name for table in _TABLES), *own, "ledger/"])
        console.print(f"\ntables under {lake}: {names}", markup=False)
    if result["page"]:
        console.print(f"\npage of this run: {result['page']}", markup=False)
    seconds = took.total_seconds()
    console.print(
        f"\n{result['job']}: {result['status']} in {seconds:.1f} s, exit code {result['exit_code']}, "
        f"run {result['run_id']}",
        markup=False,
    )


def print_json(result: dict[str, Any]) -> None:
    """Prints a result as one JSON object on stdout, for a machine; errors go to stderr as well."""
    if result["error"]:
        print_error(f"{result['job']}: {result['error']}")
    stream = output_stream()
    stream.write(json.dumps(result, indent=2) + "\n")
    stream.flush()


def _tell_summary(result: dict[str, Any], took: dt.timedelta) -> None:
    for warning in result["warnings"]:
        write_event(error_stream(), logging.WARNING, warning)
    if result["error"]:
        write_event(error_stream(), logging.ERROR, result["error"])
    ended = f"{result['job']}: {result['status']}, exit code {result['exit_code']}"
    write_event(output_stream(), logging.INFO, ended, seconds=took.total_seconds(), result=result)


def _print_drops(console: Console, result: dict[str, Any]) -> None:
    drops = result["drops"]
    if result["unchanged_drops"]:
        console.print(f"drops unchanged: {result['unchanged_drops']:,}")
    if not drops:
        return
    lines, rejected = (sum(drop[name] for drop in drops) for name in ("lines", "rejected"))
    console.print(
        f"drops: {len(drops):,} from {drops[0]['drop_date']} to {drops[-1]['drop_date']}, "
        f"{sum(drop['bytes'] for drop in drops) / 1e6:,.1f} MB; "
        f"lines: {lines:,}, accepted {lines - rejected:,}, rejected {rejected:,}"
    )
    for heading, counts in (("rejected because", result["rejected"]), ("accepted, but", result["warned"])):
        if counts:
            console.print(_by_reason(heading, counts))


def _by_reason(heading: str, counts: dict[str, int]) -> Grid:
    grid, largest = _grid(heading, "lines", ""), max(counts.values())
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        grid.add_row(reason, f"{count:,}", _bar(count, largest))
    return grid


def _print_dates(console: Console, result: dict[str, Any]) -> None:
    dates = result["dates"]
    if not dates:
        return
    by_status: dict[str, int] = {}
    for date in dates:
        by_status[date["status"]] = by_status.get(date["status"], 0) + 1
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(by_status.items()))
    console.print(f"business dates: {counts} ({dates[0]['business_date']} to {dates[-1]['business_date']})")
    waiting = [date for date in dates if date["status"] == "blocked"]
    for date in [date for date in dates if date["status"] == "failed"] + waiting[:_SHOWN]:
        text = f"  {date['business_date']} {date['status']}: {date['reason']}"
        console.print(escape_controls(text), markup=False)
    if waiting[_SHOWN:]:
        console.print(f"  and {len(waiting[_SHOWN:]):,} more blocked dates")


def _print_chunks(console: Console, result: dict[str, Any]) -> None:
    chunks = [chunk for chunk in result["chunks"] if "received" in chunk]
    if not chunks:
        return
    grid = _grid(
        "chunk", "received", "published", "duplicates", "conflicts", "partitions", "task s", "failed", ""
    )
    largest = max(chunk["received"] for chunk in chunks)
    for chunk in chunks:
        grid.add_row(
            chunk["chunk"],
            *[f"{chunk[name]:,}" for name in ("received", "published", "duplicates", "conflicts")],
            str(chunk.get("partitions", "")),
            f"{chunk['task_seconds']:.1f}" if "task_seconds" in chunk else "",
            str(chunk.get("failed_attempts", "")),
            _bar(chunk["received"], largest),
        )
    console.print(grid)


def _print_totals(console: Console, result: dict[str, Any]) -> None:
    if not result["totals"]:
        return
    grid = _grid("gross by currency", "received", "published", "duplicates", "conflicts", "left over")
    for currency, totals in result["totals"].items():
        names = ("received", "published", "duplicates", "conflicts")
        grid.add_row(
            currency, *[format_amount(Decimal(totals[name]), currency) for name in (*names, "left_over")]
        )
    console.print(grid)


def _print_documents(console: Console, result: dict[str, Any]) -> None:
    if not result["documents"]:
        return
    grid = _grid("issued", "documents", "net amount", "currency")
    for row in result["documents"]:
        kind = row["kind"].replace("_", " ")
        grid.add_row(
            kind,
            f"{row['documents']:,}",
            format_amount(Decimal(row["net_amount"]), row["currency"]),
            row["currency"],
        )
    console.print(grid)
    last = ", ".join(f"{series}{number}" for series, number in result["last_numbers"].items())
    console.print(f"last numbers: {last}", markup=False)


def _print_stages(console: Console, result: dict[str, Any]) -> None:
    if not result["stages"]:
        return
    grid = _grid("stage", "dates", "lines", "seconds", "lines/s", "deadline", "margin")
    for stage in result["stages"]:
        seconds = stage["seconds"]
        grid.add_row(
            stage["stage"],
            f"{stage['dates']:,}",
            f"{stage['lines']:,}",
            f"{seconds:,.1f}",
            f"{stage['lines'] / seconds:,.0f}" if seconds else "",
            stage["deadline"] or "",
            format_margin(stage["margin_seconds"]),
        )
    console.print(grid)


def _print_removed(console: Console, result: dict[str, Any]) -> None:
    if not result["removed"]:
        return
    grid = _grid("table", "files deleted", "MB freed", "small files merged")
    for table, count in result["removed"].items():
        freed, merged = result["freed_bytes"][table] / 1e6, result["merged"][table]
        grid.add_row(table, f"{count:,}", f"{freed:,.1f}", f"{merged:,}")
    console.print(grid)


def _grid(*headers: str) -> Grid:
    grid = bare_grid()
    for position, header in enumerate(headers):
        grid.add_column(header, justify="left" if position == 0 or not header else "right", no_wrap=True)
    return grid


def _bar(value: int, largest: int) -> str:
    return "█" * max(1, round(_BAR_WIDTH * value / largest)) if value else ""
