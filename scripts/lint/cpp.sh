#!/usr/bin/env bash
# Checks the format of the C++ code with clang-format 14, Debian 12's: other versions format differently.
# native/.clang-format has the rules.
#   usage: cpp.sh [--fix]
# --fix formats the files instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mapfile -t files < <(git ls-files -co --exclude-standard 'native/*.h' 'native/*.cc' 'native/*.cu' 'native/*.cuh')
if [ "${1:-}" = --fix ]; then
  clang-format-14 -i "${files[@]}"
else
  clang-format-14 --dry-run -Werror "${files[@]}" || {
    printf 'clang-format: "npm run format" formats the files above\n' >&2
    exit 1
  }
fi
