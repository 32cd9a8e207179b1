"""xsched-ctl in the server's container."""

from typing import List

from ..directory import HostDirectory
from ..errors import HostError
from .container import ContainerRuntime
from .settings import read_settings

#: Runs in the container. The image's entrypoint writes down tritonserver's pid. Models can have processes of their own:
#: counters, priorities, floors and weights are those of all, if the image's xsched-ctl can do that, as earlier releases
#: cannot.
CONTROL_SCRIPT = """
state=${XSCHED_TRITON_STATE:-/tmp/xsched-triton}/server control=/opt/xsched/bin/xsched-ctl
if [ ! -x "$control" ] || ! read -r pid 2>/dev/null <"$state"; then
  echo "error: the image of this container has no XSched" >&2
  exit 3
fi
case "$*" in
  "list --domain"*) exec "$control" "$@" ;;
esac
of_all=no
case $1 in
  stats | priority) "$control" --help | grep -q -e --all && of_all=yes ;;
  floor | weight) "$control" --help | grep -q 'priority, floor and weight' && of_all=yes ;;
esac
case $of_all-$1 in
  no-*) set -- --pid "$pid" "$@" ;;
  yes-stats) set -- "$@" --all ;;
esac
exec "$control" "$@"
"""


def scheduler_words(directory: HostDirectory, words: List[str]) -> List[str]:
    """The command that runs xsched-ctl for the server.

    :raises HostError: if there is nothing to schedule
    """
    settings = read_settings(directory)
    if settings is None or settings.kind != "container":
        raise HostError(
            "this server runs as a process, on the CPU, where there is nothing to schedule",
            "use a container on a GPU",
        )
    runtime = ContainerRuntime(directory, settings)
    if not runtime.find():
        raise HostError(f"the container {runtime.name} does not run", "deploy the stack")
    return ["docker", "exec", runtime.name, "sh", "-c", CONTROL_SCRIPT, "xsched-ctl", *words]
