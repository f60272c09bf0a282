#!/usr/bin/env bash
# Hands a command to an Airflow that knows this checkout's DAGs, as in: scripts/airflow.sh standalone
# The first call sets it up, in an environment of its own below var/airflow; the project's .venv stays as it is.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

venv=$root/var/airflow/venv
lock=$root/deploy/airflow/requirements.lock

install_airflow() {
    cmp -s "$lock" "$venv/installed.lock" && return
    echo "set-up: installs $(grep -c '==' "$lock") packages into var/airflow/venv (the first time takes minutes)" >&2
    [[ -x $venv/bin/pip ]] || "$python" -m venv --clear "$venv" || fail "cannot make $venv"
    rm -f "$venv/installed.lock"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" ||
        fail "cannot install the packages of deploy/airflow/requirements.lock"
    cp "$lock" "$venv/installed.lock" # last: an installation that was cut short is done again
}

find_python
mkdir -p "$root/var/airflow"
exec 9>"$root/var/airflow/setup.lock"
flock 9 # a second call waits for the first one's set-up
install_airflow
exec 9>&-

export AIRFLOW_HOME=${AIRFLOW_HOME:-$root/var/airflow/home}
export AIRFLOW__CORE__DAGS_FOLDER=${AIRFLOW__CORE__DAGS_FOLDER:-$root/deploy/airflow}
export AIRFLOW__CORE__LOAD_EXAMPLES=${AIRFLOW__CORE__LOAD_EXAMPLES:-False}
export CYMBAL_HOME=${CYMBAL_HOME:-$root}
export PATH=$venv/bin:$PATH # the parts of "standalone" are found there
exec airflow "$@"
