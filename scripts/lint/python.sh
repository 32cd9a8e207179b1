#!/usr/bin/env bash
# Lints the Python code and checks its format with the pinned ruff. ruff.toml has the rules.
#   usage: python.sh [--fix]
# --fix mends what ruff can mend. ruff is installed from PyPI once, into the user's cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

# shellcheck source=scripts/pinnedPythonTools.sh
. "$here/../pinnedPythonTools.sh"
folder=$(pinned_python_tools ruff scripts/lint/ruff-requirements.txt)

if [ "${1:-}" = --fix ]; then
  "$folder/bin/ruff" check --fix --exit-zero --silent .
  "$folder/bin/ruff" format --quiet .
  "$folder/bin/ruff" check --quiet .
else
  "$folder/bin/ruff" check --quiet .
  "$folder/bin/ruff" format --check --quiet . || {
    printf 'ruff: "npm run format" formats the files above\n' >&2
    exit 1
  }
fi
