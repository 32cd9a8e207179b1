#!/usr/bin/env bash
# healthcheck.sh [scheduler]: whether the Triton of this container is ready and, where that is required, scheduled; with
# "scheduler" whether it is scheduled, required or not. Says what is wrong and ends with 1 if not.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What entrypoint.sh writes.
state=${XSCHED_TRITON_STATE:-/tmp/xsched-triton}

unhealthy() {
  printf 'unhealthy: %s\n' "$*" >&2
  exit 1
}

# Sets "pid", "address", "port" and "required" of the server.
read_state() {
  { read -r pid && read -r address port && read -r required; } 2>/dev/null <"$state/server" ||
    unhealthy "no tritonserver has been started by the image's entrypoint"
}

require_ready() {
  local connection line=""
  { exec {connection}<>"/dev/tcp/$address/$port"; } 2>/dev/null || unhealthy "Triton does not listen at $address:$port yet"
  printf 'GET /v2/health/ready HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$address" >&"$connection"
  IFS= read -r -t 5 -u "$connection" line || true
  exec {connection}>&-
  [[ $line == HTTP/1.?' 200'* ]] || unhealthy "Triton is not ready: ${line:-no answer within 5 s}"
}

require_scheduled() {
  local message
  # Without the pid, a model's process that uses CUDA itself would be as good as the server.
  message=$("$root/bin/xsched-ctl" --pid "$pid" status 2>&1) || unhealthy "Triton is not scheduled: ${message##*$'\n'}"
}

case ${1-} in
  '') ;;
  scheduler)
    read_state
    require_scheduled
    exit 0
    ;;
  *) unhealthy "'$1' is not a check; there is: scheduler" ;;
esac

read_state
[ ! -e "$state/draining" ] || unhealthy "Triton is about to stop"
require_ready
[ "$required" != ON ] || require_scheduled
