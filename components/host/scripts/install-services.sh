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

# service_command SCRIPT: runs a script of this directory.
service_command() {
  printf '/bin/bash %s %s' "$(unit_word "$DIR/bin/$1")" "$(unit_word "$DIR")"
}

owner=$(stat -c %U "$DIR")
declare -A WANTED=()
for service in "$@"; do
  WANTED[$service]=yes
  case $service in
    boot)
      bash "$here/mount-instance-store.sh" "$DIR"
      # Docker starts Triton again by itself: the models are to be there before. A refill can take minutes.
      install_unit boot <<EOT
[Unit]
Description=xsched-triton: models and server of $DIR
After=network-online.target local-fs.target
Wants=network-online.target
Before=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$(service_command boot-host.sh)
TimeoutStartSec=1800
Restart=on-failure
RestartSec=30

[Install]
WantedBy=multi-user.target
EOT
      # The rest of the boot needs Docker, which waits for the first part.
      install_unit resume <<EOT
[Unit]
Description=xsched-triton: server of $DIR
After=docker.service $(unit_name boot)

[Service]
Type=oneshot
RemainAfterExit=yes
User=$owner
ExecStart=$(service_command resume-host.sh)
TimeoutStartSec=1800
Restart=on-failure
RestartSec=30

[Install]
WantedBy=multi-user.target
EOT
      ;;
    spot)
      install_unit spot <<EOT
[Unit]
Description=xsched-triton: notice of a spot interruption
After=network-online.target

[Service]
User=$owner
ExecStart=$(service_command watch-spot.sh)
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
EOT
      ;;
    metrics)
      install_unit metrics <<EOT
[Unit]
Description=xsched-triton: metrics of $DIR
After=network.target

[Service]
User=$owner
ExecStart=$(service_command serve-metrics.sh)
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
EOT
      ;;
    *) die "'$service' is not a service" "choose from boot, spot, metrics" ;;
  esac
done
[ -z "${WANTED[boot]-}" ] || WANTED[resume]=yes
for service in boot resume spot metrics; do
  [ -n "${WANTED[$service]-}" ] || remove_unit "$service"
done
