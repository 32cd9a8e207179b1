#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the XSched core and runs its tests on the simulated driver: plain,
# under ThreadSanitizer, and under AddressSanitizer with UBSan. Then tests the
# installed package, and compares the shim with the toolkits' headers.
#   usage: run.sh [plain|thread|address]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

declare -A sanitizers=([plain]="" [thread]="thread" [address]="address,undefined")
kinds=("$@")
if [ ${#kinds[@]} -eq 0 ]; then
  kinds=(plain thread address)
fi

export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
export UBSAN_OPTIONS="halt_on_error=1 print_stacktrace=1 ${UBSAN_OPTIONS:-}"
# The scheduler lives as long as the process; what it made is still reachable.
export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"

mkdir -p build
for kind in "${kinds[@]}"; do
  directory="build/test-$kind"
  cmake -S . -B "$directory" -DXSCHED_BUILD_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    "-DXSCHED_SANITIZER=${sanitizers[$kind]}" >"$directory.log" 2>&1 ||
    { cat "$directory.log" >&2; exit 1; }
  cmake --build "$directory" --parallel "$(nproc)" >>"$directory.log" 2>&1 ||
    { cat "$directory.log" >&2; exit 1; }
  for test in "$directory"/tests/*_test; do
    printf '%s, %s: ' "$kind" "$(basename "$test")"
    if ! timeout 300 "$test" >"$test.log" 2>&1; then
      printf 'failed\n'
      cat "$test.log" >&2
      exit 1
    fi
    grep -E '^\[ +(PASSED) +\]' "$test.log"
  done
done

# The installed package, moved elsewhere, as an integration uses it.
rm -rf build/package build/moved build/integration
{
  cmake -S . -B build/package -DCMAKE_INSTALL_PREFIX="$PWD/build/package/installed" &&
    cmake --build build/package --parallel "$(nproc)" && cmake --install build/package &&
    mv build/package/installed build/moved &&
    cmake -S tests/integration -B build/integration -DCMAKE_PREFIX_PATH="$PWD/build/moved" &&
    cmake --build build/integration
} >build/integration.log 2>&1 || { cat build/integration.log >&2; exit 1; }
build/integration/integration
build/moved/bin/xsched-ctl --version
printf 'package: found, linked and called from another project\n'
bash tests/headers/run.sh build/moved/lib/libcuda.so.1
