"""Makes the folder of a host and puts the agent into it. Runs before the host has anything; see find-python.sh.

usage: claim DIR PROJECT STACK   makes the folder, unless it is somebody else's, and answers with its absolute path
       install DIR [TOKEN]       makes DIR/bin/agent of the files on standard input, {path: text} as JSON
       remove DIR                removes the folder with what the agent has made
"""

import compileall
import grp
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import uuid
import zipapp
from pathlib import Path

MARKER = ".xsched-triton.json"
#: Programs that releases before the agent had in a host's folder.
FORMER = ("bin/host-directory.sh", "bin/probe-host.sh")


def fail(what, fix):
    print(f"error: {what}\nfix: {fix}", file=sys.stderr)
    sys.exit(1)


def answer(value):
    print("xsched-triton-result " + json.dumps(value, separators=(",", ":")), flush=True)


def user():
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"the user {os.geteuid()}"


def is_own_group(gid):
    """Whether only this user is in a group, as with the private groups of Debian and Red Hat."""
    try:
        members = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        members = set()
    members |= {entry.pw_name for entry in pwd.getpwall() if entry.pw_gid == gid}
    return members <= {user()}


def require_private(folder):
    """Nobody else may write into the folder, or put another one in its place."""
    for place in (folder, *folder.parents):
        status = place.stat()
        mode = status.st_mode
        mine = status.st_uid in (os.geteuid(), 0)
        if place == folder and status.st_uid != os.geteuid():
            fail(
                f"{folder} belongs to another user than {user()}",
                f"chown it to {user()}, or choose another folder",
            )
        if not mine:
            owner = status.st_uid
            fail(
                f"{place} belongs to the user {owner}, who could put something else in the place of {folder}",
                "choose a folder of your own, for example below your home: host.directory",
            )
        # In a sticky folder, as /tmp is one, nobody can replace what is somebody else's.
        sticky = mode & stat.S_ISVTX and place != folder
        open_to_group = mode & stat.S_IWGRP and not is_own_group(status.st_gid)
        if (mode & stat.S_IWOTH or open_to_group) and not sticky:
            fail(
                f"others than {user()} may write into {place}",
                f"chmod go-w '{place}', or choose another folder: host.directory",
            )


def read_marker(folder):
    try:
        return json.loads((folder / MARKER).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def claim(directory, project, stack):
    """Makes the folder, unless it is somebody else's, and says whose it is."""
    wanted = Path(directory).expanduser()
    try:
        wanted.mkdir(parents=True, exist_ok=True, mode=0o755)
    except OSError as error:
        fail(f"cannot create {wanted} as {user()}: {error.strerror}", "choose a folder that you may write to")
    folder = wanted.resolve()
    require_private(folder)
    marker = read_marker(folder)
    if marker is None:
        entries = sorted(path.name for path in folder.iterdir())
        if entries and not any((folder / name).exists() for name in FORMER):
            fail(
                f"{folder} holds files that no deployment has made, such as {entries[0]}",
                "choose a folder that is empty or does not exist: host.directory",
            )
        marker = {"project": project, "stack": stack, "id": str(uuid.uuid4())}
        write(folder / MARKER, json.dumps(marker) + "\n", 0o644)
    elif (marker.get("project"), marker.get("stack")) != (project, stack):
        fail(
            f"{folder} belongs to the stack {marker.get('stack')} of the project {marker.get('project')}",
            f"choose another folder: host.directory. If that stack is this one renamed, remove {folder}/{MARKER}",
        )
    answer({"directory": str(folder), "id": marker.get("id")})


def write(path, text, mode):
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=str(path.parent))
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
    Path(name).replace(path)


def install(directory, token):
    """Makes the program. One that runs keeps the file that it has open; one that starts finds old or new."""
    os.umask(0o022)
    folder = Path(directory)
    programs = folder / "bin"
    staging = Path(tempfile.mkdtemp(prefix=".agent-", dir=str(folder)))
    try:
        for name, text in json.load(sys.stdin).items():
            file = staging / "source" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
            # The same files give the same program: a supervisor is replaced only by another one.
            os.utime(file, (0x50000000, 0x50000000))
        source = str(staging / "source")
        compileall.compile_dir(source, ddir="agent", legacy=True, quiet=2)
        for path in Path(source).rglob("*"):
            os.utime(path, (0x50000000, 0x50000000))
        program = staging / "agent"
        zipapp.create_archive(source, program, interpreter=f"{sys.executable} -I")
        program.chmod(0o755)
        programs.mkdir(exist_ok=True)
        program.replace(programs / "agent")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    # Of a release before the agent.
    for path in programs.glob("*.sh"):
        path.unlink()
    words = [str(programs / "agent"), "probe", *([f"--repair=agent={token}"] if token else [])]
    sys.exit(subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode)


def remove(directory):
    """Removes the folder with all that a deployment has left in it."""
    folder = Path(directory).expanduser()
    program = folder / "bin/agent"
    if not folder.is_dir():
        return
    if program.exists():
        sys.exit(subprocess.run([str(program), "remove"], stdin=subprocess.DEVNULL, check=False).returncode)
    marker = folder / MARKER
    if marker.exists():
        marker.unlink()
    try:
        folder.rmdir()
    except OSError:
        print(f"left {folder} in place: it holds files that are not ours", file=sys.stderr)


def main(words):
    commands = {"claim": claim, "install": install, "remove": remove}
    name, *rest = words
    if name == "install":
        rest = [rest[0], rest[1] if len(rest) > 1 else ""]
    commands[name](*rest)


main(sys.argv[1:])
