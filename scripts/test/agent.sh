#!/usr/bin/env bash
# Tests the host's agent with the pinned pytest. Its own tests must reach nine tenths of its lines.
#   usage: agent.sh [WORD…]
# The words go to pytest; with any, what the tests reach does not count. pytest is installed from PyPI once for each version
# of Python, into the user's cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

# shellcheck source=scripts/pinnedPythonTools.sh
. "$here/../pinnedPythonTools.sh"
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
folder=$(pinned_python_tools "pytest-$version" scripts/test/pytest.txt)
cd components/host/agent

export PYTHONPATH=$folder PYTHONDONTWRITEBYTECODE=1
if [ $# -gt 0 ]; then
  exec python3 -m pytest -p no:cacheprovider "$@"
fi
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
export COVERAGE_FILE=$data/coverage
python3 -m coverage run --source=agent -m pytest -p no:cacheprovider --quiet tests
python3 -m coverage report --skip-covered --fail-under=90
