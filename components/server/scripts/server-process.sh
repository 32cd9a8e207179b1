# shellcheck shell=bash
# The processes of the process runtime: which of this machine's processes are ours, and how they start and end.
# Needs host-directory.sh. Sourced, never run.
# A process is ours if its executable lies in this host directory's runtime, whatever a pid file says.

# shellcheck source=components/server/scripts/triton-api.sh
. "$(dirname "${BASH_SOURCE[0]}")/triton-api.sh"

# runtime_processes PATTERN: the pids of our processes whose executable's name matches.
runtime_processes() {
  local process executable
  find /proc -mindepth 2 -maxdepth 2 -name exe -printf '%h\t%l\n' 2>/dev/null |
    while IFS=$'\t' read -r process executable; do
      # "(deleted)" is what Linux appends when the file was replaced.
      executable=${executable% (deleted)}
      # shellcheck disable=SC2254  # the pattern is meant as one
      case $executable in
        "$DIR"/runtime/*) case ${executable##*/} in $1) printf '%s\n' "${process#/proc/}" ;; esac ;;
      esac
    done || true
}

triton_pid() {
  runtime_processes tritonserver | head -n 1
}

# process_start PID: when it began, in clock ticks since boot; with the pid it names one process for certain.
# Fails if it has ended, also if nobody has collected it yet, as happens where process 1 is not a real init.
process_start() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  # The second field, the name, may itself hold spaces and parentheses.
  stat=${stat##*) }
  # shellcheck disable=SC2086  # meant to be split
  set -- $stat
  [ "$1" != Z ] || return 1
  printf '%s' "${20}"
}

# The supervisor's pid, if the one that the pid file names is alive and is not another process of the same number.
supervisor_pid() {
  local pid start boot
  [ -r "$DIR/server/supervisor" ] || return 1
  read -r pid start boot <"$DIR/server/supervisor" || return 1
  [ "$boot" = "$(</proc/sys/kernel/random/boot_id)" ] || return 1
  [ "$start" = "$(process_start "$pid" || printf ended)" ] || return 1
  printf '%s' "$pid"
}

shared_memory_prefix() {
  printf 'xsched-triton-%s-' "$(host_identity)"
}

remove_shared_memory() {
  rm -f "/dev/shm/$(shared_memory_prefix)"*
}

process_signal() {
  local signal=$1 pids=$2 pid
  for pid in $pids; do
    kill "-$signal" "$pid" 2>/dev/null || true
  done
}

# stop_process GRACE_SECONDS: ends the supervisor, the server and its stubs, gently at first.
stop_process() {
  local grace=$1 supervisor pids waited=0
  supervisor=$(supervisor_pid) || supervisor=""
  # The supervisor passes the signal on. A second one would make Triton drop its requests.
  if [ -n "$supervisor" ]; then
    process_signal TERM "$supervisor"
  else
    process_signal TERM "$(runtime_processes tritonserver)"
  fi
  while pids=$(runtime_processes '*') && { [ -n "$pids" ] || { [ -n "$supervisor" ] && supervisor_pid >/dev/null; }; }; do
    if [ "$waited" -ge $((grace * 5)) ]; then
      [ "$waited" -gt $((grace * 5)) ] || progress "Triton did not end within $grace s; killing it"
      process_signal KILL "$supervisor"
      process_signal KILL "$pids"
    elif [ $((waited % 25)) -eq 24 ]; then
      progress "waiting for requests in flight ($((waited / 5)) s)"
    fi
    sleep 0.2
    waited=$((waited + 1))
  done
  remove_shared_memory
}

# launch_process: starts the supervisor for $DIR/server/settings in a session of its own.
launch_process() {
  mkdir -p "$DIR/server/logs"
  rm -f "$DIR/server/supervisor" "$DIR/server/ended"
  # Nothing of this session may stay open in it, or the SSH or Pulumi that called us would wait for the server.
  setsid --fork "$DIR/bin/supervise-server.sh" "$DIR" </dev/null >/dev/null 2>&1
}

# Whether the server that was launched has ended already.
process_failed() {
  [ -e "$DIR/server/ended" ]
}

# process_log LINES: the last ones of the server that was launched last, not of the one that was stopped for it, and
# without the pages of usage that Triton prints when it refuses an argument.
process_log() {
  tac "$DIR/server/logs/triton.log" 2>/dev/null | sed '/ supervisor: stopped$/Q' | tac |
    sed '/^Usage: tritonserver/,/ supervisor: /d' | tail -n "$1" || true
}
