#!/usr/bin/env bash
# unmount-instance-store.sh DIR: takes back what mount-instance-store.sh has done. What lies there goes with the host.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/host/scripts/host-units.sh
. "$here/host-units.sh"

[ $# -eq 1 ] || die "unmount-instance-store.sh takes one argument, got $#" "unmount-instance-store.sh DIR"
use_host_directory "$1"
target=$DIR/models/store
mountpoint -q "$target" || exit 0
require_root
find "$target" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
as_root umount "$target" || die "$target is in use" "stop what uses it (fuser -vm '$target'), then try again"
