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

NATIVE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# One build of each kind serves the tests of all native code.
readonly NATIVE BUILDS=$NATIVE/build

# A compiler cache makes a build that was made before, in any clone, quick.
use_ccache() {
  command -v ccache >/dev/null || return 0
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
  # Paths in what is compiled do not say in which clone it lies.
  export CCACHE_BASEDIR=$NATIVE CCACHE_NOHASHDIR=1
}

# build_kind KIND [TARGET]...: builds all native code, or only what is named, in
# build/KIND: plain, thread (ThreadSanitizer) or address (AddressSanitizer and
# UBSan). Shows what a compiler said when it fails. Others that build the same
# at the same time wait.
build_kind() {
  local kind=$1 lock
  shift
  local -A sanitizers=([plain]="" [thread]="thread" [address]="address,undefined")
  [ -n "${sanitizers[$kind]+known}" ] || {
    printf '%s is not a kind of test; they are: plain, thread, address\n' "$kind" >&2
    return 2
  }
  use_ccache
  mkdir -p "$BUILDS"
  exec {lock}>"$BUILDS/$kind.lock"
  flock "$lock"
  if ! {
    # The plain build is also the package that is installed, so it is made as that is.
    cmake -S "$NATIVE" -B "$BUILDS/$kind" -DCMAKE_BUILD_TYPE="$([ "$kind" = plain ] && echo Release || echo RelWithDebInfo)" \
      "-DXSCHED_SANITIZER=${sanitizers[$kind]}" &&
      cmake --build "$BUILDS/$kind" --parallel "$(nproc)" ${1:+--target "$@"}
  } >"$BUILDS/$kind.log" 2>&1; then
    cat "$BUILDS/$kind.log" >&2
    return 1
  fi
  exec {lock}>&-
}

# run_tests FOLDER [plain|thread|address]...: builds once for each kind, all of
# them by default, and runs the programs *_test of FOLDER in the build, all of
# them even after one fails. Of a program that fails it shows what does not
# belong to a test that passed.
run_tests() {
  local folder=$1 kind test status failed=0
  shift
  export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
  export UBSAN_OPTIONS="halt_on_error=1 print_stacktrace=1 ${UBSAN_OPTIONS:-}"
  # The scheduler lives as long as the process; what it made is still reachable.
  export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"
  [ $# -gt 0 ] || set -- plain thread address
  for kind in "$@"; do
    build_kind "$kind" || return
    for test in "$BUILDS/$kind/$folder"/*_test; do
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
