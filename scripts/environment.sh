# shellcheck shell=bash
# Sourced by the other scripts: finds a Python, sets up the checkout, and exports the paths that Spark needs.
# Sets: root, python. Exports: JAVA_HOME, SPARK_HOME, PYTHONPATH, and LC_ALL in a POSIX locale.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# Java reads file names in the charset of the locale. In a POSIX locale, as cron has it, that is ASCII: a file with an
# umlaut in its name cannot be opened.
case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
    '' | C | POSIX)
        if locale -a 2>/dev/null | grep -qix 'C[.]utf-\?8'; then
            export LC_ALL=C.UTF-8
        fi
        ;;
esac

fail() {
    echo "error: $*" >&2
    exit 2
}

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
