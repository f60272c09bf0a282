#!/usr/bin/env bash
# Sets up the checkout with the test dependencies, then runs pytest with the given arguments.
# Each of these seven arguments runs one further suite and nothing else:
# --cluster: recovery on a real cluster of processes on this machine, the drill and the crash loop
# --places: S3, HDFS, YARN, a driver on a worker, the Kubernetes API and archives; starts its own servers
# --model: random sequences of events for CYMBAL_MODEL_MINUTES (60), starting with seed CYMBAL_MODEL_SEED (1)
# --browser: the HTML pages of runs in this machine's Chromium; skipped where there is none
# --hosts: a sample under hardened and odd hosts, in namespaces of its own; without root, those are skipped
# --lakes: lakes that version 0.1.0 left in a broken state, each migrated and repaired
# --airflow: the DAGs in a real Airflow, which the first call installs
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh lacks what follows
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/environment.sh"

sets=()
[[ " $* " != *" --places "* ]] || sets=(--with s3 --with minicluster)
find_python
set_up --dev ${sets[@]+"${sets[@]}"}
export PYSPARK_PYTHON=$python PYSPARK_DRIVER_PYTHON=$python
export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}

# One process per core: a Spark session with small queries uses only one core. Each takes 2 GB of memory.
arguments=() lanes=()
[[ $# -gt 0 ]] || arguments+=(--numprocesses logical --maxprocesses 4 --dist worksteal)
for argument in "$@"; do
    if [[ $argument == --cluster ]]; then
        arguments+=(--override-ini "testpaths=tests/cluster")
        lanes=(workers drivers)
    elif [[ $argument == --airflow ]]; then
        arguments+=(-m airflow --override-ini "testpaths=tests/deploy/airflow")
    elif [[ $argument == --model ]]; then
        arguments+=(-m model --override-ini "testpaths=tests/model")
    elif [[ $argument == --lakes ]]; then
        arguments+=(-m lakes --override-ini "testpaths=tests/jobs")
    elif [[ $argument == --browser ]]; then
        arguments+=(-m browser --override-ini "testpaths=tests/browser")
    elif [[ $argument == --hosts ]]; then
        arguments+=(-m hosts --override-ini "testpaths=tests/hosts")
    elif [[ $argument == --places ]]; then
        arguments+=(-m places --override-ini "testpaths=tests/places")
    else
        arguments+=("$argument")
    fi
done

cd "$root"
[[ ${#lanes[@]} -gt 0 ]] || exec "$python" -m pytest -q ${arguments[@]+"${arguments[@]}"}

none_selected=5 # pytest's exit code
code=$none_selected
pids=()
trap 'jobs -p | xargs -r kill' EXIT
for lane in "${lanes[@]}"; do
    "$python" -m pytest -q -m "cluster and $lane" "${arguments[@]}" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    lane_code=0
    wait "$pid" || lane_code=$?
    # A lane may select no test. It is a failure only if no lane selects any.
    if [[ $code == "$none_selected" || ($lane_code != 0 && $lane_code != "$none_selected") ]]; then
        code=$lane_code
    fi
done
exit "$code"
