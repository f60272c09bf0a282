#!/usr/bin/env bash
# Proposes a delivery profile for files of an unknown form: scripts/profile.sh FILE... Needs no Spark.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

find_python
# shellcheck disable=SC2119  # set_up takes none of this script's arguments
set_up
exec "$python" -m scripts.profiling "$@"
