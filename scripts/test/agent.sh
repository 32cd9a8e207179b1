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
folder=$(pinned_python_tools "pytest-$version" scripts/test/pytest-requirements.txt)
cd components/host/agent

# Each of pytest's processes reads the agent and its tests. What they compile is kept, but not beside the agent's sources.
# conftest.py keeps it from what the tests start.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPATH=$folder PYTHONPYCACHEPREFIX=${folder%/*}/pycache
# The disks that these tests mount are seen by these tests alone. Whatever else begins a mount namespace at this moment,
# such as another check's Docker daemon, would keep them after they were unmounted. Among the tests, mounts are shared, as
# systemd makes them. Only root mounts disks.
pytest=(python3 -m pytest -p no:cacheprovider)
if [ "$(id -u)" = 0 ]; then
  # shellcheck disable=SC2016  # expanded by the inner shell
  pytest=(unshare --mount --propagation private sh -c 'mount --make-rshared / && exec "$@"' sh "${pytest[@]}")
fi
if [ $# -gt 0 ]; then
  exec "${pytest[@]}" "$@"
fi
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
export COVERAGE_FILE=$data/coverage
# Most tests wait for processes most of their time, so more of them run than there are cores.
"${pytest[@]}" --quiet --numprocesses $(($(nproc) * 2)) --maxprocesses 8 --dist worksteal \
  --cov=agent --cov-report=term:skip-covered --cov-fail-under=90 tests
