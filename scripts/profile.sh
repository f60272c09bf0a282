#!/usr/bin/env bash
# Proposes a delivery profile for files of an unknown form: scripts/profile.sh FILE... Needs no Spark.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh lacks what follows
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/environment.sh"

find_python
# shellcheck disable=SC2119  # set_up takes none of this script's arguments
set_up
exec "$python" -m scripts.profiling "$@"
