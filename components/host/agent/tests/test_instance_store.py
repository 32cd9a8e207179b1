"""The instance store of a host, with real block devices, file systems and LVM."""

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Iterator, List

import pytest
from agent import instance_store
from agent.errors import HostError
from stand_in_machine import Machine

INSTANCE_STORE = "Amazon EC2 NVMe Instance Storage"
ELASTIC_BLOCK_STORE = "Amazon Elastic Block Store"

#: Where the kernel has no device mapper, LVM keeps its real metadata, and the volume is a file.
LVM = """#!/bin/bash
name=${0##*/} group=${@: -1} file=$MACHINE/volume
real() {
  { LVM_SUPPRESS_FD_WARNINGS=1 "/sbin/$name" --config 'global{activation=0}' "$@" 2>&1 >&3 |
    grep -v 'Activation disabled' >&2; } 3>&1
  return "${PIPESTATUS[0]}"
}
detach() {
  [ ! -L "/dev/$group/models" ] || losetup --detach "$(readlink "/dev/$group/models")"
  rm -rf "/dev/$group"
}
case "$name $*" in
  lvcreate*)
    real --activate n --zero n --wipesignatures n "$@" 2>/dev/null || exit
    rm -f "$file"
    truncate --size 64M "$file"
    ;;
  vgchange*'--activate y'*)
    ! /sbin/vgs --config 'global{activation=0}' --noheadings -o vg_attr "$group" 2>/dev/null |
      grep -q '^ *...p' || exit 5
    mkdir -p "/dev/$group"
    [ -L "/dev/$group/models" ] || ln -s "$(losetup --find --show "$file")" "/dev/$group/models"
    ;;
  vgchange*'--activate n'*) detach ;;
  vgremove*) detach && real "$@" ;;
  *) real "$@" ;;
esac
"""
HAS_DEVICE_MAPPER = " device-mapper" in Path("/proc/misc").read_text()

#: Other tests of this folder need no root; a machine without it has no instance store either.
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
needs_lvm = pytest.mark.skipif(not Path("/sbin/lvm").exists(), reason="LVM is not installed (Debian: lvm2)")


