#!/usr/bin/env bash
# boot-host.sh DIR: what a host needs after each start of the machine, before Docker: the instance store, and the models
# on it. systemd runs it as root.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"

[ $# -eq 1 ] || die "boot-host.sh takes one argument, got $#" "boot-host.sh DIR"
use_host_directory "$1"
bash "$here/mount-instance-store.sh" "$DIR"
owner=$(stat -c %U "$DIR")
if [ "$owner" = "$(id -un)" ]; then
  exec bash "$here/refill-models.sh" "$DIR"
fi
exec runuser -u "$owner" -- env HOME="$(getent passwd "$owner" | cut -d: -f6)" bash "$here/refill-models.sh" "$DIR"
