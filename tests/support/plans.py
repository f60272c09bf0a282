"""What Spark really ran for a write: its physical plan once adaptive execution was through, and its tasks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from pyspark.sql import SparkSession

_NODE = re.compile(r"^[\s:|]*(?:\+- |:- )?(?:\* )?(?P<name>.+?) \((?P<number>\d+)\)(?:, .*)?$")


_BROADCAST = ("BroadcastExchange", "BroadcastQueryStage")


@dataclass(frozen=True)
class Node:
    """A node of a plan: its name, how deep it stands, and its part of the plan's details."""

    name: str
    depth: int
    details: str


def executed_plans(spark: SparkSession, write: Callable[[], None]) -> list[list[Node]]:
    """The plans that ran while ``write`` did, but Delta's own over its log, top down."""
    # By id, not by position: Spark forgets the oldest executions once there are a thousand.
    last = max(_executions(spark), default=-1)
    write()
    texts = [
        execution.physicalPlanDescription()
        for number, execution in sorted(_executions(spark).items())
        if number > last and "SaveIntoDataSourceCommand" not in execution.physicalPlanDescription()
    ]
    plans = [_nodes(text) for text in texts]
    return [plan for plan in plans if plan and not any("_delta_log" in node.name for node in plan)]


def operations_of_writing_stage(spark: SparkSession, group: str) -> set[str]:
    """Names of the operations in the stage of a job group that wrote most; a sort of the writer is one."""
    _status_store(spark)
    context: Any = spark.sparkContext._jsc.sc()
    store = context.statusStore()
    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
    stages = {stage for job in jobs if job is not None for stage in job.stageIds}
    attempts = [store.lastStageAttempt(stage) for stage in stages if tracker.getStageInfo(stage) is not None]
    writing = max(attempts, key=lambda stage: stage.outputRecords())
    return _operations(store.operationGraphForStage(writing.stageId()).rootCluster())


# In the expression by which a line finds the partition of its chunk, and nowhere else.
PLACEMENT = "no partition was planned"


def publishing_plan(plans: list[list[Node]]) -> list[Node]:
    """The one plan that sends lines to the partitions of their chunks."""
    placing = [plan for plan in plans if any(PLACEMENT in node.details for node in plan)]
    assert len(placing) == 1, [[node.name for node in plan] for plan in plans]
    return placing[0]


def main_line(plan: list[Node]) -> list[Node]:
    """The nodes that every published line passes through: not what is broadcast to them.

    Lines come from the left of each join, and a plan tells its left sides first: what is told from the first
    broadcast on is looked up, and so is what those tables were computed from, wherever the text puts it.
    """
    return list(takewhile(lambda node: not node.name.startswith(_BROADCAST), plan))


def _executions(spark: SparkSession) -> dict[int, Any]:
    listed = _status_store(spark).executionsList()
    executions = [listed.apply(position) for position in range(listed.size())]
    return {int(execution.executionId()): execution for execution in executions}


def _status_store(spark: SparkSession) -> Any:
    session: Any = spark._jsparkSession
    context: Any = spark.sparkContext._jsc.sc()
    context.listenerBus().waitUntilEmpty()
    return session.sharedState().statusStore()


def _nodes(text: str) -> list[Node]:
    tree, *sections = text.split("\n\n\n")
    tree = tree.split("== Initial Plan ==")[0]
    details = {}
    for section in "\n\n".join(sections).split("\n\n"):
        match = re.match(r"\((\d+)\) ", section.strip())
        if match:
            details[match.group(1)] = section.strip()
    nodes = []
    for line in tree.splitlines():
        match = _NODE.match(line)
        if match:
            nodes.append(Node(match["name"], match.start("name"), details.get(match["number"], "")))
    return nodes


def _operations(cluster: Any) -> set[str]:
    found = {str(cluster.name())}
    children = cluster.childClusters()
    for position in range(children.size()):
        found |= _operations(children.apply(position))
    return found