def ask(*words: str) -> str:
    """Runs a program on the machine and returns its output."""
    finished = subprocess.run(words, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, f"{words}: {finished.stderr}"
    return finished.stdout.strip()


def insist(*words: str) -> None:
    """Runs a program until it succeeds: the kernel may hold a disk for a moment after it was unmounted."""
    for _ in range(100):
        if succeeds(*words):
            return
        time.sleep(0.1)
    ask(*words)


def succeeds(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def is_blank(device: str) -> bool:
    return subprocess.run(["blkid", "-p", device], capture_output=True, check=False).returncode == 2


def device_of(folder: Path) -> str:
    return ask("findmnt", "-no", "SOURCE", "-T", str(folder))


class Disks:
    """Real block devices, which lsblk reports as an instance's disks."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._lsblk = shutil.which("lsblk")
        self._devices: list[tuple[str, str]] = []
        self.group = f"xsched-triton-{machine.directory.identity}"
        if not HAS_DEVICE_MAPPER:
            for name in ("vgs", "lvs", "vgcreate", "vgremove", "pvremove", "lvcreate", "vgchange"):
                machine.program(name, LVM)

    def add(self, model: str) -> str:
        file = self._machine.folder / f"disk{len(self._devices)}"
        file.touch()
        os.truncate(file, 64 << 20)
        # Another run of these tests may take the same device at this moment.
        insist("losetup", "--find", str(file))
        device = ask("losetup", "--noheadings", "--output", "NAME", "--associated", str(file))
        self._devices.append((device, model))
        lines = "\n".join(
            f"{each} {name}".replace(" ", "\\x20").replace("\\x20", " ", 1) for each, name in self._devices
        )
        self._machine.program(
            "lsblk",
            f'#!/bin/bash\n[ "$1" = -dnro ] || exec {self._lsblk} "$@"\ncat <<\'EOT\'\n{lines}\nEOT\n',
        )
        return device

    def reboot(self) -> None:
        """Simulates a reboot of the instance."""
        for place in (self._machine.directory.store, self._machine.folder / "dlami"):
            if succeeds("mountpoint", "-q", str(place)):
                # A program that has just ended may still be in its folder.
                insist("umount", str(place))
        if succeeds("vgs", self.group):
            ask("vgchange", "--activate", "n", self.group)

    def stop_instance(self) -> None:
        """Simulates a stop of the instance, which empties its disks."""
        self.reboot()
        for device, model in self._devices:
            if model == INSTANCE_STORE:
                insist("wipefs", "--all", "--quiet", device)

    def remove(self) -> None:
        try:
            self.stop_instance()
        finally:
            for device, _ in self._devices:
                ask("losetup", "--detach", device)


@pytest.fixture
def disks(machine: Machine) -> Iterator[Disks]:
    found = Disks(machine)
    yield found
    found.remove()


def mount(machine: Machine, capsys: pytest.CaptureFixture) -> str:
    """Mounts the store and returns what is said."""
    capsys.readouterr()
    instance_store.mount(machine.directory)
    return capsys.readouterr().err


def test_is_formatted_and_mounted_and_found_again_after_a_reboot(
    machine: Machine, disks: Disks, capsys: pytest.CaptureFixture
) -> None:
    disks.add(ELASTIC_BLOCK_STORE)
    device = disks.add(INSTANCE_STORE)
    store = machine.directory.store
    assert f"formatting the instance store {device}\n" in mount(machine, capsys)
    assert device_of(store) == device
    assert list(store.iterdir()) == []
    (store / "model").write_text("weights")
    assert mount(machine, capsys) == ""
    ask("umount", str(store))
    assert "formatting" not in mount(machine, capsys)
    assert (store / "model").read_text() == "weights"
    instance_store.unmount(machine.directory)
    assert device_of(machine.directory.path) != device
    assert list(store.iterdir()) == []
    assert is_blank(device)


class Several:
    """Three free disks, one of somebody else, and one that is not of the instance store."""

    def __init__(self, disks: Disks) -> None:
        disks.add(ELASTIC_BLOCK_STORE)
        first, second = disks.add(INSTANCE_STORE), disks.add(INSTANCE_STORE)
        self.theirs = disks.add(INSTANCE_STORE)
        self.format_theirs()
        self.free: List[str] = [first, second, disks.add(INSTANCE_STORE)]
        self.volume = f"/dev/{disks.group}/models"
        self.group = disks.group

    def format_theirs(self) -> None:
        ask("mkfs.ext4", "-q", "-L", "theirs", self.theirs)

    def require_stripes(self, store: Path) -> None:
        assert Path(device_of(store)).resolve() == Path(self.volume).resolve()
        stripes, devices = ask("lvs", "--noheadings", "-o", "stripes,devices", self.group).split()
        assert stripes == "3"
        assert sorted(devices.split(",")) == sorted(f"{device}(0)" for device in self.free)


@pytest.fixture
def several(disks: Disks) -> Several:
    return Several(disks)


@needs_lvm
def test_with_several_disks_is_one_volume_striped_over_all_of_them(
    machine: Machine, disks: Disks, several: Several, capsys: pytest.CaptureFixture
) -> None:
    store = machine.directory.store
    said = mount(machine, capsys)
    assert f"putting 3 disks of the instance store together: {' '.join(several.free)}\n" in said
    several.require_stripes(store)
    assert list(store.iterdir()) == []
    (store / "model").write_text("weights")
    assert mount(machine, capsys) == ""
    disks.reboot()
    said = mount(machine, capsys)
    assert "formatting" not in said
    assert "together" not in said
    several.require_stripes(store)
    assert (store / "model").read_text() == "weights"


@needs_lvm
def test_with_several_disks_is_created_again_after_a_stop(
    machine: Machine, disks: Disks, several: Several, capsys: pytest.CaptureFixture
) -> None:
    store = machine.directory.store
    mount(machine, capsys)
    (store / "model").write_text("weights")
    disks.stop_instance()
    several.format_theirs()
    said = mount(machine, capsys)
    assert "formatting" in said.partition("together")[2]
    several.require_stripes(store)
    assert list(store.iterdir()) == []


@needs_lvm
def test_with_several_disks_leaves_them_blank_and_those_of_others_unchanged(
    machine: Machine, several: Several, capsys: pytest.CaptureFixture
) -> None:
    mount(machine, capsys)
    (machine.directory.store / "model").write_text("weights")
    instance_store.unmount(machine.directory)
    assert [is_blank(device) for device in several.free] == [True, True, True]
    assert not Path(several.volume).exists()
    assert ask("blkid", "-p", "-s", "LABEL", "-o", "value", several.theirs) == "theirs"
    instance_store.unmount(machine.directory)


@needs_lvm
def test_with_several_disks_is_completed_or_undone_after_an_interruption(
    machine: Machine, disks: Disks, several: Several, capsys: pytest.CaptureFixture
) -> None:
    ask("vgcreate", disks.group, *several.free)
    mount(machine, capsys)
    several.require_stripes(machine.directory.store)
    disks.stop_instance()
    ask("vgcreate", disks.group, *several.free)
    instance_store.unmount(machine.directory)
    assert all(is_blank(device) for device in several.free)


@needs_lvm
def test_is_never_a_volume_group_of_somebody_else(
    machine: Machine, disks: Disks, several: Several, capsys: pytest.CaptureFixture
) -> None:
    theirs = f"{disks.group}-theirs"
    ask("vgcreate", theirs, *several.free[:2])
    mount(machine, capsys)
    assert device_of(machine.directory.store) == several.free[2]
    instance_store.unmount(machine.directory)
    assert ask("vgs", "--noheadings", "-o", "pv_count", theirs) == "2"
    ask("vgremove", "--yes", theirs)


@needs_lvm
def test_says_what_to_do_when_one_of_several_disks_fails(
    machine: Machine, disks: Disks, several: Several, capsys: pytest.CaptureFixture
) -> None:
    mount(machine, capsys)
    disks.reboot()
    ask("wipefs", "--all", "--quiet", several.free[1])
    with pytest.raises(HostError, match=r"lacks a disk\nfix: stop the instance and start it again"):
        mount(machine, capsys)
    assert is_blank(several.free[1])


@needs_lvm
def test_is_one_of_several_disks_if_lvm_is_missing(
    machine: Machine, several: Several, capsys: pytest.CaptureFixture
) -> None:
    machine.program("vgs", "#!/bin/bash\nexit 127\n")
    said = mount(machine, capsys)
    assert (
        "warning: only one of 3 disks is used, as LVM does not work here: sudo apt-get install lvm2\n" in said
    )
    assert device_of(machine.directory.store) == several.free[0]


@pytest.fixture
def open_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine that any user may look at; pytest's folders are its user's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Machine(Path(folder), monkeypatch)


def test_is_never_a_disk_that_the_user_may_not_read(open_machine: Machine) -> None:
    machine, disks = open_machine, Disks(open_machine)
    device = disks.add(INSTANCE_STORE)
    ask("mkfs.ext4", "-q", "-L", "theirs", device)
    # Simulates root's permissions where they are needed: blkid finds something, as it does for root.
    machine.program(
        "sudo", '#!/bin/bash\nshift\necho "$*" >>"$MACHINE/as-root"\ncase $1 in vgs) exit 5 ;; esac\n'
    )
    (machine.folder / "as-root").touch()
    (machine.folder / "as-root").chmod(0o666)
    child = os.fork()
    if child == 0:
        # Not by another Python: "nobody" may not be able to run the one of these tests.
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            instance_store.mount(machine.directory)
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    disks.remove()
    assert os.WEXITSTATUS(status) == 0
    asked = machine.lines("as-root")
    assert f"blkid -p {device}" in asked
    assert not any("mkfs" in line or line.startswith("mount") for line in asked)


def test_is_never_a_disk_that_somebody_else_has_formatted_or_mounted(
    machine: Machine, disks: Disks, capsys: pytest.CaptureFixture
) -> None:
    device = disks.add(INSTANCE_STORE)
    ask("mkfs.ext4", "-q", "-L", "theirs", device)
    assert mount(machine, capsys) == ""
    assert not machine.directory.store.exists()
    assert ask("blkid", "-p", "-s", "LABEL", "-o", "value", device) == "theirs"
    # The second disk is free.
    free = disks.add(INSTANCE_STORE)
    mount(machine, capsys)
    assert device_of(machine.directory.store) == free


def test_is_the_one_that_a_deep_learning_ami_has_mounted(
    machine: Machine, disks: Disks, capsys: pytest.CaptureFixture
) -> None:
    device = disks.add(INSTANCE_STORE)
    ask("mkfs.ext4", "-q", device)
    place = machine.folder / "dlami"
    place.mkdir()
    ask("mount", device, str(place))
    said = mount(machine, capsys)
    assert said == f"models lie on the instance store, below {place}\n"
    assert device_of(machine.directory.store).startswith(f"{device}[/xsched-triton-")
    (machine.directory.store / "model").write_text("weights")
    instance_store.unmount(machine.directory)
    assert [path.name for path in place.iterdir()] == ["lost+found"]


def test_does_not_hide_models_on_the_root_disk(
    machine: Machine, disks: Disks, capsys: pytest.CaptureFixture
) -> None:
    disks.add(INSTANCE_STORE)
    (machine.directory.store / "model").mkdir(parents=True)
    assert mount(machine, capsys) == "models lie on the root disk already; they stay there\n"
    assert (machine.directory.store / "model").exists()


def test_is_absent_on_a_machine_without_one(
    machine: Machine, disks: Disks, capsys: pytest.CaptureFixture
) -> None:
    disks.add(ELASTIC_BLOCK_STORE)
    assert mount(machine, capsys) == ""


def test_that_is_in_use_is_not_taken_away(
    machine: Machine, disks: Disks, capsys: pytest.CaptureFixture
) -> None:
    device = disks.add(INSTANCE_STORE)
    mount(machine, capsys)
    with subprocess.Popen(["sleep", "60"], cwd=machine.directory.store) as user:
        with pytest.raises(HostError, match="is in use\nfix: stop what uses it"):
            instance_store.unmount(machine.directory)
        user.kill()
    assert device_of(machine.directory.store) == device


def test_that_cannot_be_formatted_is_an_error(
    machine: Machine, disks: Disks, capsys: pytest.CaptureFixture
) -> None:
    disks.add(INSTANCE_STORE)
    machine.program("mkfs.ext4", "#!/bin/bash\necho 'Input/output error' >&2\nexit 1\n")
    with pytest.raises(HostError, match=r"cannot be changed: mkfs\.ext4: Input/output error"):
        mount(machine, capsys)


def test_its_folder_belongs_to_whoever_deploys(
    machine: Machine, disks: Disks, capsys: pytest.CaptureFixture
) -> None:
    disks.add(INSTANCE_STORE)
    os.chown(machine.directory.path, 1234, 4321)
    mount(machine, capsys)
    for folder in (machine.directory.models, machine.directory.store):
        status = folder.stat()
        assert (status.st_uid, status.st_gid, stat.S_ISDIR(status.st_mode)) == (1234, 4321, True)
