# shellcheck shell=bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Shared by the tests of native code: builds and runs the GoogleTest programs
# plain, under ThreadSanitizer, and under AddressSanitizer with UBSan. Source
# this file; do not run it.

# How long a program may take, in seconds: more than ten times as long as the
# slowest one on an idle machine.
readonly TEST_SECONDS=600

NATIVE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# One build of each kind serves the tests of all native code.
readonly NATIVE BUILDS=$NATIVE/build

# With a compiler cache, repeating a build is quick, even in another clone.
use_ccache() {
  command -v ccache >/dev/null || return 0
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
  # Paths in the compiled code do not depend on the clone.
  export CCACHE_BASEDIR=$NATIVE CCACHE_NOHASHDIR=1
  # Precompiled headers: it compares their content.
  export CCACHE_SLOPPINESS=pch_defines,time_macros
}

# build_kind KIND [TARGET]...: builds all native code, or only the targets, in
# build/KIND: plain, thread (ThreadSanitizer) or address (AddressSanitizer and
# UBSan). Shows the compiler's output if it fails. Concurrent builds of the same
# kind wait.
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
    # The plain build is also the installed package, so it is built like that.
    cmake -S "$NATIVE" -B "$BUILDS/$kind" -DCMAKE_BUILD_TYPE="$([ "$kind" = plain ] && echo Release || echo RelWithDebInfo)" \
      "-DXSCHED_SANITIZER=${sanitizers[$kind]}" &&
      cmake --build "$BUILDS/$kind" --parallel "$(nproc)" ${1:+--target "$@"}
  } >"$BUILDS/$kind.log" 2>&1; then
    cat "$BUILDS/$kind.log" >&2
    return 1
  fi
  exec {lock}>&-
}

# What makes the sanitizers end a program at the first fault.
set_sanitizer_options() {
  # At its end a process gives its other threads time for a last race: 1 s by
  # default, and some tests start dozens of processes.
  export TSAN_OPTIONS="halt_on_error=1 atexit_sleep_ms=100 ${TSAN_OPTIONS:-}"
  export UBSAN_OPTIONS="halt_on_error=1 print_stacktrace=1 ${UBSAN_OPTIONS:-}"
  # The scheduler lives as long as the process, so its memory is still reachable.
  export ASAN_OPTIONS="detect_leaks=1 ${ASAN_OPTIONS:-}"
}

# run_tests FOLDER [plain|thread|address]...: builds each kind, by default all of
# them, and runs the programs FOLDER/*_test of the build, all of them even if one
# fails. Shows the output of a failed program, without the tests that passed. The
# programs mostly wait, so they run side by side.
run_tests() {
  local folder=$1 kind test status failed=0
  local -A started ended
  shift
  set_sanitizer_options
  # An interrupt does not reach what runs in the background.
  trap 'jobs -rp | xargs -r kill' EXIT
  [ $# -gt 0 ] || set -- plain thread address
  for kind in "$@"; do
    build_kind "$kind" || return
    started=() ended=()
    for test in "$BUILDS/$kind/$folder"/*_test; do
      [ "${#started[@]}" -lt "$(nproc)" ] || end_one
      timeout "$TEST_SECONDS" "$test" >"$test.log" 2>&1 &
      started[$!]=$test
    done
    while [ "${#started[@]}" -gt 0 ]; do end_one; done
    for test in "$BUILDS/$kind/$folder"/*_test; do
      printf '%s, %s: ' "$kind" "$(basename "$test")"
      status=${ended[$test]}
      if [ "$status" -eq 0 ]; then
        grep -E '^\[ +(PASSED|SKIPPED) +\] [0-9]+ test' "$test.log"
        # GoogleTest succeeds with skipped tests; CI skips nothing.
        if [ "${CI:-}" != true ] || ! grep -qE '^\[ +SKIPPED +\]' "$test.log"; then
          continue
        fi
        failed=1
        without_passed "$test.log" >&2
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

# Waits until one of the programs that run has ended, and notes how. Waiting for a
# certain one later would not do: the shell forgets how a process ended once
# another has its number, and numbers come again within minutes.
end_one() {
  local process status=0
  wait -n -p process || status=$?
  ended[${started[$process]}]=$status
  unset "started[$process]"
}

# without_passed LOG: the output of a GoogleTest program, without the tests that
# passed.
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
