#!/usr/bin/env bash
# Sets up the checkout and the benchmark's own venv, then measures. All arguments go to the benchmark.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/environment.sh"

find_python
set_up

bench=$root/var/bench/venv
if ! cmp -s "$root/tools/benchmarks/requirements.txt" "$bench/installed.txt"; then
    echo "set-up: installing the contenders into var/bench/venv (this takes minutes)" >&2
    "$python" -m venv --clear "$bench"
    "$bench/bin/python" -m pip install --quiet --disable-pip-version-check -r "$root/tools/benchmarks/requirements.txt" ||
        fail "cannot install the packages of tools/benchmarks/requirements.txt"
    cp "$root/tools/benchmarks/requirements.txt" "$bench/installed.txt"
fi

cd "$root"
exec "$bench/bin/python" -m tools.benchmarks "$@"
