#!/usr/bin/env bash
# stop-server.sh DIR: ends DIR's server and removes its state: no process, shared memory or port is left.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/server-lifecycle.sh
. "$here/server-lifecycle.sh"

[ $# -eq 1 ] || die "stop-server.sh takes one argument, got $#" "stop-server.sh DIR"
use_host_directory "$1"
[ -d "$DIR" ] || exit 0
lock server
stop_server "$(stop_seconds)"
rm -rf "$DIR/server"
