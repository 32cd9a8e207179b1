"""What watches over the rollouts of a fleet in its cluster (components/fleet): says when one is done, and undoes one
that fails, whether or not the machine that asked for it is still there."""

import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Callable, List, NoReturn, Optional
from urllib.parse import quote, urlencode

from . import rollout
from .commands import Request
from .console import progress
from .errors import HostError
from .rollout import Object, Step

#: Seconds between two looks.
INTERVAL = 1
_ANSWER_SECONDS = 20

#: Lines of a log that are read: the last ones of Triton are tables of all its settings.
_LOG_LINES = 400


class Cluster:
    """The API server, as a pod reaches it."""

    def __init__(self, address: str, credentials: Path) -> None:
        self._address = address
        self._token = credentials / "token"
        self._context = ssl.create_default_context(cafile=str(credentials / "ca.crt"))

    def ask(self, method: str, path: str, body: Optional[bytes] = None, kind: str = "") -> bytes:
        """:raises OSError: HTTPError among them"""
        # It is renewed while the pod runs.
        headers = {"Authorization": f"Bearer {self._token.read_text('utf-8').strip()}"}
        if body is not None:
            headers["Content-Type"] = kind
        request = urllib.request.Request(f"{self._address}{path}", data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS, context=self._context) as response:
            answer: bytes = response.read()
            return answer

    def get(self, path: str) -> Object:
        found: Object = json.loads(self.ask("GET", path))
        return found

    def items(self, path: str) -> List[Object]:
        items: List[Object] = self.get(path).get("items") or []
        return items


class Guard:
    """Keeps the rollouts of one Deployment."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        *,
        say: Callable[[str], None] = progress,
    ) -> None:
        self._cluster = cluster
        self._pods = f"/api/v1/namespaces/{quote(namespace)}/pods"
        apps = f"/apis/apps/v1/namespaces/{quote(namespace)}"
        self._deployment = f"{apps}/deployments/{quote(name)}"
        self._replica_sets = f"{apps}/replicasets"
        self._say = say

    def look(self) -> bool:
        """Does the next step, if there is one.

        :returns: whether there may be another one at once
        :raises OSError: if the API server doesn't answer, or refuses
        """
        try:
            deployment = self._cluster.get(self._deployment)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise
        if rollout.is_settled(deployment):
            return False
        pods: List[Object] = []

        def pods_of(replica_set: Object) -> List[Object]:
            label = f"pod-template-hash={replica_set['metadata']['labels']['pod-template-hash']}"
            pods.extend(self._cluster.items(f"{self._pods}?{urlencode({'labelSelector': label})}"))
            return pods

        replica_sets = self._cluster.items(self._replica_sets)
        step = rollout.next_step(deployment, replica_sets, pods_of)
        if step is None:
            return False
        return self._write(deployment, self._explained(step, pods))

    def _explained(self, step: Step, pods: List[Object]) -> Step:
        """With what the log of the pod says that a failure names."""
        said = json.loads(step.annotations.get(rollout.FAILURE) or "{}")
        pod = next(
            (each for each in pods if said.get("reason", "").startswith(f"pod {each['metadata']['name']}: ")),
            None,
        )
        container = pod and rollout.crashed_container(pod)
        if pod is None or container is None:
            return step
        words = self._logged(pod["metadata"]["name"], container)
        if words is None:
            return step
        said["reason"] += f": {words}"
        return step._replace(
            annotations={**step.annotations, rollout.FAILURE: json.dumps(said)}, text=f"{step.text}: {words}"
        )

    def _logged(self, pod: str, container: str) -> Optional[str]:
        """Why a container has ended that is being started again, or not yet."""
        for previous in ("true", "false"):
            query = urlencode({"container": container, "previous": previous, "tailLines": _LOG_LINES})
            try:
                log = self._cluster.ask("GET", f"{self._pods}/{quote(pod)}/log?{query}")
            except OSError:
                continue
            reason = rollout.reason_in(log.decode("utf-8", "replace"))
            if reason is not None:
                return reason
        return None

    def _write(self, deployment: Object, step: Step) -> bool:
        """:returns: whether nobody has changed the Deployment meanwhile"""
        body = json.dumps(rollout.patch_of(deployment, step)).encode()
        try:
            self._cluster.ask(
                "PATCH",
                f"{self._deployment}?fieldManager={step.manager}",
                body,
                "application/json-patch+json",
            )
        except urllib.error.HTTPError as error:
            if error.code == 409:
                return False
            raise
        self._say(step.text)
        return True


def guard(request: Request) -> NoReturn:
    """The command `guard NAMESPACE DEPLOYMENT CREDENTIALS SEEN`.

    CREDENTIALS is the folder of the pod's token; the file SEEN is made when all is seen and done for the first time.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise HostError("this is no pod of Kubernetes: KUBERNETES_SERVICE_HOST is not set", "run it in one")
    place = f"[{host}]" if ":" in host else host
    cluster = Cluster(f"https://{place}:{port}", Path(request.word(2, "folder of the pod's token")))
    watched = Guard(cluster, request.word(0, "namespace"), request.word(1, "Deployment"))
    seen = Path(request.word(3, "file that says that it watches"))
    said = ""
    while True:
        began = time.monotonic()
        try:
            while watched.look():
                pass
            seen.touch()
            said = ""
        except (OSError, http.client.HTTPException) as error:
            if said != str(error):
                said = str(error)
                progress(f"error: the API server: {said}; trying again")
        # Thousands of pods are a long answer.
        time.sleep(max(INTERVAL, 10 * (time.monotonic() - began)))
