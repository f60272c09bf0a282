#!/usr/bin/env bash
# Spark's History Server over the event logs of runs that were made with CYMBAL_EVENTS=FOLDER:
# scripts/history.sh [FOLDER] [PORT]; until Ctrl-C.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

folder=${1:-${CYMBAL_EVENTS:-$root/var/events}}
port=${2:-18080}
[[ $# -le 2 && $folder != -* ]] || fail "usage: scripts/history.sh [FOLDER or URI of event logs] [PORT]"
[[ $port =~ ^[1-9][0-9]{0,4}$ ]] || fail "port $port: a number from 1 to 65535 is needed, as 18080"
if [[ $folder != *://* ]]; then
    [[ -d $folder ]] || fail "no folder $folder: make runs with CYMBAL_EVENTS=$folder first"
    folder=file://$(cd "$folder" && pwd -P)
fi

find_python
# shellcheck disable=SC2119  # its arguments are not this script's
set_up
echo "event logs of $folder: http://127.0.0.1:$port (Ctrl-C ends it)" >&2
# Loopback alone: event logs tell paths and settings of every run.
export SPARK_LOCAL_IP=127.0.0.1 SPARK_DAEMON_MEMORY=${SPARK_DAEMON_MEMORY:-1g}
export SPARK_HISTORY_OPTS="-Dspark.history.fs.logDirectory=$folder -Dspark.history.ui.port=$port ${SPARK_HISTORY_OPTS:-}"
# spark-class reads SPARK_HISTORY_OPTS only of the class of that name.
exec "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.history.HistoryServer
