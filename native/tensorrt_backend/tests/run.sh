#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Tests what is added to the TensorRT backend, without that backend and without
# a GPU: plain, under ThreadSanitizer, and under AddressSanitizer with UBSan.
#   usage: run.sh [plain|thread|address]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

declare -A sanitizers=([plain]="" [thread]="thread" [address]="address,undefined")
kinds=("$@")
if [ ${#kinds[@]} -eq 0 ]; then
  kinds=(plain thread address)
fi

# The patch is well-formed, and adds to the build what is there.
patch=$PWD/trt-backend-22.06-xsched.patch
git apply --numstat "$patch" >/dev/null
diff <(sed -n 's|^+ *\(src/[a-z_]*\.[a-z]*\)$|\1|p' "$patch" | sort) <(find src -type f | sort)
printf 'patch: well-formed, and the sources are there\n'

export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
export UBSAN_OPTIONS="halt_on_error=1 print_stacktrace=1 ${UBSAN_OPTIONS:-}"
# The scheduler lives as long as the process; what it made is still reachable.
export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"

mkdir -p build
for kind in "${kinds[@]}"; do
  directory="build/test-$kind"
  cmake -S tests -B "$directory" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    "-DXSCHED_SANITIZER=${sanitizers[$kind]}" >"$directory.log" 2>&1 ||
    { cat "$directory.log" >&2; exit 1; }
  cmake --build "$directory" --parallel "$(nproc)" >>"$directory.log" 2>&1 ||
    { cat "$directory.log" >&2; exit 1; }
  for test in "$directory"/*_test; do
    printf '%s, %s: ' "$kind" "$(basename "$test")"
    if ! timeout 300 "$test" >"$test.log" 2>&1; then
      printf 'failed\n'
      cat "$test.log" >&2
      exit 1
    fi
    grep -E '^\[ +(PASSED) +\]' "$test.log"
  done
done
