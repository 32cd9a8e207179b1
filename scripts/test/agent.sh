#!/usr/bin/env bash
# Tests the host's agent with the pinned pytest. Its own tests must reach nine tenths of its lines.
#   usage: agent.sh [WORD…]
# The words go to pytest; with any, what the tests reach does not count. pytest is installed from PyPI once for each version
# of Python, into the user's cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../../components/host/agent"

requirements=$here/pytest.txt
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
folder=${XDG_CACHE_HOME:-$HOME/.cache}/xsched-triton/pytest-$version-$(sha256sum "$requirements" | cut -c 1-16)
if [ ! -d "$folder" ]; then
  mkdir -p "$(dirname "$folder")"
  # Installed aside and renamed, so that two runs at once and an interrupted one do no harm.
  staging=$(mktemp -d "$folder.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  if ! python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --requirement "$requirements" --target "$staging" >"$staging.log" 2>&1; then
    cat "$staging.log" >&2
    rm -f "$staging.log"
    printf 'pytest: cannot install what scripts/test/pytest.txt pins; this needs pip and a Python package index\n' >&2
    exit 1
  fi
  rm -f "$staging.log"
  mv -T "$staging" "$folder" 2>/dev/null || [ -d "$folder" ]
fi

export PYTHONPATH=$folder PYTHONDONTWRITEBYTECODE=1
if [ $# -gt 0 ]; then
  exec python3 -m pytest -p no:cacheprovider "$@"
fi
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
export COVERAGE_FILE=$data/coverage
python3 -m coverage run --source=agent -m pytest -p no:cacheprovider --quiet tests
python3 -m coverage report --skip-covered --fail-under=90
