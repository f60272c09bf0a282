#!/usr/bin/env bash
# A real standalone Spark cluster on this machine: scripts/cluster.sh start | stop | status.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

find_python
# shellcheck disable=SC2119  # its arguments are not this script's
set_up
exec "$python" -P -m scripts.cluster "$@"
