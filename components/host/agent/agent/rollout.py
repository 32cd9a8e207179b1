"""Whether a rollout of a fleet's Deployment is done or has failed, and what has to be written next: one step at a time,
so that whoever is ended in between goes on where it was."""

import json
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

#: As the API server has it.
Object = Dict[str, Any]

#: Annotations of the Deployment. WANTED names what `up` has asked for (components/fleet/guard.ts); the others are the
#: guard's.
WANTED = "xsched-triton/wanted"
#: Name of the ReplicaSet whose pods have all been ready.
GOOD = "xsched-triton/good"
#: The verdict, which belongs to one application of the Deployment's manifest: the next one removes it (AS_PROVIDER),
#: even if it asks for the same again. JUDGED is the WANTED that is judged, for better or worse: what `up` waits for.
JUDGED = "xsched-triton/judged"
#: Why that doesn't serve: `{wanted, replicaSet, reason, undone}`. Not undone is what has nothing to go back to.
FAILURE = "xsched-triton/failure"

#: Who writes a verdict and a pod template: before Pulumi's provider applies a manifest, it takes over what has this
#: name, as what it has written itself. So it finds no conflict, and what its manifest doesn't have goes.
AS_PROVIDER = "pulumi-kubernetes"
#: Who writes what has to stay then.
AS_GUARD = "xsched-triton-guard"

#: How often a container has to end before its pod was ready, until it is clear that it won't be.
MOST_ENDS = 3

REVISION = "deployment.kubernetes.io/revision"


class Step(NamedTuple):
    """What is to be written next, at once."""

    #: Values of annotations; none removes one.
    annotations: Dict[str, Optional[str]]
    #: For the log.
    text: str
    #: The pod template to go back to.
    template: Optional[Object] = None
    manager: str = AS_PROVIDER


def is_settled(deployment: Object) -> bool:
    """Whether nothing happens to it, and nothing has failed."""
    notes = _notes(deployment)
    return GOOD in notes and _is_judged(notes) and FAILURE not in notes and _is_complete(deployment)


def next_step(
    deployment: Object,
    replica_sets: Sequence[Object],
    pods_of: Callable[[Object], Sequence[Object]],
) -> Optional[Step]:
    """
    :param replica_sets: of the namespace
    :param pods_of: those of a ReplicaSet, which can be thousands: asked for only where they matter
    """
    current = _current(deployment, replica_sets)
    if current is None:
        return None
    name = current["metadata"]["name"]
    if _is_complete(deployment):
        return _step_of_serving(_notes(deployment), name)
    notes = _notes(deployment)
    if name == notes.get(GOOD) or (_is_judged(notes) and _failed(notes) == name):
        return None
    why = failure_of(deployment, pods_of(current))
    good = next((each for each in replica_sets if each["metadata"]["name"] == notes.get(GOOD)), None)
    return None if why is None else _step_of_failing(notes, name, why, good)


def _step_of_serving(notes: Dict[str, str], name: str) -> Optional[Step]:
    if notes.get(GOOD) != name:
        # Before anybody is told, who may then delete what the former version needs.
        return Step({GOOD: name}, f"{name} serves", manager=AS_GUARD)
    # What was gone back to serves, too, which is no verdict on what was wanted.
    if _is_judged(notes) and _failed(notes) != name:
        return None
    return Step({JUDGED: notes.get(WANTED), FAILURE: None}, f"{notes.get(WANTED)} serves, in {name}")


def _step_of_failing(notes: Dict[str, str], name: str, why: str, good: Optional[Object]) -> Step:
    wanted = notes.get(WANTED)
    said = {"wanted": wanted, "replicaSet": name, "reason": why, "undone": good is not None}
    verdict = {JUDGED: wanted, FAILURE: json.dumps(said)}
    if good is None:
        return Step(verdict, f"{wanted} has failed: {why}")
    return Step(verdict, f"{wanted} has failed, so back to {notes[GOOD]}: {why}", _template(good))


def failure_of(deployment: Object, pods: Sequence[Object]) -> Optional[str]:
    """Why a rollout won't end well, in words; none if it still may.

    :param pods: the new ones
    """
    own = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    crashed = [pod for pod in own if any(_ends(status) >= MOST_ENDS for status in _unready(pod))]
    progress = _condition(deployment, "Progressing")
    late = progress.get("status") == "False" and progress.get("reason") == "ProgressDeadlineExceeded"
    if not crashed and not late:
        return None
    for pod in [*crashed, *own]:
        trouble = trouble_of(pod)
        if trouble is not None:
            return f"pod {pod['metadata']['name']}: {trouble}"
    refused = _condition(deployment, "ReplicaFailure")
    if refused.get("status") == "True":
        return f"no pod can be made: {refused.get('message', '')}"
    return str(progress.get("message", "it got no further"))


