#!/usr/bin/env bash
# remove-agent.sh DIR: takes back what configure-agent.sh has done; the agent's package stays.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/host/scripts/host-units.sh
. "$here/host-units.sh"

[ $# -eq 1 ] || die "remove-agent.sh takes one argument, got $#" "remove-agent.sh DIR"
use_host_directory "$1"
AGENT=${XSCHED_TRITON_AGENT:-/opt/aws/amazon-cloudwatch-agent}
[ -x "$AGENT/bin/amazon-cloudwatch-agent-ctl" ] || exit 0
require_root
as_root "$AGENT/bin/amazon-cloudwatch-agent-ctl" -m ec2 -a stop >/dev/null 2>&1 || true
as_root rm -f "$AGENT/etc/xsched-triton.json" "$AGENT/etc/xsched-triton-prometheus.yaml"
