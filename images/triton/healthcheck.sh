#!/bin/sh
# healthcheck.sh [scheduler]: whether the Triton of this container is ready and, where that is required, scheduled; with
# "scheduler" whether it is scheduled, required or not. Says what is wrong and ends with 1 if not.
#
# Not Bash: NVIDIA's images set BASH_ENV, which would make each check begin with their own check of the GPU.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
# What entrypoint.sh writes.
state=${XSCHED_TRITON_STATE:-/tmp/xsched-triton}

unhealthy() {
  printf 'unhealthy: %s\n' "$*" >&2
  exit 1
}

# Sets what entrypoint.sh knows of the server.
read_state() {
  { read -r pid && read -r address && read -r port && read -r required && read -r driver; } 2>/dev/null <"$state/server" ||
    unhealthy "no tritonserver has been started by the image's entrypoint"
}

require_ready() {
  code=0
  line=$("$root/bin/http-status" "$address" "$port" /v2/health/ready) || code=$?
  [ "$code" != 1 ] || unhealthy "Triton does not listen at $address:$port yet"
  case $line in
    HTTP/1.?' 200'*) ;;
    *) unhealthy "Triton is not ready: ${line:-no answer within 5 s}" ;;
  esac
}

require_scheduled() {
  # Without the pid, a model's process that uses CUDA itself would be as good as the server.
  message=$("$root/bin/xsched-ctl" --pid "$pid" status 2>&1) ||
    unhealthy "Triton is not scheduled: $(printf '%s\n' "$message" | tail -n 1)"
  used=$(printf '%s\n' "$message" | sed -n 's/^driver  *//p')
  [ "$driver" = - ] || [ "$(readlink -f "$used")" = "$(readlink -f "$driver")" ] ||
    unhealthy "Triton is not scheduled on the right driver: it uses $used, CUDA would use $driver"
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
