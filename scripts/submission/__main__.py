"""``python -m scripts.submission``: runs spark-submit, prints its command, or waits for a remote driver."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from scripts.bootstrap.common import refuse
from scripts.submission.line import line_in_client_mode
from scripts.submission.request import SubmissionError, read_request


def main(arguments: Sequence[str]) -> int:
    """Runs a request. In client mode this process becomes spark-submit and does not return.

    Returns:
        The job's exit code, 0 after a print, or 2 for a request that is refused.
    """
    pid = os.getpid()
    os.environ["CYMBAL_PID"] = str(pid)
    request = read_request(arguments)
    try:
        if request.is_on_cluster:
            from scripts.submission.cluster_run import run_on_cluster  # slow, and only needed there

            return run_on_cluster(request)
        line = line_in_client_mode(request)
        if request.only_print:
            print(line.describe())
            return 0
    except SubmissionError as error:
        return refuse(error)
    # spark-submit merges the job's stderr into stdout and connects both to pipes. These are the real streams.
    streams = {"CYMBAL_STDOUT": f"/proc/{pid}/fd/1", "CYMBAL_STDERR": f"/proc/{pid}/fd/2"}
    return os.execve(line.arguments[0], line.arguments, line.environment({**request.environment, **streams}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
