#!/usr/bin/env bash
# configure-agent.sh DIR: Amazon's CloudWatch agent runs with the configuration on stdin. First line: the agent's own, as
# JSON; second: what it scrapes, as JSON, which is YAML.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/host/scripts/host-units.sh
. "$here/host-units.sh"

[ $# -eq 1 ] || die "configure-agent.sh takes one argument, got $#" "configure-agent.sh DIR"
use_host_directory "$1"
AGENT=${XSCHED_TRITON_AGENT:-/opt/aws/amazon-cloudwatch-agent}
# The one that AWS offers for all regions.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/download-CloudWatch-Agent-on-EC2-Instance-commandline-first.html
PACKAGE=${XSCHED_TRITON_AGENT_PACKAGE:-https://amazoncloudwatch-agent.s3.amazonaws.com/ubuntu/amd64/latest/amazon-cloudwatch-agent.deb}

{ IFS= read -r agent && IFS= read -r prometheus; } || die "the agent's configuration is incomplete" "pass two lines on stdin"
require_root
if [ ! -x "$AGENT/bin/amazon-cloudwatch-agent-ctl" ]; then
  progress "installing Amazon's CloudWatch agent"
  package=$(mktemp --suffix .deb)
  trap 'rm -f "$package"' EXIT
  curl -fsSL --retry 3 --max-time 300 -o "$package" "$PACKAGE" ||
    die "the CloudWatch agent cannot be downloaded from $PACKAGE" "give the host access to S3, or use a machine image with the agent, such as AWS's Deep Learning AMI"
  as_root dpkg -i "$package" >&2 || die "the CloudWatch agent cannot be installed" "see the lines above; it is for Debian and Ubuntu"
fi

# same FILE TEXT: leaves a file alone that holds the text already.
same() {
  [ "$(as_root cat "$1" 2>/dev/null)" = "$2" ]
}
config=$AGENT/etc/xsched-triton.json
scrape=$AGENT/etc/xsched-triton-prometheus.yaml
control=(as_root "$AGENT/bin/amazon-cloudwatch-agent-ctl")
if same "$config" "$agent" && same "$scrape" "$prometheus" && "${control[@]}" -a status | grep -q '"status": "running"'; then
  exit 0
fi
as_root tee "$scrape" >/dev/null <<<"$prometheus"
as_root tee "$config" >/dev/null <<<"$agent"
message=$("${control[@]}" -a fetch-config -m ec2 -s -c "file:$config" 2>&1) || {
  # Half a change would count as done the next time.
  as_root rm -f "$config"
  printf '%s\n' "$message" | tail -n 15 >&2
  die "the CloudWatch agent rejects its configuration (its last lines are above)" "see $AGENT/logs/ on the host"
}
