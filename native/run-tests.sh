# shellcheck shell=bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# What the tests of native code share: build and run the GoogleTest programs
# plain, under ThreadSanitizer, and under AddressSanitizer with UBSan. Sourced,
# never run.

# run_tests SOURCE PATTERN [plain|thread|address]...: builds the CMake project
# SOURCE once for each kind, all of them by default, in build/test-<kind>, and
# runs the programs there that match PATTERN. What fails is shown in full.
run_tests() {
  local source=$1 pattern=$2 kind directory test
  shift 2
  local -A sanitizers=([plain]="" [thread]="thread" [address]="address,undefined")
  export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
  export UBSAN_OPTIONS="halt_on_error=1 print_stacktrace=1 ${UBSAN_OPTIONS:-}"
  # The scheduler lives as long as the process; what it made is still reachable.
  export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"
  [ $# -gt 0 ] || set -- plain thread address
  mkdir -p build
  for kind in "$@"; do
    [ -n "${sanitizers[$kind]+known}" ] || {
      printf '%s is not a kind of test; they are: plain, thread, address\n' "$kind" >&2
      return 2
    }
    directory=build/test-$kind
    if ! {
      cmake -S "$source" -B "$directory" -DXSCHED_BUILD_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        "-DXSCHED_SANITIZER=${sanitizers[$kind]}" &&
        cmake --build "$directory" --parallel "$(nproc)"
    } >"$directory.log" 2>&1; then
      cat "$directory.log" >&2
      return 1
    fi
    # shellcheck disable=SC2086  # a pattern
    for test in "$directory"/$pattern; do
      printf '%s, %s: ' "$kind" "$(basename "$test")"
      if ! timeout 300 "$test" >"$test.log" 2>&1; then
        printf 'failed\n'
        cat "$test.log" >&2
        return 1
      fi
      grep -E '^\[ +(PASSED) +\]' "$test.log"
    done
  done
}
