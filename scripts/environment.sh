# shellcheck shell=bash
# Sourced by submit.sh and test.sh: finds a Python, sets the checkout up, says where things are.
# Sets: root, python. Exports: JAVA_HOME, SPARK_HOME, PYTHONPATH.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

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
    # Only a venv that set-up finished has the stamp.
    [[ -x $python && -f $root/.venv/installed.json ]] && return
    for candidate in ${CYMBAL_PYTHON:-python3 python3.13 python3.12 python3.11}; do
        python=$(command -v "$candidate") && runs_python_3_11 "$python" && return
    done
    fail "no Python 3.11 or newer on PATH: install one, or set CYMBAL_PYTHON to one"
}

set_up() { # set_up [--dev] [--with SET]...
    # -P: the modules of this checkout, whatever the current folder; -S: the standard library is enough.
    PYTHONPATH=$root "$python" -P -S -m scripts.setup "$@" || exit $?
    python=$root/.venv/bin/python
    local found=("$root"/.venv/lib/python3*/site-packages/pyspark)
    export JAVA_HOME=$root/var/java/home SPARK_HOME=${found[0]} PYTHONPATH=$root
}
