#!/usr/bin/env bash
# drain-server.sh DIR SECONDS: ends DIR's server as a deployment would, but within SECONDS, and keeps its settings:
# resume-server.sh starts it again. Waits for no deployment that is under way: the machine is about to go.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/server-lifecycle.sh
. "$here/server-lifecycle.sh"

[ $# -eq 2 ] || die "drain-server.sh takes two arguments, got $#" "drain-server.sh DIR SECONDS"
use_host_directory "$1"
[ -r "$DIR/server/settings" ] || exit 0
seconds=$(stop_seconds)
stop_server $((seconds < $2 ? seconds : $2))
