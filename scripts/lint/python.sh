#!/usr/bin/env bash
# Lints the Python code and checks its format with the pinned ruff. ruff.toml has the rules.
#   usage: python.sh [--fix]
# --fix mends what ruff can mend. ruff is installed from PyPI once, into the user's cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

requirements=$here/ruff.txt
folder=${XDG_CACHE_HOME:-$HOME/.cache}/xsched-triton/ruff-$(sha256sum "$requirements" | cut -c 1-16)
if [ ! -x "$folder/bin/ruff" ]; then
  mkdir -p "$(dirname "$folder")"
  # Installed aside and renamed, so that two runs at once and an interrupted one do no harm.
  staging=$(mktemp -d "$folder.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  if ! python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --requirement "$requirements" --target "$staging" >"$staging.log" 2>&1; then
    cat "$staging.log" >&2
    rm -f "$staging.log"
    printf 'ruff: cannot install what scripts/lint/ruff.txt pins; this needs pip and a Python package index\n' >&2
    exit 1
  fi
  rm -f "$staging.log"
  mv -T "$staging" "$folder" 2>/dev/null || [ -x "$folder/bin/ruff" ]
fi

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
