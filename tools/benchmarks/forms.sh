#!/usr/bin/env bash
# Sets up the checkout, then measures the forms of delivery. All arguments go to the benchmark.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/environment.sh"

find_python
set_up

cd "$root"
exec "$python" -m tools.benchmarks.forms "$@"
