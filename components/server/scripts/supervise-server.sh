#!/usr/bin/env bash
# supervise-server.sh DIR: keeps the tritonserver of DIR/server/settings running until it is told to stop (SIGTERM).
# start-server.sh starts it; it is the only process that starts tritonserver.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/server-process.sh
. "$here/server-process.sh"
# shellcheck source=components/server/scripts/server-settings.sh
. "$here/server-settings.sh"

use_host_directory "$1"
# process_arguments may name paths from here.
cd "$DIR"
trap '' HUP INT

# The caller's lock and pipes. 255 is where bash reads this script from.
for descriptor in "/proc/$$/fd"/*; do
  descriptor=${descriptor##*/}
  if [ "$descriptor" -gt 2 ] && [ "$descriptor" -ne 255 ]; then
    exec {descriptor}>&-
  fi
done

log=$DIR/server/logs/triton.log
exec >>"$log" 2>&1

printf '%s %s %s\n' $$ "$(process_start $$)" "$(</proc/sys/kernel/random/boot_id)" >"$DIR/server/supervisor.new"
mv -T "$DIR/server/supervisor.new" "$DIR/server/supervisor"

read_settings <"$DIR/server/settings"
megabytes=${SETTING[logMegabytes]}
# Two files, the current one and the one before it, make up the limit.
log_limit=$((megabytes * 1024 * 1024 / 2))
runtime=$DIR/runtime/${SETTING[runtime]}

note() {
  printf '%s supervisor: %s\n' "$(date '+%m%d %H:%M:%S')" "$*"
}

# Triton keeps the file open, so its content moves, not the file. Lines written in this instant may be lost.
rotate_log() {
  local size
  size=$(stat -c %s "$log" 2>/dev/null) || return 0
  if [ "$size" -ge "$log_limit" ]; then
    tail -c "$log_limit" "$log" >"$log.1" || true
    : >"$log"
  fi
}

stopping="" server=""
stop() {
  stopping=yes
  [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
}
trap stop TERM

# wait_for SECONDS [PID]: until then, or until the process ends, or a signal arrives.
wait_for() {
  local sleeper
  sleep "$1" &
  sleeper=$!
  wait -n "$sleeper" ${2:+"$2"} || true
  kill "$sleeper" 2>/dev/null || true
}

# Someone removed the state or started another supervisor: this one is no longer needed.
is_current() {
  [ "$(supervisor_pid)" = $$ ]
}

delay=1
while [ -z "$stopping" ] && is_current; do
  # Stubs of a server that was killed hold the shared memory that is removed next.
  process_signal KILL "$(runtime_processes '*')"
  remove_shared_memory
  arguments=()
  process_arguments
  note "starting tritonserver"
  began=$SECONDS
  # A clean environment: what a login happens to set must not change how models run.
  env -i PATH="$runtime/python/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    HOME="${HOME:-/}" LANG=C.UTF-8 PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 \
    "$runtime/tritonserver/bin/tritonserver" "${arguments[@]}" &
  server=$!
  while kill -0 "$server" 2>/dev/null; do
    wait_for 2 "$server"
    rotate_log
    is_current || stop
  done
  status=0
  wait "$server" || status=$?
  server=""
  [ -z "$stopping" ] || break
  [ $((SECONDS - began)) -lt 60 ] || delay=1
  note "tritonserver ended with status $status; starting it again in $delay s"
  printf '%s\n' "$status" >"$DIR/server/ended"
  wait_for "$delay"
  delay=$((delay * 2 > 10 ? 10 : delay * 2))
done
note "stopped"
