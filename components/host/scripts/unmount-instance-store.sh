#!/usr/bin/env bash
# unmount-instance-store.sh DIR: undoes mount-instance-store.sh: the disks are empty and free again.
# What is on them is lost with the host.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/host/scripts/instance-store.sh
. "$here/instance-store.sh"

[ $# -eq 1 ] || die "unmount-instance-store.sh takes one argument, got $#" "unmount-instance-store.sh DIR"
use_host_directory "$1"
target=$(store_folder)
device=""
if mountpoint -q "$target"; then
  require_root
  device=$(findmnt -no SOURCE "$target")
  find "$target" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
  as_root umount "$target" || die "$target is in use" "stop what uses it (fuser -vm '$target'), then try again"
fi
# Also left by an interrupted mount.
if [ -n "$(store_disks)" ] && store_group_exists; then
  mapfile -t disks < <(as_root vgs --noheadings -o pv_name "$(store_group)" | tr -d ' ')
  as_root vgremove --quiet --yes "$(store_group)" >/dev/null
  as_root pvremove --quiet "${disks[@]}" >/dev/null
elif [ -b "$device" ] && [ "$(disk_label "$device")" = "$STORE_LABEL" ]; then
  as_root wipefs --all --quiet "$device"
fi
as_root rmdir "$(dlami_folder)" 2>/dev/null || true
