# shellcheck shell=bash
# Sourced by the other scripts, first of all: readies the shell, finds a Python, sets up the checkout, and exports the
# paths that Spark needs.
# Sets: root, python. Exports: CYMBAL_VAR, CYMBAL_LEFT_OUT, JAVA_HOME, SPARK_HOME, PYTHONPATH, and LC_ALL in a locale
# without UTF-8.

fail() {
    echo "error: $*" >&2 || : # a stream that takes no text must not change the exit code
    exit 2
}

# A program takes a closed stream's number for the next file that it opens, and would print into that file.
[[ -e /dev/fd/0 ]] || exec </dev/null # bash looks these up itself
[[ -e /dev/fd/1 ]] || exec >/dev/null
[[ -e /dev/fd/2 ]] || exec 2>/dev/null

# --- the environment that every process starts in

# Variables of these kinds change how Python, Spark, Java or pip start, and are often left over from other programs.
# None of them reaches a process of this checkout, except those that a user sets for this checkout.
clean_environment() {
    local name left_out=()
    for name in "${!PYTHON@}" "${!PYSPARK@}" "${!SPARK@}" "${!PIP_@}" "${!DELTA_@}" __PYVENV_LAUNCHER__ CDPATH BASH_ENV ENV \
        GLOBIGNORE; do
        case $name in
            PYTHONDONTWRITEBYTECODE | PYTHONPYCACHEPREFIX | PYTHONUNBUFFERED | PYTHONFAULTHANDLER) ;;
            PYSPARK_PYTHON) ;; # of executors on a cluster
            SPARK_CONF_DIR | SPARK_LOCAL_DIRS | SPARK_LOCAL_IP | SPARK_LOCAL_HOSTNAME | SPARK_PUBLIC_DNS) ;;
            SPARK_DAEMON_* | SPARK_HISTORY_* | SPARK_SUBMIT_OPTS) ;;
            PIP_*) case $name in PIP_USER | PIP_TARGET | PIP_PREFIX | PIP_ROOT) left_out+=("$name") ;; esac ;;
            *) [[ -z ${!name+set} ]] || left_out+=("$name") ;;
        esac
    done
    [[ ${#left_out[@]} -eq 0 ]] || unset "${left_out[@]}"
    export CYMBAL_LEFT_OUT="${left_out[*]-}"
}

# Java reads file names in the charset of the locale. Where that is ASCII, as under cron, or not the charset of the
# names, a file with an umlaut in its name cannot be opened. The locale's charset stays that of the output.
use_utf_8() {
    local umlaut=$'\xc3\xa4' charset
    [[ ${#umlaut} -ne 1 ]] || return 0 # one character of two bytes
    charset=$(locale charmap 2>/dev/null) || charset=
    # Bash warns of a locale that is not there. The variable of the substitution's own shell goes with it.
    # shellcheck disable=SC2030,SC2031  # as meant
    [[ -n $({ LC_ALL=C.UTF-8; } 2>&1) ]] || export LC_ALL=C.UTF-8
    [[ -z $charset || $charset == ANSI* || $charset == UTF-8 ]] || export PYTHONIOENCODING=$charset
}

clean_environment
use_utf_8
pwd -P >/dev/null 2>&1 && [[ -d . ]] || fail "the current folder no longer exists: change to one that does"
root=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd -P)

# --- the folder of what runs write besides the lake

choose_var() {
    if [[ -n ${CYMBAL_VAR:-} ]]; then
        mkdir -p -- "$CYMBAL_VAR" 2>/dev/null && [[ -w $CYMBAL_VAR && -x $CYMBAL_VAR ]] ||
            fail "CYMBAL_VAR=$CYMBAL_VAR: a folder that this user may write to is needed"
        CYMBAL_VAR=$(cd -- "$CYMBAL_VAR" && pwd -P)
    elif mkdir -p -- "$root/var" 2>/dev/null && [[ -w $root/var ]]; then
        CYMBAL_VAR=$root/var
    else # a checkout that is only read
        CYMBAL_VAR=${TMPDIR:-/tmp}/cymbal-sales-$UID
        mkdir -m 700 -- "$CYMBAL_VAR" 2>/dev/null || :
        # The folder's name is known to every user of the host: it counts only if this user made it.
        [[ -O $CYMBAL_VAR && ! -L $CYMBAL_VAR && -w $CYMBAL_VAR ]] ||
            fail "neither $root/var nor $CYMBAL_VAR can be written to: set CYMBAL_VAR to a folder of your own"
    fi
    export CYMBAL_VAR
}

choose_var

# --- the programs

runs_python_3_11() {
    "$1" -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    python=$root/.venv/bin/python
    # Set-up writes the stamp last: a venv without it is incomplete.
    [[ -x $python && -f $root/.venv/installed.json ]] && return
    for candidate in ${CYMBAL_PYTHON:-python3 python3.13 python3.12 python3.11}; do
        python=$(command -v "$candidate") && runs_python_3_11 "$python" && return
    done
    fail "no Python 3.11 or newer on PATH: install one, or set CYMBAL_PYTHON to one"
}

set_up() { # set_up [--dev] [--with SET]...
    # -P: import from this checkout, not from the current folder. -S: set-up needs only the standard library.
    PYTHONPATH=$root "$python" -P -S -m scripts.setup "$@" || exit $?
    python=$root/.venv/bin/python
    local pyspark=("$root"/.venv/lib/python3*/site-packages/pyspark)
    export JAVA_HOME=$root/var/java/home SPARK_HOME=${pyspark[0]} PYTHONPATH=$root
}
