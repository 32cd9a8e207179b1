#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs every test program of a build again and again on a machine that is bad to
# it: beside busy loops, and with its processes stopped at random, for up to 150
# ms each time, so that whatever a test or the core takes for granted about time
# comes out. Prints a table; shows the output of each failure.
#   usage: soak.sh plain|thread|address [ROUNDS [PROGRAM]...]
#   ROUNDS: 20 unless given; PROGRAM: flight_test, … (default: all), of which only
#   those are built
set -euo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=native/run-tests.sh
. "$tests/../../run-tests.sh"

kind=${1:?plain, thread or address} rounds=${2:-20}
shift $(($# > 2 ? 2 : $#))
build_kind "$kind" "$@"
set_sanitizer_options
mkdir -p "$BUILDS/$kind/soak"
# Several may run at a time.
logs=$(mktemp -d "$BUILDS/$kind/soak/XXXXXX")

busy=()
running=
# A subshell that is ended before it has put off this shell's traps runs them,
# too: what belongs to this shell is none of its business.
# shellcheck disable=SC2317 # called by the trap
end() {
  [ "$BASHPID" = $$ ] || return 0
  [ -z "$running" ] || kill "$running" || true
  [ ${#busy[@]} -eq 0 ] || kill "${busy[@]}" || true
}
trap end EXIT
for ((i = 0; i < $(nproc); ++i)); do
  (while :; do :; done) &
  busy+=($!)
done

# run_once PROGRAM LOG: its exit status; 124 if it was still running after
# TEST_SECONDS.
run_once() {
  local status=0
  python3 -B "$tests/stop_at_random.py" "$TEST_SECONDS" "$1" >"$2" 2>&1 &
  running=$!
  wait "$running" || status=$?
  running=
  return "$status"
}

programs=()
for program in "$BUILDS/$kind"/{xsched,tensorrt_backend}/tests/*_test; do
  name=$(basename "$program")
  [[ $# -gt 0 && " $* " != *" $name "* ]] || programs+=("$program")
done
[ ${#programs[@]} -gt 0 ] || { printf 'no such test program: %s\n' "$*" >&2; exit 2; }

declare -A failures=() slowest=()
for ((round = 1; round <= rounds; ++round)); do
  for program in "${programs[@]}"; do
    name=$(basename "$program") log=$logs/$(basename "$program").$round.log
    began=$SECONDS status=0
    run_once "$program" "$log" || status=$?
    took=$((SECONDS - began))
    slowest[$name]=$((took > ${slowest[$name]:-0} ? took : ${slowest[$name]:-0}))
    : "${failures[$name]:=0}"
    if [ "$status" -eq 0 ]; then
      rm "$log"
    else
      failures[$name]=$((failures[$name] + 1))
      printf '%s, %s, round %s: exit status %s\n' "$kind" "$name" "$round" "$status"
      without_passed "$log"
    fi
  done
  # A round without them would say less than it seems to.
  kill -0 "${busy[@]}" || { printf 'a busy loop has ended\n' >&2; exit 2; }
  printf '%s: %s of %s rounds\n' "$kind" "$round" "$rounds" >&2
done

printf '\n| %s | rounds | failed | slowest, s |\n|---|---|---|---|\n' "$kind"
total=0
for program in "${programs[@]}"; do
  name=$(basename "$program")
  printf '| %s | %s | %s | %s |\n' "$name" "$rounds" "${failures[$name]}" "${slowest[$name]}"
  total=$((total + failures[$name]))
done
[ "$total" -eq 0 ]
