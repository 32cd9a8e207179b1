#!/usr/bin/env bash
# mount-instance-store.sh DIR: lets the models of DIR lie on the instance's NVMe disk, where it has one. Such a disk is
# empty after each stop of the instance; refill-models.sh brings the models back. Does nothing on other hosts, where
# models are on the root disk already, and never formats a disk that holds something of others.

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=components/host/scripts/host-directory.sh
. "$here/host-directory.sh"
# shellcheck source=components/host/scripts/host-units.sh
. "$here/host-units.sh"

[ $# -eq 1 ] || die "mount-instance-store.sh takes one argument, got $#" "mount-instance-store.sh DIR"
use_host_directory "$1"

# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/nvme-ebs-volumes.html tells the two kinds apart by this name.
STORE_MODEL='Amazon EC2 NVMe Instance Storage'
# A Deep Learning AMI puts all such disks together and mounts them here itself.
DLAMI_MOUNT=${XSCHED_TRITON_DLAMI_NVME:-/opt/dlami/nvme}
LABEL=xsched-models

owner=$(stat -c %U:%G "$DIR")
target=$DIR/models/store
if mountpoint -q "$target"; then
  exit 0
fi
if [ -n "$(find "$target" -mindepth 1 -maxdepth 1 -print -quit 2>/dev/null)" ]; then
  # Never of a host that has used the disk: what it mounts over is empty.
  progress "models lie on the root disk already; they stay there"
  exit 0
fi

if mountpoint -q "$DLAMI_MOUNT"; then
  folder=$DLAMI_MOUNT/xsched-triton-$(host_identity)
  require_root
  as_root mkdir -p "$folder" "$target"
  as_root chown "$owner" "$folder" "$DIR/models"
  as_root mount --bind "$folder" "$target"
  progress "models lie on the instance store, below $DLAMI_MOUNT"
  exit 0
fi

disk=""
while read -r name model; do
  if [ "$model" = "$STORE_MODEL" ] && ! lsblk -nro MOUNTPOINT "$name" | grep -q .; then
    case $(blkid -p -s LABEL -o value "$name" 2>/dev/null || true) in
      "$LABEL") disk=$name found=ours ;;
      *)
        # Exit status 2 says that nothing is on it.
        blkid -p "$name" >/dev/null 2>&1 && status=0 || status=$?
        if [ "$status" = 2 ] && [ -z "$disk" ]; then
          disk=$name found=blank
        fi
        ;;
    esac
  fi
done < <(lsblk -dnro NAME,MODEL --paths 2>/dev/null | sed 's/\\x20/ /g' || true)
[ -n "$disk" ] || exit 0

require_root
if [ "$found" = blank ]; then
  progress "formatting the instance store $disk"
  # Without discarding first, which takes minutes on a large disk and which a new instance store needs not.
  as_root mkfs.ext4 -q -L "$LABEL" -m 0 -E nodiscard "$disk"
fi
as_root mkdir -p "$target"
as_root chown "$owner" "$DIR/models"
as_root mount -o noatime "$disk" "$target"
as_root rmdir "$target/lost+found" 2>/dev/null || true
as_root chown "$owner" "$target"
progress "models lie on the instance store $disk"
