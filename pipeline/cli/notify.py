"""Tells people about a run, if an environment variable names receivers. It changes no exit code."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pipeline.lake.files import FileStore
from pipeline.planning.notices import (
    Notice,
    RunLinks,
    find_problems,
    late_notice,
    notices_of,
    notified_after,
    notified_from_json,
    notified_to_json,
    solved,
)
from pipeline.report.notify import Sender
from pipeline.report.summary import print_error
from schemas.states import NoticeKind

VARIABLE = "CYMBAL_NOTIFY"
# The value for a driver on a cluster: the host that submitted it knows the receivers and sends the messages.
BY_SUBMITTER = "submitter"
_NOTIFIED = "ledger/_notified.json"
_LIMIT = 1 << 20


class Notifier:
    """The messages of one run.

    Attributes:
        events: what to send messages about.
    """

    def __init__(self, links: RunLinks, *, is_silent: bool) -> None:
        """Reads the receivers from the environment.

        Args:
            links: what the messages refer to.
            is_silent: whether the run sends no message, whatever receivers there are.
        """
        self._links = links
        self._target = "" if is_silent else os.environ.get(VARIABLE, "").strip()
        self._sender = Sender([] if self._target == BY_SUBMITTER else self._target.split())
        self._notices: list[Notice] = []
        self.events: Collection[NoticeKind] = tuple(NoticeKind)

    def late(self, text: str) -> None:
        """Tells at once, while there is time to act, that a stage is or will be late; once a run.

        The run calls this while it works: whatever happens here, it goes on.
        """
        with suppress(Exception):
            if not any(notice.kind is NoticeKind.LATE for notice in self._notices):
                self._tell(late_notice(text, self._links))

    def end(
        self, result: Mapping[str, Any], errors: Sequence[str], files: FileStore | None, *, is_whole: bool
    ) -> list[dict[str, str]]:
        """Tells of new problems and of solved ones.

        Args:
            result: result of the run.
            errors: its errors, one by one.
            files: files of the lake, which keeps what people were told; None if it was not reached.
            is_whole: whether the run looked at every drop and every date.

        Returns:
            The messages of the run, for its result.
        """
        if not self._target:
            return []
        notified = _read_notified(files)
        found = find_problems(result, errors)
        problems = {subject: problem for subject, problem in found.items() if problem.kind in self.events}
        recovered = solved(notified, result, is_whole=is_whole)
        for notice in notices_of(problems, notified, recovered, replace(self._links, page=result["page"])):
            self._tell(notice)
        if not self._notices or _has_arrived(self._sender):
            _write_notified(files, notified, notified_after(notified, problems, recovered))
        return [notice.as_json() for notice in self._notices]

    def _tell(self, notice: Notice) -> None:
        if self._target and notice.kind in self.events:
            self._notices.append(notice)
            self._sender.send(notice)


def send_notices(notices: list[dict[str, str]]) -> None:
    """Sends the messages that a driver on a cluster left in its result."""
    sender = Sender(os.environ.get(VARIABLE, "").split())
    for values in notices:
        sender.send(Notice(NoticeKind(values["kind"]), values["title"], values["text"]))
    _has_arrived(sender)


def _has_arrived(sender: Sender) -> bool:
    """Whether somebody got the messages. Names the others by number: their addresses are secret."""
    has_arrived, failed = sender.wait()
    for number in failed:
        print_error(f"{VARIABLE}: receiver {number} took no message")
    return has_arrived


def _read_notified(files: FileStore | None) -> dict[str, str]:
    if files is None:
        return {}
    try:
        return notified_from_json(files.read(f"{files.root.rstrip('/')}/{_NOTIFIED}", _LIMIT))
    except OSError:
        return {}


def _write_notified(files: FileStore | None, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    if files is not None and before != after:
        with suppress(OSError):  # at worst a message comes twice
            files.replace(_NOTIFIED, notified_to_json(after))
