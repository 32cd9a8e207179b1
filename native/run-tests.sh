# shellcheck shell=bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# What the tests of native code share: build and run the GoogleTest programs
# plain, under ThreadSanitizer, and under AddressSanitizer with UBSan. Sourced,
# never run.

# How long a program may take, in seconds: more than ten times what the slowest
# needs on a machine that is not busy.
readonly TEST_SECONDS=300

# run_tests SOURCE PATTERN [plain|thread|address]...: builds the CMake project
# SOURCE once for each kind, all of them by default, in build/test-<kind>, and
# runs the programs there that match PATTERN, all of them even after one fails.
# Of a program that fails it shows what does not belong to a test that passed.
run_tests() {
  local source=$1 pattern=$2 kind directory test status failed=0
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
      status=0
      timeout "$TEST_SECONDS" "$test" >"$test.log" 2>&1 || status=$?
      if [ "$status" -eq 0 ]; then
        grep -E '^\[ +(PASSED) +\]' "$test.log"
        continue
      fi
      failed=1
      case $status in
        124) printf 'failed: still running after %s s\n' "$TEST_SECONDS" ;;
        *) printf 'failed: exit status %s\n' "$status" ;;
      esac
      without_passed "$test.log" >&2
    done
  done
  return "$failed"
}

# without_passed LOG: what a GoogleTest program has printed, without its tests
# that passed.
without_passed() {
  awk '
    /^\[ RUN      \]/ { held = $0; holds = 1; next }
    /^\[       OK \]/ { holds = 0; next }
    holds && /^\[  FAILED  \]/ { print held; holds = 0 }
    holds { held = held "\n" $0; next }
    { print }
    END { if (holds) print held }
  ' "$1"
}
