"""The commands, and how one is run."""

import importlib
import json
import signal
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

from .console import concealed, write_result
from .deployments import noted
from .directory import HostDirectory
from .disk import explained
from .errors import HostError
from .repairs import note_repair

#: Module and function of each command. Imported only when called: a command should start in a blink.
COMMANDS: Dict[str, str] = {
    "probe": "probe:probe",
    "inspect": "inspection:inspect",
    "remove": "removal:remove",
    "install-runtime": "server.install:install_runtime",
    "start": "server.lifecycle:start",
    "stop": "server.lifecycle:stop",
    "resume": "server.lifecycle:resume",
    "drain": "server.lifecycle:drain",
    "supervise": "server.supervisor:supervise",
    "gateway": "gateway.lifecycle:gateway",
    "remove-gateway": "gateway.lifecycle:remove_gateway",
    "supervise-gateway": "gateway.supervisor:supervise",
    "status": "server.status:status",
    "measure": "server.status:measure",
    "follow": "follow:follow",
    "guard": "guard:guard",
    "ask": "server.status:ask",
    "scheduler": "server.status:scheduler",
    "store": "models.store:store",
    "make-room": "models.uploads:make_room",
    "remove-model": "models.store:remove_model",
    "serve": "models.serve:serve",
    "unserve": "models.serve:unserve",
    "reload": "models.serve:reload",
    "refill": "models.refill:refill",
    "pull-image": "images:pull_image",
    "remove-images": "images:remove_images",
    "fetch": "s3:fetch",
    "drop-files": "s3:drop_files",
    "build-engines": "engines:build_engines",
    "build-engine-image": "engine_image:build_engine_image",
    "install-services": "services:install",
    "remove-services": "services:remove",
    "boot": "boot:boot",
    "resume-host": "boot:resume",
    "watch-spot": "spot:watch",
    "watch-idle": "idle:watch",
    "drain-at-shutdown": "idle:drain_at_shutdown",
    "serve-metrics": "metrics:serve",
    "configure-cloudwatch": "cloudwatch:configure",
    "remove-cloudwatch": "cloudwatch:remove",
}

#: Signals that end a command.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


#: `--repair=PART=TOKEN`: the command repairs a part that `inspect` has given this token.
REPAIR = "--repair="


class Request:
    """What a command is asked to do."""

    def __init__(self, directory: HostDirectory, words: List[str], text: Optional[str] = None) -> None:
        self.directory = directory
        #: What follows the command's name.
        self.words = words
        self._text = text

    @property
    def text(self) -> str:
        """Standard input."""
        if self._text is None:
            self._text = sys.stdin.read()
        return self._text

    @property
    def body(self) -> Dict[str, Any]:
        """Standard input as a JSON object."""
        try:
            body = json.loads(self.text)
        except ValueError as error:
            raise HostError(f"standard input is not JSON: {error}", "pass one JSON object") from None
        if not isinstance(body, dict):
            raise HostError("standard input is not a JSON object", "pass one JSON object")
        return body

    def word(self, index: int, what: str) -> str:
        """An argument that must be there."""
        if index >= len(self.words):
            raise HostError(f"the {what} is missing", f"give it as argument {index + 1} of the command")
        return self.words[index]


def run(directory: HostDirectory, name: str, words: List[str], text: Optional[str] = None) -> Any:
    """Runs a command and returns its result, which must be fit for JSON; None if it has none."""
    if name not in COMMANDS:
        raise HostError(f"there is no command '{name}'", f"use one of: {', '.join(sorted(COMMANDS))}")
    module, function = COMMANDS[name].split(":")
    handler = getattr(importlib.import_module(f".{module}", __package__), function)
    return handler(Request(directory, words, text))


def _explain(error: OSError) -> HostError:
    """What the system refuses, for example because a folder is somebody else's."""
    what = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
    return HostError(what, "read the reason; deploy again when it is mended")


def main(argv: List[str]) -> int:
    """`bin/agent COMMAND [WORD…]`: works in the folder in whose `bin` the program lies."""
    # A caller that hangs up ends the command at its next word, so that it can tidy up.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in ENDING:
        signal.signal(number, _end)
    try:
        if len(argv) < 2:
            raise HostError("no command is given", f"use one of: {', '.join(sorted(COMMANDS))}")
        directory = HostDirectory(Path(argv[0]).resolve().parent.parent)
        repairs = [word[len(REPAIR) :] for word in argv[2:] if word.startswith(REPAIR)]
        with noted(directory, argv[1]), explained(directory, directory.path, f"the command {argv[1]}"):
            result = run(directory, argv[1], [word for word in argv[2:] if not word.startswith(REPAIR)])
            for repair in repairs:
                part, _, token = repair.partition("=")
                note_repair(directory, part, token)
        if result is not None:
            write_result(result)
    except HostError as error:
        print(concealed(str(error)), file=sys.stderr)
        return 1
    except OSError as error:
        print(concealed(str(_explain(error))), file=sys.stderr)
        return 1
    return 0


def _end(number: int, _: Any) -> None:
    # A second signal must not interrupt the tidying up.
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)
