"""``python -m scripts.submission``: runs spark-submit, prints its command, or waits for a remote driver."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from scripts.bootstrap.common import refuse
from scripts.submission.checks import check_localhost, check_log, check_user
from scripts.submission.java_options import caller_options, check_options
from scripts.submission.line import line_in_client_mode
from scripts.submission.request import SubmissionError, read_request
from scripts.submission.secrets import refuse_secret_addresses
from scripts.submission.streams import append_to_files, close_to_others, names_of


def main(arguments: Sequence[str]) -> int:
    """Runs a request. In client mode this process becomes spark-submit and does not return.

    Returns:
        The job's exit code, 0 after a print, or 2 for a request that is refused.
    """
    pid = os.getpid()
    os.environ["CYMBAL_PID"] = str(pid)
    request = read_request(arguments)
    close_to_others()
    try:
        refuse_secret_addresses(request)
        if request.is_on_cluster:
            from scripts.submission.cluster_run import run_on_cluster  # slow, and only needed there

            return run_on_cluster(request)
        line = line_in_client_mode(request)
        if request.only_print:
            print(line.describe())
            return 0
        check_user()
        check_localhost()
        check_options(request.environment, caller_options(request))
        check_log(line.variables)
    except SubmissionError as error:
        return refuse(error)
    append_to_files()
    environment = line.environment({**request.environment, **names_of(pid)})
    return os.execve(line.arguments[0], line.arguments, environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
