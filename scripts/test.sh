#!/usr/bin/env bash
# Sets the checkout up with what the tests need, then runs pytest; arguments are pytest's, but for three, each of
# which runs those tests and nothing else:
# --cluster: recovery on a real cluster of processes on this machine, the drill and the crash loop;
# --places: S3, HDFS, YARN, a driver on a worker, Kubernetes' API, archives; servers are started here;
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

# Two processes: a Spark session of small queries, or a batch that mostly starts, keeps one core busy.
arguments=()
[[ $# -gt 0 ]] || arguments+=(--numprocesses 2 --dist loadfile)
for argument in "$@"; do
    if [[ $argument == --cluster ]]; then
        arguments+=(-m cluster --override-ini "testpaths=tests/cluster")
        arguments+=(--numprocesses 2 --dist loadgroup)
    elif [[ $argument == --airflow ]]; then
        arguments+=(-m airflow --override-ini "testpaths=tests/airflow")
    elif [[ $argument == --places ]]; then
        arguments+=(-m places --override-ini "testpaths=tests/places")
    else
        arguments+=("$argument")
    fi
done

cd "$root"
exec "$python" -m pytest -q ${arguments[@]+"${arguments[@]}"}
