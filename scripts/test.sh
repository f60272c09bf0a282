#!/usr/bin/env bash
# Sets the checkout up with what the tests need, then runs pytest; arguments are pytest's, but for four, each of
# which runs those tests and nothing else:
# --cluster: recovery on a real cluster of processes on this machine, the drill and the crash loop;
# --places: S3, HDFS, YARN, a driver on a worker, Kubernetes' API, archives; servers are started here;
# --model: random orders of events for CYMBAL_MODEL_MINUTES (60), from seed CYMBAL_MODEL_SEED (1) on;
# --airflow: the DAGs in a real Airflow; the first time sets that up.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

sets=()
[[ " $* " != *" --places "* ]] || sets=(--with s3 --with minicluster)
find_python
set_up --dev ${sets[@]+"${sets[@]}"}
export PYSPARK_PYTHON=$python PYSPARK_DRIVER_PYTHON=$python
export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}

# Two processes at once: a Spark session of small queries, or a batch that mostly starts, keeps one core busy.
arguments=() lanes=()
[[ $# -gt 0 ]] || arguments+=(--numprocesses 2 --dist loadfile)
for argument in "$@"; do
    if [[ $argument == --cluster ]]; then
        arguments+=(--override-ini "testpaths=tests/cluster")
        lanes=(workers drivers)
    elif [[ $argument == --airflow ]]; then
        arguments+=(-m airflow --override-ini "testpaths=tests/airflow")
    elif [[ $argument == --model ]]; then
        arguments+=(-m model --override-ini "testpaths=tests/model")
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
    one=0
    wait "$pid" || one=$?
    # A lane of which nothing was asked for is no failure; both of them are.
    if [[ $code == "$none_selected" || ($one != 0 && $one != "$none_selected") ]]; then
        code=$one
    fi
done
exit "$code"
