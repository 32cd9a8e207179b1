# shellcheck shell=bash
# shellcheck disable=SC2034  # the label is read by the scripts that source this
# The NVMe disks that come with an instance, and what this host directory makes of them. Needs host-directory.sh.
# Sourced, never run.
# Several disks become one volume of LVM, striped over all of them, as AWS's Deep Learning AMI does it; lvm2 is on every
# Ubuntu server. A single disk is used as it is.

# shellcheck source=components/host/scripts/host-units.sh
. "$(dirname "${BASH_SOURCE[0]}")/host-units.sh"

# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/nvme-ebs-volumes.html tells the two kinds apart by this name.
STORE_MODEL='Amazon EC2 NVMe Instance Storage'
# A Deep Learning AMI puts all such disks together and mounts them here itself, by its dlami-nvme.service.
DLAMI_MOUNT=${XSCHED_TRITON_DLAMI_NVME:-/opt/dlami/nvme}
# The file system of a single disk.
STORE_LABEL=xsched-models

store_folder() {
  printf '%s/models/store' "$DIR"
}

# Where the models are on a file system that a Deep Learning AMI has mounted.
dlami_folder() {
  printf '%s/xsched-triton-%s' "$DLAMI_MOUNT" "$(host_identity)"
}

# The volume group and its only volume.
store_group() {
  printf 'xsched-triton-%s' "$(host_identity)"
}

store_volume() {
  printf '/dev/%s/models' "$(store_group)"
}

store_group_exists() {
  as_root vgs "$(store_group)" >/dev/null 2>&1
}

# store_disks: every such disk, one a line.
store_disks() {
  lsblk -dnro NAME,MODEL --paths 2>/dev/null | sed 's/\\x20/ /g' | sed -n "s/ $STORE_MODEL *\$//p" || true
}

# disk_in_use DISK: whether it, or something on it, is mounted or swapped to.
disk_in_use() {
  lsblk -nro MOUNTPOINT "$1" | grep -q .
}

disk_label() {
  as_root blkid -p -s LABEL -o value "$1" 2>/dev/null || true
}

# disk_blank DISK: whether nothing is on it. As root: of a disk that it may not read, blkid says the same.
disk_blank() {
  local status=0
  as_root blkid -p "$1" >/dev/null 2>&1 || status=$?
  [ "$status" = 2 ]
}
