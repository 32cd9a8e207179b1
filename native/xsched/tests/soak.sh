#!/usr/bin/env bash
# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs every test program of a build again and again on a machine that is bad to
# it: beside busy loops, and with its processes stopped at random, for up to 150
# ms each time, so that whatever a test or the core takes for granted about time
# comes out. Prints a table; shows the output of each failure.
#   usage: soak.sh plain|thread|address [ROUNDS [PROGRAM]...]
#   ROUNDS: 20 unless given; PROGRAM: flight_test, … (default: all)
set -euo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=native/run-tests.sh
. "$tests/../../run-tests.sh"

kind=${1:?plain, thread or address} rounds=${2:-20}
shift $(($# > 2 ? 2 : $#))
build_kind "$kind"
set_sanitizer_options
mkdir -p "$BUILDS/$kind/soak"
# Several may run at a time.
logs=$(mktemp -d "$BUILDS/$kind/soak/XXXXXX")

SIGSTOP=$(kill -l STOP)
readonly SIGSTOP
busy=()
session=
# shellcheck disable=SC2317 # called by the trap
end() {
  [ -z "$session" ] || pkill -KILL -s "$session" || true
  [ ${#busy[@]} -eq 0 ] || kill "${busy[@]}" || true
}
trap end EXIT
for ((i = 0; i < $(nproc); ++i)); do
  (while :; do :; done) &
  busy+=($!)
done

milliseconds() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }

# is_running PID: it has neither ended nor been stopped.
is_running() {
  [[ $(ps -o stat= -p "$1") == [RSD]* ]]
}

# will_run PID: nor has it a stop before it.
will_run() {
  local pending
  is_running "$1" &&
    pending=$(sed -n 's/^ShdPnd:[[:space:]]*/0x/p' "/proc/$1/status" 2>/dev/null) &&
    [ -n "$pending" ] && (((pending & (1 << (SIGSTOP - 1))) == 0))
}

# stop_at_random SESSION: stops the session's leader for a moment, and again,
# until the session has ended; half of the time another of its processes, too.
# That one never by itself: a test stops its children as well, and one that it
# has just stopped must stay stopped.
stop_at_random() {
  local members other
  while mapfile -t members < <(pgrep -s "$1") && [ ${#members[@]} -gt 0 ]; do
    # Each may have ended meanwhile.
    kill -STOP "$1" 2>/dev/null || true
    while is_running "$1"; do
      sleep 0.001
    done
    other=${members[RANDOM % ${#members[@]}]}
    if [ "$other" = "$1" ] || ((RANDOM % 2)) || ! will_run "$other"; then
      other=
    fi
    [ -z "$other" ] || kill -STOP "$other" 2>/dev/null || true
    sleep "$(milliseconds $((RANDOM % 150)))"
    [ -z "$other" ] || kill -CONT "$other" 2>/dev/null || true
    kill -CONT "$1" 2>/dev/null || true
    sleep "$(milliseconds $((RANDOM % 60)))"
  done
}

# run_once PROGRAM LOG: its exit status; 124 if it was still running after
# TEST_SECONDS. It leads a session of its own, which its children belong to.
run_once() {
  local status=0 stopper
  setsid "$1" >"$2" 2>&1 &
  session=$!
  stop_at_random "$session" &
  stopper=$!
  (
    trap - EXIT
    sleep "$TEST_SECONDS" &
    trap 'kill $!; exit' TERM
    wait $!
    : >"$2.late"
    pkill -KILL -s "$session"
  ) &
  local clock=$!
  wait "$session" || status=$?
  kill "$clock" 2>/dev/null || true
  wait "$clock" 2>/dev/null || true
  # Children that it left behind are stopped no more.
  pkill -KILL -s "$session" || true
  wait "$stopper"
  session=
  [ ! -e "$2.late" ] || status=124
  rm -f "$2.late"
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
