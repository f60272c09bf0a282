#!/usr/bin/env bash
# Builds one archive that runs on the same kind of machine without package registries: scripts/package.sh [FOLDER]
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh lacks what follows
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/environment.sh"

[[ $# -le 1 && ${1:-} != -* ]] || fail "usage: scripts/package.sh [FOLDER], the folder for the archive (default: dist)"
find_python
set_up --with s3 --with openlineage
exec "$python" -P -m scripts.packaging "${1:-$root/dist}"
