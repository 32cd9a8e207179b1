"""Puts the agent into a host's folder, which belongs to one stack, and lets it say what the host has. Runs before the
host has anything; see find-python.sh.

usage: install-agent.py DIR PROJECT STACK ID [WORD…]

Each WORD goes to the agent's command `probe`. Standard input: the agent's sources, {path: text} as JSON.
"""

import compileall
import errno
import grp
import hashlib
import json
import os
import pwd
import py_compile
import shlex
import shutil
import stat
import sys
import tempfile
import zipapp
from pathlib import Path
from typing import Dict, List, NoReturn, Optional

#: Says whose folder it is.
MARKER = ".xsched-triton.json"

#: Only in the folder of a release before the agent, which had no marker.
FORMER = "bin/host-directory.sh"

#: Of every file in the program.
TIME = (0x50000000, 0x50000000)

#: What such a release calls when the stack is removed, and its state still says so.
REMOVE_HOST = """#!/bin/sh
exec "$1/bin/agent" remove
"""


def fail(what: str, fix: str) -> NoReturn:
    """Ends with a message as the agent's own."""
    print(f"error: {what}\nfix: {fix}", file=sys.stderr)
    sys.exit(1)


def is_private(group: int, user: "pwd.struct_passwd") -> bool:
    """Whether a group is the user's alone, or root's, so that write access for it is none for others."""
    if group == 0:
        return True
    try:
        entry = grp.getgrgid(group)
    except KeyError:
        return False
    return entry.gr_name == user.pw_name and set(entry.gr_mem) <= {user.pw_name}


def require_own(folder: Path, user: "pwd.struct_passwd") -> None:
    """Whoever may write into the folder, or rename a folder above it, decides what runs there."""
    status = folder.stat()
    if status.st_uid != user.pw_uid:
        owner = name_of(status.st_uid)
        fail(
            f"{folder} belongs to {owner}, not to {user.pw_name}, who deploys",
            f"choose another folder (host.directory), or deploy as {owner}",
        )
    for place in (folder, *folder.parents):
        status = place.stat()
        if place != folder and status.st_uid not in (0, user.pw_uid):
            fail(
                f"{name_of(status.st_uid)} owns {place}, and so can replace {folder}",
                "choose a folder (host.directory) below one of your own",
            )
        # In a sticky folder such as /tmp, everybody keeps to their own entries.
        sticky = place != folder and status.st_mode & stat.S_ISVTX
        others = status.st_mode & stat.S_IWOTH
        members = status.st_mode & stat.S_IWGRP and not is_private(status.st_gid, user)
        if not sticky and (others or members):
            whose = f"{'g' if members else ''}{'o' if others else ''}"
            fail(
                f"others than {user.pw_name} may write into {place}",
                f"chmod {whose}-w '{place}', or choose another folder",
            )


def require_programs(folder: Path) -> None:
    """The agent runs in the folder, and so does a Triton without a container."""
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        fail(
            f"{folder} is on a file system that is mounted with noexec, so nothing can run from it",
            "choose a folder elsewhere (host.directory), such as /opt/xsched-triton, or mount it without noexec",
        )


