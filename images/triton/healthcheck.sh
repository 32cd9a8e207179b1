#!/bin/sh
# healthcheck.sh [scheduler]: checks that this container's Triton is ready and, if required, scheduled. With
# "scheduler", checks only that it is scheduled, required or not. Otherwise prints the problem and exits with 1.
#
# Not Bash: NVIDIA's images set BASH_ENV, which would make each check start with their own check of the GPU.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
# Written by entrypoint.sh.
state=${XSCHED_TRITON_STATE:-/tmp/xsched-triton}

unhealthy() {
  printf 'unhealthy: %s\n' "$*" >&2
  exit 1
}

# Sets what entrypoint.sh wrote about the server.
read_state() {
  { read -r pid && read -r address && read -r port && read -r required && read -r driver; } 2>/dev/null <"$state/server" ||
    unhealthy "the image's entrypoint has not started tritonserver"
}

require_ready() {
  code=0
  line=$("$root/bin/http-status" "$address" "$port" /v2/health/ready) || code=$?
  [ "$code" != 1 ] || unhealthy "Triton is not listening on $address:$port yet"
  case $line in
    HTTP/1.?' 200'*) ;;
    *) unhealthy "Triton is not ready: ${line:-no answer within 5 s}" ;;
  esac
}

require_scheduled() {
  # Without the pid, a model's own process that uses CUDA would do.
  message=$("$root/bin/xsched-ctl" --pid "$pid" status 2>&1) ||
    unhealthy "Triton is not scheduled: $(printf '%s\n' "$message" | tail -n 1)"
  # Without the hooks, the shim schedules streams, but knows no model.
  [ "${XSCHED_TRITON_VARIANT-}" != hooked ] || grep -qF /libxsched_triton_hooks.so "/proc/$pid/maps" 2>/dev/null ||
    unhealthy "Triton is not scheduled: it runs without the hooks for its backends"
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
  *) unhealthy "'$1' is not a check; the only one is scheduler" ;;
esac

read_state
[ ! -e "$state/draining" ] || unhealthy "Triton is draining before it stops"
require_ready
[ "$required" != ON ] || require_scheduled
