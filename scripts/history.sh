#!/usr/bin/env bash
# Runs Spark's History Server on the event logs that runs with CYMBAL_EVENTS=FOLDER wrote:
# scripts/history.sh [FOLDER] [PORT]. Ctrl-C stops it.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh lacks what follows
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/environment.sh"

folder=${1:-${CYMBAL_EVENTS:-$CYMBAL_VAR/events}}
port=${2:-18080}
[[ $# -le 2 && $folder != -* ]] || fail "usage: scripts/history.sh [FOLDER or URI of event logs] [PORT]"
[[ $port =~ ^[1-9][0-9]{0,4}$ ]] || fail "port $port: a number from 1 to 65535 is needed, for example 18080"
if [[ $folder != *://* ]]; then
    [[ -d $folder ]] || fail "no folder $folder: first run a job with CYMBAL_EVENTS=$folder"
    folder=file://$(cd "$folder" && pwd -P)
fi

find_python
# shellcheck disable=SC2119  # set_up takes none of this script's arguments
set_up
echo "event logs of $folder: http://127.0.0.1:$port (Ctrl-C stops the server)" >&2
# Loopback only: event logs show the paths and settings of every run.
export SPARK_LOCAL_IP=127.0.0.1 SPARK_DAEMON_MEMORY=${SPARK_DAEMON_MEMORY:-1g}
export SPARK_HISTORY_OPTS="-Dspark.history.fs.logDirectory=$folder -Dspark.history.ui.port=$port ${SPARK_HISTORY_OPTS:-}"
# spark-class reads SPARK_HISTORY_OPTS only for the class HistoryServer.
exec "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.history.HistoryServer