def trouble_of(pod: Object) -> Optional[str]:
    """What keeps a pod from being ready, in words; none if nothing does."""
    status = pod.get("status", {})
    scheduled = _condition(pod, "PodScheduled")
    if status.get("phase") == "Failed":
        trouble = f"{status.get('reason', 'failed')}: {status.get('message', '')}"
    elif scheduled.get("status") == "False":
        trouble = f"no node takes it: {scheduled.get('message', '')}"
    elif _unready(pod):
        # One that has ended says more than one that waits, and both more than one that runs.
        trouble = max((_trouble_of_container(each) for each in _unready(pod)), key=lambda each: each[0])[1]
    else:
        trouble = "" if _condition(pod, "Ready").get("status") == "True" else "it is not ready"
    return trouble.rstrip(": ") or None


def _trouble_of_container(container: Object) -> Tuple[int, str]:
    """How much it says, and what."""
    name = container["name"]
    ended = _ended(container)
    if ended is not None:
        count = _ends(container)
        often = "" if count == 1 else f" {count} times, at last"
        return 2, f"{name} has ended{often} with exit code {ended.get('exitCode')}"
    waiting = container.get("state", {}).get("waiting")
    if waiting is not None:
        return 1, f"{name}: {waiting.get('reason', '')}: {waiting.get('message', '')}"
    return 0, f"{name} runs, but is not ready"


def crashed_container(pod: Object) -> Optional[str]:
    """Whose last log says why it has ended."""
    return next((each["name"] for each in _unready(pod) if _ended(each) is not None), None)


_LOADING = re.compile(r"(failed to load '.*|Poll failed for model directory .*)")
#: Longer ones would not be read.
_LONGEST = 600


def reason_in(log: str) -> Optional[str]:
    """What a log says of why Triton has ended: a model that can't be loaded, or else the last error."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    models = [found.group(1) for found in map(_LOADING.search, lines) if found]
    errors = [line for line in lines if re.match(r"E\d{4} |error: ", line)]
    chosen = models[:1] or errors[-1:] or lines[-1:]
    if not chosen:
        return None
    # Newer releases quote what they say.
    text = " ".join(chosen[0].rstrip('"').replace("\\n", " ").split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def patch_of(deployment: Object, step: Step) -> List[Object]:
    """A JSON patch that is refused if the Deployment has changed meanwhile."""
    notes = _notes(deployment)
    patch: List[Object] = [
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": deployment["metadata"]["resourceVersion"],
        }
    ]
    for name, value in step.annotations.items():
        path = f"/metadata/annotations/{name.replace('/', '~1')}"
        if value is not None:
            patch.append({"op": "add", "path": path, "value": value})
        elif name in notes:
            patch.append({"op": "remove", "path": path})
    if step.template is not None:
        patch.append({"op": "replace", "path": "/spec/template", "value": step.template})
    return patch


def _notes(deployment: Object) -> Dict[str, str]:
    notes: Dict[str, str] = deployment["metadata"].get("annotations") or {}
    return notes


def _is_judged(notes: Dict[str, str]) -> bool:
    return notes.get(JUDGED) == notes.get(WANTED)


def _failed(notes: Dict[str, str]) -> Optional[str]:
    """The ReplicaSet of the failure that is told, if there is one."""
    try:
        failed: Optional[str] = json.loads(notes[FAILURE])["replicaSet"]
        return failed
    except (KeyError, TypeError, ValueError):
        return None


def _current(deployment: Object, replica_sets: Sequence[Object]) -> Optional[Object]:
    """The ReplicaSet of the pods that are asked for; none until the Deployment's controller has looked."""
    metadata = deployment["metadata"]
    if deployment.get("status", {}).get("observedGeneration", 0) < metadata.get("generation", 0):
        return None
    revision = _notes(deployment).get(REVISION)
    return next(
        (
            each
            for each in replica_sets
            if (each["metadata"].get("annotations") or {}).get(REVISION) == revision
            and any(owner["uid"] == metadata["uid"] for owner in each["metadata"].get("ownerReferences", []))
        ),
        None,
    )


def _is_complete(deployment: Object) -> bool:
    """As Kubernetes itself says that a rollout is complete: all pods are new and ready, and the former ones go."""
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return False
    count = deployment["spec"].get("replicas", 1)
    kinds = ("replicas", "updatedReplicas", "availableReplicas")
    return all((status.get(kind) or 0) == count for kind in kinds)


def _template(replica_set: Object) -> Object:
    """That of the Deployment it was made of."""
    template: Object = json.loads(json.dumps(replica_set["spec"]["template"]))
    template["metadata"].get("labels", {}).pop("pod-template-hash", None)
    return template


def _condition(thing: Object, kind: str) -> Object:
    conditions: List[Object] = thing.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def _unready(pod: Object) -> List[Object]:
    statuses: List[Object] = pod.get("status", {}).get("containerStatuses") or []
    return [each for each in statuses if not each.get("ready")]


def _ended(container: Object) -> Optional[Object]:
    """How a container has ended last."""
    for state in ("state", "lastState"):
        ended: Optional[Object] = container.get(state, {}).get("terminated")
        if ended is not None:
            return ended
    return None


def _ends(container: Object) -> int:
    """How often a container has ended."""
    again = 0 if "running" in container.get("state", {}) or _ended(container) is None else 1
    return int(container.get("restartCount", 0)) + again
