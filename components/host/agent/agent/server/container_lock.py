"""The lock on the control of a Triton in a container: whether its release knows it, and how the key gets there.

The key must not be seen in what Docker tells of the container, so in neither arguments nor variables, nor in the
host's list of processes. So it is put into the container as a file, before that starts, with a program that stands in
for tritonserver and becomes it.
"""

import io
import pkgutil
import tarfile
from typing import List, NamedTuple

from ..errors import HostError
from ..programs import TIMED_OUT, call
from .control import tells_of_lock

#: A place of its own in each container, since /run is a volume there, which goes with it. The name tells the image's
#: entrypoint that this is Triton.
PLACE = "/run"
_FOLDER = "xsched-triton"
PROGRAM = f"{PLACE}/{_FOLDER}/tritonserver"

#: Images are large, and what is asked for may not have been read from the disk before.
_ASK_SECONDS = 120

#: Who runs in the container, and what its Triton can do.
_QUESTION = "id -u && id -g && tritonserver --help 2>&1"

#: Python conceals the arguments. NVIDIA's images have it; others need not.
_SCRIPT = """\
#!/bin/sh
# tritonserver ARGUMENT...: becomes Triton, with further arguments, which lists of processes do not show.
here=${0%/*}
if command -v python3 >/dev/null; then
  exec python3 -I "$here/concealed.py" "$here/arguments" tritonserver "$@"
fi
echo "the process list shows the key to this server's control: this image has no python3" >&2
while IFS= read -r argument; do
  set -- "$@" "$argument"
done <"$here/arguments"
exec tritonserver "$@"
"""


class Image(NamedTuple):
    """What has to be known of an image."""

    user: int
    group: int
    #: Whether its Triton's control can be locked.
    locks: bool


def look_into(image: str) -> Image:
    """
    :raises HostError: if the image does not answer: a server must not start without its lock for that
    """
    # As the server itself will be started, since an entrypoint may set what Triton needs.
    asked = call(
        [
            *("docker", "run", "--rm", "--network", "none", "--cap-drop", "ALL"),
            *("--security-opt", "no-new-privileges", image, "sh", "-c", _QUESTION),
        ],
        seconds=_ASK_SECONDS,
    )
    lines = asked.out.splitlines()
    numbers = [int(line) for line in lines if line.isdigit()][:2]
    if len(numbers) < 2 or "--http-port" not in asked.out:
        why = f"it did not answer within {_ASK_SECONDS} s" if asked.status == TIMED_OUT else asked.reason
        raise HostError(
            f"`tritonserver --help` in the image {image} does not tell what its Triton can do: {why}",
            "use an image of Triton, or see why it hangs",
        )
    return Image(numbers[0], numbers[1], tells_of_lock(asked.out))


def parcel(image: Image, arguments: List[str]) -> str:
    """What goes to `docker cp - CONTAINER:/run`: an archive, in ASCII, of the program and what it adds."""
    concealed = pkgutil.get_data(__package__, "concealed.py")
    assert concealed is not None
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        folder = tarfile.TarInfo(_FOLDER)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
        for name, content, mode in (
            ("tritonserver", _SCRIPT.encode(), 0o755),
            ("concealed.py", concealed, 0o644),
            ("arguments", "".join(f"{argument}\n" for argument in arguments).encode(), 0o400),
        ):
            file = tarfile.TarInfo(f"{_FOLDER}/{name}")
            file.size, file.mode, file.uid, file.gid = len(content), mode, image.user, image.group
            archive.addfile(file, io.BytesIO(content))
    return data.getvalue().decode("ascii")
