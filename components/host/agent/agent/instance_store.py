"""The NVMe disks that come with an instance of EC2, and what a host folder makes of them: the place of its models.

Several disks become one volume of LVM, striped over all of them, as AWS's Deep Learning AMI does it; lvm2 is on every
Ubuntu server. A single disk is used as it is. Such disks are empty after each stop of the instance: the command
`refill` brings the models back. On other hosts the models are on the root disk, and a disk with other data is never
touched.
"""

import contextlib
import os
from pathlib import Path
from typing import List, Optional

from .console import progress
from .directory import HostDirectory
from .errors import HostError
from .programs import Finished, call
from .units import as_root, require_root

#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/nvme-ebs-volumes.html tells the two kinds apart by this name.
MODEL = "Amazon EC2 NVMe Instance Storage"
#: The file system of a single disk.
LABEL = "xsched-models"


def deep_learning_mount() -> Path:
    """A Deep Learning AMI puts all such disks together and mounts them here itself, by its dlami-nvme.service."""
    return Path(os.environ.get("XSCHED_TRITON_DLAMI_NVME", "/opt/dlami/nvme"))


def deep_learning_folder(directory: HostDirectory) -> Path:
    """Where the models are on that file system."""
    return deep_learning_mount() / f"xsched-triton-{directory.identity}"


def group(directory: HostDirectory) -> str:
    """The volume group of a host folder."""
    return f"xsched-triton-{directory.identity}"


def volume(directory: HostDirectory) -> str:
    """The only volume of the group."""
    return f"/dev/{group(directory)}/models"


def disks() -> List[str]:
    """Every disk of the instance store."""
    found = []
    for line in call(["lsblk", "-dnro", "NAME,MODEL", "--paths"]).out.splitlines():
        name, _, model = line.partition(" ")
        if model.replace("\\x20", " ").strip() == MODEL:
            found.append(name)
    return found


def is_mounted(path: Path) -> bool:
    # Not os.path.ismount, which misses a folder of the same file system that is mounted elsewhere.
    return call(["mountpoint", "-q", str(path)]).ok


def in_use(disk: str) -> bool:
    """Whether the disk, or something on it, is mounted or swapped to."""
    return call(["lsblk", "-nro", "MOUNTPOINT", disk]).out.strip() != ""


def label(device: str) -> str:
    return as_root(["blkid", "-p", "-s", "LABEL", "-o", "value", device]).out.strip()


def is_blank(device: str) -> bool:
    """Whether nothing is on it. As root: of a disk that it may not read, blkid says the same."""
    return as_root(["blkid", "-p", device]).status == 2


def order(*words: str) -> Finished:
    """Runs a program as root that must succeed."""
    finished = as_root(words)
    if not finished.ok:
        raise HostError(
            f"the instance store cannot be changed: {words[0]}: {finished.reason}",
            "see what is on the disks (lsblk -f), or stop the instance and start it again: it gets new disks",
        )
    return finished


def group_exists(directory: HostDirectory) -> bool:
    return as_root(["vgs", group(directory)]).ok


def mount(directory: HostDirectory) -> None:
    """Puts the models of a host folder on the disks of the instance, if it has any."""
    store = directory.store
    if is_mounted(store):
        return
    if store.is_dir() and any(store.iterdir()):
        # Never on a host that has used the disk: the mount point is empty.
        progress("models lie on the root disk already; they stay there")
        return
    if is_mounted(deep_learning_mount()):
        _mount_folder(directory)
        return
    found = disks()
    if not found:
        return
    require_root()
    device = _existing(directory, found) or _compose(directory, [disk for disk in found if _is_free(disk)])
    if device is None:
        return
    if device == volume(directory):
        _complete(directory)
    if is_blank(device):
        progress(f"formatting the instance store {device}")
        # Without discarding first, which takes minutes on a large disk and which a new instance store does not need.
        order("mkfs.ext4", "-q", "-L", LABEL, "-m", "0", "-E", "nodiscard", device)
    order("mkdir", "-p", str(store))
    order("chown", _owner(directory), str(directory.models))
    order("mount", "-o", "noatime", device, str(store))
    as_root(["rmdir", str(store / "lost+found")])
    order("chown", _owner(directory), str(store))
    progress(f"models lie on the instance store {device}")


def _owner(directory: HostDirectory) -> str:
    status = directory.path.stat()
    return f"{status.st_uid}:{status.st_gid}"


def _mount_folder(directory: HostDirectory) -> None:
    folder = deep_learning_folder(directory)
    require_root()
    order("mkdir", "-p", str(folder), str(directory.store))
    order("chown", _owner(directory), str(folder), str(directory.models))
    order("mount", "--bind", str(folder), str(directory.store))
    progress(f"models lie on the instance store, below {deep_learning_mount()}")


def _existing(directory: HostDirectory, found: List[str]) -> Optional[str]:
    """What was made before."""
    if group_exists(directory):
        return volume(directory)
    return next((disk for disk in found if not in_use(disk) and label(disk) == LABEL), None)


def _is_free(disk: str) -> bool:
    return not in_use(disk) and is_blank(disk)


def _compose(directory: HostDirectory, blank: List[str]) -> Optional[str]:
    """Makes one device of blank disks; None if there are none."""
    if len(blank) > 1 and as_root(["vgs"]).ok:
        progress(f"putting {len(blank)} disks of the instance store together: {' '.join(blank)}")
        order("vgcreate", "--quiet", group(directory), *blank)
        return volume(directory)
    if len(blank) > 1:
        progress(
            f"warning: only one of {len(blank)} disks is used, as LVM does not work here: sudo apt-get install lvm2"
        )
    return blank[0] if blank else None


def _complete(directory: HostDirectory) -> None:
    """The group has its volume, which is there. Each step on its own, since the machine may stop between any two."""
    name = group(directory)
    if not as_root(["lvs", f"{name}/models"]).ok:
        stripes = order("vgs", "--noheadings", "-o", "pv_count", name).out.strip()
        kind = ["--type", "striped", "--stripes", stripes, "--extents", "100%FREE"]
        order("lvcreate", "--quiet", "--yes", *kind, "--name", "models", name)
    if not as_root(["vgchange", "--quiet", "--activate", "y", name]).ok:
        raise HostError(
            f"the instance store {name} lacks a disk",
            "stop the instance and start it again: it gets new disks",
        )


def unmount(directory: HostDirectory) -> None:
    """Undoes `mount`: the disks are blank and free again. What was on them is lost with the host."""
    store = str(directory.store)
    device = ""
    if is_mounted(directory.store):
        require_root()
        device = call(["findmnt", "-no", "SOURCE", store]).out.strip()
        call(["find", store, "-mindepth", "1", "-maxdepth", "1", "-exec", "rm", "-rf", "{}", "+"])
        if not as_root(["umount", store]).ok:
            raise HostError(f"{store} is in use", f"stop what uses it (fuser -vm '{store}'), then try again")
    # Also left by an interrupted mount.
    if disks() and group_exists(directory):
        name = group(directory)
        members = order("vgs", "--noheadings", "-o", "pv_name", name).out.split()
        order("vgremove", "--quiet", "--yes", name)
        order("pvremove", "--quiet", *members)
    elif _is_block_device(device) and label(device) == LABEL:
        order("wipefs", "--all", "--quiet", device)
    with contextlib.suppress(OSError):
        if deep_learning_folder(directory).exists():
            as_root(["rmdir", str(deep_learning_folder(directory))])


def _is_block_device(path: str) -> bool:
    return path != "" and Path(path).is_block_device()
