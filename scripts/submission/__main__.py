"""``python -m scripts.submission``: becomes a request's spark-submit, prints it, or waits for its driver."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from scripts.bootstrap.common import refuse
from scripts.submission.line import line_in_client_mode
from scripts.submission.request import SubmissionError, read_request


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code, where it does not become another process: the job's, or 2."""
    process = os.getpid()
    os.environ["CYMBAL_PID"] = str(process)
    request = read_request(arguments)
    try:
        if request.is_on_cluster:
            from scripts.submission.cluster_run import run_on_cluster  # slow imports, and only needed there

            return run_on_cluster(request)
        line = line_in_client_mode(request)
        if request.only_print:
            print(line.in_words())
            return 0
    except SubmissionError as error:
        return refuse(error)
    # spark-submit hands a job's stderr on as stdout, and neither is a terminal to it: these are the real.
    streams = {"CYMBAL_STDOUT": f"/proc/{process}/fd/1", "CYMBAL_STDERR": f"/proc/{process}/fd/2"}
    return os.execve(line.arguments[0], line.arguments, line.environment({**request.environment, **streams}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
