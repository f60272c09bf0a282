"""Sends messages through apprise. Receivers are secrets: no error and no log names them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.planning.notices import Notice
from schemas.states import NoticeKind

# A receiver that takes longer keeps the run waiting for nothing.
_SECONDS = 20.0


@dataclass
class _Delivery:
    """One message on its way to one receiver."""

    number: int
    thread: threading.Thread
    arrived: list[bool] = field(default_factory=list)


class Sender:
    """Sends messages to receivers, each in a thread of its own, so that none holds up the run."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Takes the receivers, as apprise URLs."""
        self._urls = urls
        self._deliveries: list[_Delivery] = []

    def send(self, notice: Notice) -> None:
        """Begins to send a message."""
        for number, url in enumerate(self._urls, start=1):
            arrived: list[bool] = []
            thread = threading.Thread(target=_deliver, args=(url, notice, arrived), daemon=True)
            self._deliveries.append(_Delivery(number, thread, arrived))
            thread.start()

    def wait(self) -> tuple[bool, list[int]]:
        """Waits for all messages together, not longer than some seconds.

        Returns:
            Whether somebody took the messages, and the numbers of the receivers that did not.
        """
        give_up_at = time.monotonic() + _SECONDS
        for delivery in self._deliveries:
            delivery.thread.join(timeout=max(0.0, give_up_at - time.monotonic()))
        failed = sorted({delivery.number for delivery in self._deliveries if delivery.arrived != [True]})
        return not failed or len(failed) < len(self._urls), failed


def _deliver(url: str, notice: Notice, arrived: list[bool]) -> None:
    try:
        import apprise  # most runs send nothing

        # Its log, and those of the libraries below it, show addresses with their secrets.
        for name in ("apprise", "urllib3", "urllib3.connectionpool", "requests"):
            logging.getLogger(name).disabled = True
        is_good = notice.kind is NoticeKind.RECOVERED
        kind = apprise.NotifyType.SUCCESS if is_good else apprise.NotifyType.WARNING
        receiver = apprise.Apprise()
        is_known = receiver.add(url)
        arrived.append(
            bool(
                is_known
                and receiver.notify(
                    title=notice.title,
                    body=notice.text,
                    notify_type=kind,
                    # A receiver of HTML, such as mail, gets it escaped: an error may hold delivered text.
                    body_format=apprise.NotifyFormat.TEXT,
                )
            )
        )
    except Exception:  # whatever a receiver does, the run goes on; its error may hold the address
        arrived.append(False)
