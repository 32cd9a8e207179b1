#!/usr/bin/env bash
# install-services.sh DIR SERVICE…: what runs on the host beside the server, by systemd: exactly these services.
#   boot     after each start of the machine: instance store, models, server
#   spot     drains the server when AWS is about to take the instance back
#   metrics  says over HTTP whether the server is ready, and what the scheduler counts

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/host/scripts/host-units.sh
. "$here/host-units.sh"

[ $# -ge 1 ] || die "install-services.sh takes at least one argument" "install-services.sh DIR [SERVICE…]"
use_host_directory "$1"
shift
require_root
command -v systemctl >/dev/null || die "this host has no systemd" "use a machine image with systemd, such as Ubuntu"

owner=$(stat -c %U "$DIR")
# Not as root: what it starts could not be stopped by the user who deploys. What it has started is not part of it, but a
# server that runs on when the unit is restarted.
AS_OWNER="User=$owner
KillMode=process"
# A refill of the models can take minutes.
ONCE="Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=1800
Restart=on-failure
RestartSec=30"
ALWAYS="Restart=always
RestartSec=5"

# install_script NAME SCRIPT DESCRIPTION UNIT SERVICE…: a unit that runs a script of this directory. UNIT and each SERVICE
# are further lines of these sections.
install_script() {
  local name=$1 script=$2 description=$3 unit=$4
  shift 4
  install_unit "$name" <<EOT
[Unit]
Description=xsched-triton: $description
$unit

[Service]
ExecStart=/bin/bash $(unit_word "$DIR/bin/$script") $(unit_word "$DIR")
$(printf '%s\n' "$@")

[Install]
WantedBy=multi-user.target
EOT
}

declare -A WANTED=()
for service in "$@"; do
  WANTED[$service]=yes
  case $service in
    boot)
      bash "$here/mount-instance-store.sh" "$DIR"
      # Docker starts Triton again by itself: the models are to be there before. A Deep Learning AMI has the first say on
      # the disks.
      install_script boot boot-host.sh "models and server of $DIR" "After=network-online.target local-fs.target dlami-nvme.service
Wants=network-online.target
Before=docker.service" "$ONCE"
      # The rest of the boot needs Docker, which waits for the first part.
      install_script resume resume-host.sh "server of $DIR" "After=docker.service $(unit_name boot)" "$AS_OWNER" "$ONCE"
      ;;
    spot)
      install_script spot watch-spot.sh "notice of a spot interruption" "After=network-online.target" "$AS_OWNER" "$ALWAYS"
      ;;
    metrics)
      install_script metrics serve-metrics.sh "metrics of $DIR" "After=network.target" "User=$owner" "$ALWAYS"
      ;;
    *) die "'$service' is not a service" "choose from boot, spot, metrics" ;;
  esac
done
[ -z "${WANTED[boot]-}" ] || WANTED[resume]=yes
for service in boot resume spot metrics; do
  [ -n "${WANTED[$service]-}" ] || remove_unit "$service"
done
