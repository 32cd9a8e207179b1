#!/usr/bin/env bash
# control-scheduler.sh DIR WORD…: xsched-ctl WORD… for the tritonserver of the container that is deployed in DIR. Ends
# with xsched-ctl's own status (native/xsched/README.md), so with 3 if there is no scheduler to talk to.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/server-container.sh
. "$here/server-container.sh"

[ $# -ge 2 ] || die "control-scheduler.sh takes two or more arguments, got $#" "control-scheduler.sh DIR WORD…"
use_host_directory "$1"
shift

no_scheduler() {
  printf 'error: %s\n' "$*" >&2
  exit 3
}

[ "$(sed -n 's/^kind //p' "$DIR/server/settings" 2>/dev/null)" = container ] ||
  no_scheduler "this server runs as a process, on the CPU, where there is nothing to schedule"
container_running || no_scheduler "the container $(container_name) does not run"
# The image's entrypoint writes down tritonserver's pid; a model's own process may use CUDA, too.
# shellcheck disable=SC2016  # expands in the container
exec docker exec "$(container_name)" sh -c '
  state=${XSCHED_TRITON_STATE:-/tmp/xsched-triton}/server control=/opt/xsched/bin/xsched-ctl
  if [ ! -x "$control" ] || ! read -r pid 2>/dev/null <"$state"; then
    echo "error: the image of this container has no XSched" >&2
    exit 3
  fi
  exec "$control" --pid "$pid" "$@"' xsched-ctl "$@"
