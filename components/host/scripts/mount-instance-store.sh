#!/usr/bin/env bash
# mount-instance-store.sh DIR: puts the models of DIR on all NVMe disks of the instance, if it has any.
# Such disks are empty after each stop of the instance; refill-models.sh brings the models back. Does nothing on other
# hosts, where models are on the root disk already, and never touches a disk with other data on it.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/host/scripts/instance-store.sh
. "$here/instance-store.sh"

[ $# -eq 1 ] || die "mount-instance-store.sh takes one argument, got $#" "mount-instance-store.sh DIR"
use_host_directory "$1"

owner=$(stat -c %U:%G "$DIR")
target=$(store_folder)
if mountpoint -q "$target"; then
  exit 0
fi
if [ -n "$(find "$target" -mindepth 1 -maxdepth 1 -print -quit 2>/dev/null)" ]; then
  # Never on a host that has used the disk: the mount point is empty.
  progress "models lie on the root disk already; they stay there"
  exit 0
fi

if mountpoint -q "$DLAMI_MOUNT"; then
  folder=$(dlami_folder)
  require_root
  as_root mkdir -p "$folder" "$target"
  as_root chown "$owner" "$folder" "$DIR/models"
  as_root mount --bind "$folder" "$target"
  progress "models lie on the instance store, below $DLAMI_MOUNT"
  exit 0
fi

disks=()
mapfile -t disks < <(store_disks)
[ ${#disks[@]} -gt 0 ] || exit 0
require_root

# What was made before, otherwise what is free.
device="" blank=()
if store_group_exists; then
  device=$(store_volume)
else
  for disk in "${disks[@]}"; do
    ! disk_in_use "$disk" || continue
    if [ "$(disk_label "$disk")" = "$STORE_LABEL" ]; then
      device=$disk
      break
    elif disk_blank "$disk"; then
      blank+=("$disk")
    fi
  done
fi
if [ -z "$device" ]; then
  [ ${#blank[@]} -gt 0 ] || exit 0
  device=${blank[0]}
  if [ ${#blank[@]} -gt 1 ] && as_root vgs >/dev/null 2>&1; then
    progress "putting ${#blank[@]} disks of the instance store together: ${blank[*]}"
    as_root vgcreate --quiet "$(store_group)" "${blank[@]}" >/dev/null
    device=$(store_volume)
  elif [ ${#blank[@]} -gt 1 ]; then
    progress "warning: only one of ${#blank[@]} disks is used, as LVM does not work here: sudo apt-get install lvm2"
  fi
fi

if [ "$device" = "$(store_volume)" ]; then
  # Each step on its own, since the machine may stop between any two.
  if ! as_root lvs "$(store_group)/models" >/dev/null 2>&1; then
    stripes=$(as_root vgs --noheadings -o pv_count "$(store_group)")
    as_root lvcreate --quiet --yes --type striped --stripes "${stripes//[^0-9]/}" --extents 100%FREE \
      --name models "$(store_group)" >/dev/null
  fi
  as_root vgchange --quiet --activate y "$(store_group)" >/dev/null ||
    die "the instance store $(store_group) lacks a disk" "stop the instance and start it again: it gets new disks"
fi
if disk_blank "$device"; then
  progress "formatting the instance store $device"
  # Without discarding first, which takes minutes on a large disk and which a new instance store does not need.
  as_root mkfs.ext4 -q -L "$STORE_LABEL" -m 0 -E nodiscard "$device"
fi
as_root mkdir -p "$target"
as_root chown "$owner" "$DIR/models"
as_root mount -o noatime "$device" "$target"
as_root rmdir "$target/lost+found" 2>/dev/null || true
as_root chown "$owner" "$target"
progress "models lie on the instance store $device"
