#!/usr/bin/env bash
# Runs an Airflow command with this checkout's DAGs, for example: scripts/airflow.sh standalone
# The first call installs Airflow into its own environment in var/airflow. The project's .venv does not change.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh lacks what follows
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/environment.sh"

venv=$root/var/airflow/venv
lock=$root/deploy/airflow/requirements.lock

install_airflow() {
    cmp -s "$lock" "$venv/installed.lock" && return
    echo "set-up: installs $(grep -c '==' "$lock") packages into var/airflow/venv (the first time takes minutes)" >&2
    [[ -x $venv/bin/pip ]] || "$python" -m venv --clear "$venv" || fail "cannot make $venv"
    rm -f "$venv/installed.lock"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" ||
        fail "cannot install the packages of deploy/airflow/requirements.lock"
    cp "$lock" "$venv/installed.lock" # copied last, so that an interrupted installation is repeated
}

find_python
mkdir -p "$root/var/airflow"
exec 9>"$root/var/airflow/setup.lock"
flock 9 # wait while another call sets Airflow up
install_airflow
exec 9>&-

export AIRFLOW_HOME=${AIRFLOW_HOME:-$root/var/airflow/home}
export AIRFLOW__CORE__DAGS_FOLDER=${AIRFLOW__CORE__DAGS_FOLDER:-$root/deploy/airflow}
export AIRFLOW__CORE__LOAD_EXAMPLES=${AIRFLOW__CORE__LOAD_EXAMPLES:-False}
export CYMBAL_HOME=${CYMBAL_HOME:-$root}
export PATH=$venv/bin:$PATH # "airflow standalone" starts its components from PATH
exec airflow "$@"
