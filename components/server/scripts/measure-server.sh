#!/usr/bin/env bash
# measure-server.sh DIR: everything about the server and its load that changes from one moment to the next, as one JSON
# document: what describe-server.sh says, Triton's statistics and metrics, and the scheduler's counters or, if there
# are none, why.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/server/scripts/triton-api.sh
. "$here/triton-api.sh"

[ $# -eq 1 ] || die "measure-server.sh takes one argument, got $#" "measure-server.sh DIR"
use_host_directory "$1"

server=$(bash "$here/describe-server.sh" "$DIR")
statistics=null metrics="" queues=null problem=""
if triton_address; then
  port=$(sed -n 's/^metricsPort //p' "$DIR/server/settings")
  ! triton_request GET /v2/models/stats 10 || [ "$HTTP_STATUS" != 200 ] || statistics=$HTTP_BODY
  ! http_request "${TRITON_ADDRESS%:*}:$port" GET /metrics 10 || [ "$HTTP_STATUS" != 200 ] || metrics=$HTTP_BODY
fi
if ! queues=$(bash "$here/control-scheduler.sh" "$DIR" stats --json 2>&1); then
  problem=${queues##*$'\n'}
  queues=null
fi
# What happens between two measurements is divided by the time between them, whenever they arrive.
read -r uptime _ </proc/uptime
printf '{"seconds":%s,"server":%s,"statistics":%s,"metrics":%s,"queues":%s,"noQueues":%s}\n' \
  "$uptime" "$server" "$statistics" "$(json_string "$metrics")" "$queues" "$(json_string "${problem#error: }")"