def explain_disk(error: OSError, folder: Path) -> None:
    """Ends with a message if a disk is full or read-only. What serves from the folder goes on."""
    place = Path(error.filename or folder)
    while not place.exists():
        place = place.parent
    mount = place.resolve()
    while not mount.is_mount():
        mount = mount.parent
    if error.errno == errno.EROFS:
        fail(
            f"the file system {mount} is read-only, so the agent cannot be installed in {folder}",
            f"mount it for writing (sudo mount -o remount,rw {mount}); if the kernel made it read-only because of a "
            "fault, dmesg says which, and the disk has to be checked first; then deploy again",
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        found = os.statvfs(place)
        fail(
            f"there is no space left on the disk {mount} for the agent in {folder} "
            f"({found.f_bavail * found.f_frsize // 1_000_000} MB and {found.f_favail} inodes are free)",
            f"free some on {mount} (df -h, df -i), or raise this user's quota (quota -s); then deploy again",
        )


def name_of(user: int) -> str:
    """The name of an account, or its number if it has none."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def require_ours(folder: Path, mine: Dict[str, str]) -> None:
    """Refuses the folder of another stack, and one with files of somebody else."""
    found = read_marker(folder)
    # What serves there goes on then.
    take_over = f"echo {shlex.quote(json.dumps(mine))} >{shlex.quote(str(folder / MARKER))}"
    if found is None:
        if (folder / FORMER).exists() or set(folder.iterdir()) <= set(unfinished(folder / MARKER)):
            return
        if (folder / "bin/agent.sha256").exists():
            fail(
                f"{folder} was made by a deployment, but {MARKER}, which says by which one, is gone",
                f"choose another folder (host.directory), or, if this one is the stack's, take it over: {take_over}",
            )
        fail(
            f"{folder} holds files that no deployment has put there",
            "choose an empty folder, or one that does not exist (host.directory)",
        )
    if any(found.get(key) != mine[key] for key in ("project", "stack")):
        renamed = f"; if you have renamed it: {take_over}" if found.get("id") == mine["id"] else ""
        fail(
            f"{folder} belongs to the stack {found.get('stack')} of the project {found.get('project')}",
            f"choose another folder (host.directory), or remove that stack first{renamed}",
        )
    if found.get("id") != mine["id"]:
        fail(
            f"{folder} belongs to another deployment of a stack that is called {mine['stack']}, too",
            f"remove that one first; if its state is lost, take the folder over: {take_over}",
        )


def read_marker(folder: Path) -> Optional[Dict[str, str]]:
    """Whose folder it is; None if nobody has said so."""
    try:
        found = json.loads((folder / MARKER).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def unfinished(path: Path) -> List[Path]:
    """What `write` has left that was killed before the file had its name."""
    return list(path.parent.glob(f".{path.name}.*"))


def write(path: Path, text: str, mode: int) -> None:
    """Writes a file in one step."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    Path(name).replace(path)


def install(folder: Path, sources: Dict[str, str]) -> None:
    """Makes the program `bin/agent`. Whoever starts it meanwhile gets the old one or the new."""
    target = folder / "bin"
    target.mkdir(exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".agent.", dir=target))
    try:
        tree = staging / "sources"
        for name, text in sources.items():
            file = tree / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
            # The same files give the same program: a supervisor is replaced only by another one.
            os.utime(file, TIME)
        # A zip file's times depend on the time zone, so Python is not to compare them. Python of another version
        # compiles the sources again.
        compileall.compile_dir(
            str(tree),
            ddir="agent",
            quiet=2,
            legacy=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        for file in tree.rglob("*"):
            os.utime(file, TIME)
        program = staging / "agent"
        # Isolated: what a login or a folder happens to have must not change how the agent runs.
        zipapp.create_archive(tree, program, interpreter=f"{sys.executable} -I")
        program.chmod(0o755)
        digest = hashlib.sha256(program.read_bytes()).hexdigest()
        write(target / "agent.sha256", f"{digest}  agent\n", 0o644)
        program.replace(target / "agent")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    write(target / "remove-host.sh", REMOVE_HOST, 0o755)
    for entry in target.iterdir():
        if entry.name not in ("agent", "agent.sha256", "remove-host.sh"):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def main(argv: "list[str]") -> None:
    """What the usage says."""
    os.umask(0o022)
    path, project, stack, identity, *words = argv[1:]
    sources = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    folder = Path(path)
    user = pwd.getpwuid(os.geteuid())
    mine = {"project": project, "stack": stack, "id": identity}
    try:
        # Somebody may have removed it since it was created.
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        require_own(folder, user)
        require_ours(folder, mine)
        require_programs(folder)
        # Models, logs, locks and sockets are nobody else's concern. Docker mounts what is in it all the same.
        folder.chmod(0o700)
        # Before anything else is put there: whatever stops us, the folder is ours next time.
        write(folder / MARKER, json.dumps(mine) + "\n", 0o644)
        for file in unfinished(folder / MARKER):
            file.unlink()
        install(folder, sources)
    except OSError as error:
        explain_disk(error, folder)
        fail(f"cannot install the agent in {folder}: {error.strerror} ({error.filename})", "read the reason")
    agent = str(folder / "bin/agent")
    os.execv(agent, [agent, "probe", *words])


main(sys.argv)
