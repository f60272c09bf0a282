#!/usr/bin/env bash
# Runs a standalone Spark cluster on this machine: scripts/cluster.sh start | stop | status.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

find_python
# shellcheck disable=SC2119  # set_up takes none of this script's arguments
set_up
exec "$python" -P -m scripts.cluster "$@"
