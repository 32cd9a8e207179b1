"""What is written after each look at a rollout. test/engine/fleet.test.ts has a real control plane."""

import json
import ssl
import threading
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from agent import guard, rollout
from agent.commands import Request
from agent.directory import HostDirectory
from agent.errors import HostError
from agent.guard import Guard
from agent.rollout import FAILURE, GOOD, JUDGED, WANTED, next_step, patch_of, reason_in, trouble_of
from gateway_host import make_authority

Object = Dict[str, Any]


class Fleet:
    """A Deployment with one former ReplicaSet and a new one, in the midst of a rollout."""

    def __init__(self) -> None:
        self.deployment: Object = {
            "metadata": {
                "uid": "d",
                "generation": 5,
                "resourceVersion": "77",
                "annotations": {WANTED: "new", JUDGED: "old", GOOD: "fleet-1", rollout.REVISION: "2"},
            },
            "spec": {"replicas": 2, "template": {"of": "fleet-2"}},
            "status": {"observedGeneration": 5, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2},
        }
        self.replica_sets = [self.replica_set(number) for number in ("1", "2")]
        self.pods: List[Object] = [pod_that(running())]
        self.listed = 0

    @staticmethod
    def replica_set(number: str) -> Object:
        labels = {"app": "fleet", "pod-template-hash": number}
        return {
            "metadata": {
                "name": f"fleet-{number}",
                "annotations": {rollout.REVISION: number},
                "ownerReferences": [{"uid": "d"}],
                "labels": labels,
            },
            "spec": {"template": {"metadata": {"labels": dict(labels)}, "of": f"fleet-{number}"}},
        }

    @property
    def notes(self) -> Dict[str, str]:
        notes: Dict[str, str] = self.deployment["metadata"]["annotations"]
        return notes

    def complete(self) -> None:
        count = self.deployment["spec"]["replicas"]
        self.deployment["status"].update(replicas=count, updatedReplicas=count, availableReplicas=count)

    def late(self) -> None:
        condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
        self.deployment["status"]["conditions"] = [{**condition, "message": "it has timed out progressing"}]

    def step(self) -> Optional[rollout.Step]:
        def pods_of(replica_set: Object) -> List[Object]:
            self.listed += 1
            assert replica_set["spec"]["template"]["of"] == self.deployment["spec"]["template"]["of"]
            return self.pods

        return next_step(self.deployment, self.replica_sets, pods_of)

    def take(self, step: rollout.Step) -> None:
        """What the API server and its controllers make of it."""
        for name, value in step.annotations.items():
            if value is None:
                self.notes.pop(name, None)
            else:
                self.notes[name] = value
        if step.template is not None:
            self.ask(step.template["of"])

    def ask(self, name: str) -> None:
        """For the pods of a ReplicaSet, which becomes the newest."""
        revision = str(int(self.notes[rollout.REVISION]) + 1)
        found = next(each for each in self.replica_sets if each["metadata"]["name"] == name)
        found["metadata"]["annotations"][rollout.REVISION] = revision
        self.notes[rollout.REVISION] = revision
        self.deployment["spec"]["template"] = {"of": name}
        self.deployment["status"]["conditions"] = []
        self.deployment["status"].update(updatedReplicas=0)

    def apply(self, wanted: str, name: str) -> None:
        """As Pulumi's provider does: what is not in its manifest and of its own goes (rollout.AS_PROVIDER)."""
        for verdict in (JUDGED, FAILURE):
            self.notes.pop(verdict, None)
        self.notes[WANTED] = wanted
        if self.deployment["spec"]["template"] != {"of": name}:
            self.ask(name)


def running() -> Object:
    return {"restartCount": 0, "state": {"running": {}}, "ready": False}


def crashing(restarts: int = 2) -> Object:
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off"}
    return {
        "restartCount": restarts,
        "state": {"waiting": waiting},
        "lastState": {"terminated": {"exitCode": 1}},
    }


def pulling() -> Object:
    return {"restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}


def pod_that(container: Object, **status: Any) -> Object:
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]
    statuses = [{"name": "triton", **container}]
    return {
        "metadata": {"name": "fleet-2-a"},
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": statuses, **status},
    }


def taken(fleet: Fleet, manager: str) -> rollout.Step:
    step = fleet.step()
    assert step is not None
    assert step.manager == manager
    fleet.take(step)
    return step


def told(step: Optional[rollout.Step]) -> Object:
    assert step is not None
    failure: Object = json.loads(step.annotations[FAILURE] or "")
    return failure


def test_waits_while_pods_come() -> None:
    fleet = Fleet()
    assert fleet.step() is None
    fleet.pods = [pod_that(crashing(1)), pod_that(pulling())]
    assert fleet.step() is None


def test_waits_until_the_controller_has_looked() -> None:
    fleet = Fleet()
    fleet.complete()
    fleet.deployment["metadata"]["generation"] = 6
    assert fleet.step() is None


def test_remembers_what_serves_before_it_tells_up() -> None:
    fleet = Fleet()
    fleet.complete()
    assert taken(fleet, rollout.AS_GUARD).annotations == {GOOD: "fleet-2"}
    assert not rollout.is_settled(fleet.deployment)
    step = taken(fleet, rollout.AS_PROVIDER)
    assert step.annotations == {JUDGED: "new", FAILURE: None}
    assert step.template is None
    assert fleet.step() is None
    assert rollout.is_settled(fleet.deployment)
    assert fleet.listed == 0


def test_remembers_what_served_before_anybody_watched() -> None:
    fleet = Fleet()
    fleet.complete()
    fleet.take(rollout.Step({GOOD: None, WANTED: None, JUDGED: None}, ""))
    assert not rollout.is_settled(fleet.deployment)
    step = taken(fleet, rollout.AS_GUARD)
    assert step.annotations == {GOOD: "fleet-2"}
    assert fleet.step() is None
    assert rollout.is_settled(fleet.deployment)


def test_undoes_what_crashes_and_tells_up_at_once() -> None:
    fleet = Fleet()
    fleet.pods = [pod_that(crashing())]
    undo = taken(fleet, rollout.AS_PROVIDER)
    assert told(undo) == {
        "wanted": "new",
        "replicaSet": "fleet-2",
        "reason": "pod fleet-2-a: triton has ended 3 times, at last with exit code 1",
        "undone": True,
    }
    assert undo.annotations[JUDGED] == "new"
    assert undo.template == {"metadata": {"labels": {"app": "fleet"}}, "of": "fleet-1"}
    # That the former version serves is no verdict on the new one.
    assert fleet.step() is None
    fleet.complete()
    assert fleet.step() is None
    assert fleet.notes[JUDGED] == "new"
    assert FAILURE in fleet.notes


def test_judges_the_same_anew_when_it_is_asked_for_again() -> None:
    fleet = Fleet()
    fleet.pods = [pod_that(crashing())]
    taken(fleet, rollout.AS_PROVIDER)
    fleet.complete()
    fleet.apply("new", "fleet-2")
    fleet.pods = [pod_that(running())]
    assert fleet.step() is None
    fleet.pods = [pod_that(crashing(6))]
    assert "7 times" in told(taken(fleet, rollout.AS_PROVIDER))["reason"]
    assert fleet.notes[JUDGED] == "new"


def test_tells_up_of_its_own_version_alone_when_two_follow_each_other() -> None:
    fleet = Fleet()
    fleet.pods = [pod_that(crashing())]
    # Read, and not yet written: what is written then is refused by its resourceVersion.
    assert fleet.step() is not None
    fleet.apply("newest", "fleet-1")
    assert fleet.step() is None
    fleet.complete()
    assert taken(fleet, rollout.AS_PROVIDER).annotations == {JUDGED: "newest", FAILURE: None}


def test_forgets_a_failure_when_the_same_serves_after_all() -> None:
    fleet = Fleet()
    fleet.take(rollout.Step({GOOD: None}, ""))
    fleet.pods = [pod_that(crashing())]
    assert told(taken(fleet, rollout.AS_PROVIDER))["undone"] is False
    fleet.complete()
    assert taken(fleet, rollout.AS_GUARD).annotations == {GOOD: "fleet-2"}
    assert taken(fleet, rollout.AS_PROVIDER).annotations == {JUDGED: "new", FAILURE: None}
    assert rollout.is_settled(fleet.deployment)


def test_undoes_what_somebody_tries_by_hand_after_a_failure() -> None:
    fleet = Fleet()
    fleet.pods = [pod_that(crashing())]
    taken(fleet, rollout.AS_PROVIDER)
    fleet.complete()
    fleet.replica_sets.append(fleet.replica_set("3"))
    fleet.ask("fleet-3")
    fleet.pods = [pod_that(crashing())]
    undo = fleet.step()
    assert told(undo)["replicaSet"] == "fleet-3"
    assert undo is not None
    assert undo.template is not None


def test_tells_up_at_once_when_what_has_served_is_asked_for_again() -> None:
    fleet = Fleet()
    fleet.ask("fleet-1")
    assert fleet.step() is None
    fleet.complete()
    assert taken(fleet, rollout.AS_PROVIDER).annotations == {JUDGED: "new", FAILURE: None}


@pytest.mark.parametrize("good", [None, "fleet-0"])
def test_leaves_the_first_one_as_it_is_and_tells_up(good: Optional[str]) -> None:
    fleet = Fleet()
    fleet.take(rollout.Step({GOOD: good}, ""))
    fleet.pods = [pod_that(crashing())]
    step = taken(fleet, rollout.AS_PROVIDER)
    assert told(step)["undone"] is False
    assert step.annotations[JUDGED] == "new"
    assert step.template is None
    assert fleet.step() is None


def test_leaves_pods_alone_that_have_served() -> None:
    fleet = Fleet()
    fleet.complete()
    taken(fleet, rollout.AS_GUARD)
    taken(fleet, rollout.AS_PROVIDER)
    fleet.deployment["status"]["availableReplicas"] = 0
    fleet.late()
    fleet.pods = [pod_that(crashing())]
    assert fleet.step() is None


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (pod_that(pulling()), "pod fleet-2-a: triton: ImagePullBackOff: not found"),
        (pod_that(running()), "pod fleet-2-a: triton runs, but is not ready"),
        (
            pod_that(
                running(),
                conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}],
                containerStatuses=[],
            ),
            "pod fleet-2-a: no node takes it: 0/3 nodes",
        ),
        (
            pod_that(running(), phase="Failed", reason="Evicted", message="low on memory"),
            "pod fleet-2-a: Evicted: low on memory",
        ),
        (None, "it has timed out progressing"),
    ],
)
def test_undoes_what_gets_no_further(pod: Optional[Object], reason: str) -> None:
    fleet = Fleet()
    fleet.pods = [] if pod is None else [pod]
    fleet.late()
    assert told(fleet.step())["reason"] == reason


def test_says_why_no_pod_can_be_made() -> None:
    fleet = Fleet()
    fleet.pods = []
    fleet.late()
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    fleet.deployment["status"]["conditions"].append(refused)
    assert told(fleet.step())["reason"] == "no pod can be made: exceeded quota"


def test_looks_at_the_container_that_says_most() -> None:
    pod = pod_that(running())
    pod["status"]["containerStatuses"].append({"name": "agent", **crashing(0)})
    assert trouble_of(pod) == "agent has ended with exit code 1"
    assert rollout.crashed_container(pod) == "agent"


def test_patches_only_what_it_has_seen() -> None:
    fleet = Fleet()
    step = rollout.Step({JUDGED: "new", FAILURE: None, GOOD: None}, "", {"of": "fleet-1"})
    assert patch_of(fleet.deployment, step) == [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "77"},
        {"op": "add", "path": "/metadata/annotations/xsched-triton~1judged", "value": "new"},
        {"op": "remove", "path": "/metadata/annotations/xsched-triton~1good"},
        {"op": "replace", "path": "/spec/template", "value": {"of": "fleet-1"}},
    ]


#: As of Triton 24.10.
_TWO_MODELS = r"""
I1129 1 main.cc:1] loading
E1129 12:00:00.1 1 lifecycle.cc:642] "failed to load 'batch' version 1: Internal: no weights\n\nAt:\n"
E1129 12:00:00.2 1 main.cc:2] "failed to load 'other' version 1: Internal: more"
error: creating server: Internal - failed to load all models
"""


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (_TWO_MODELS, "failed to load 'batch' version 1: Internal: no weights At:"),
        ("I1129 1 a\nerror: the scheduler is not there\nlast words\n", "error: the scheduler is not there"),
        ("first words\nlast words\n\n", "last words"),
        ("", None),
    ],
)
def test_finds_the_reason_in_a_log(log: str, reason: Optional[str]) -> None:
    assert reason_in(log) == reason


def test_says_no_more_than_one_would_read() -> None:
    text = reason_in("error: " + "x" * 5000)
    assert text is not None
    assert len(text) < 1000


class ApiServer(guard.Cluster):
    """Answers as one that has a fleet whose new pod crashes."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.patches: List[Object] = []
        self.changed = False

    def ask(self, method: str, path: str, body: Optional[bytes] = None, kind: str = "") -> bytes:
        place, _, query = path.partition("?")
        if method == "PATCH":
            assert kind == "application/json-patch+json"
            if self.changed:
                raise urllib.error.HTTPError(path, 409, "Conflict", None, None)
            self.patches.append({"query": query, "patch": json.loads(body or b"")})
            return b"{}"
        if place.endswith("/log"):
            assert "container=triton&previous=true" in query
            return b"error: no weights\n"
        found = {
            "/apis/apps/v1/namespaces/models/deployments/fleet": self.fleet.deployment,
            "/apis/apps/v1/namespaces/models/replicasets": {"items": self.fleet.replica_sets},
            "/api/v1/namespaces/models/pods": {"items": self.fleet.pods},
        }.get(place)
        if found is None:
            raise urllib.error.HTTPError(path, 404, "Not Found", None, None)
        return json.dumps(found).encode()


def guard_of(cluster: ApiServer, name: str = "fleet") -> Guard:
    return Guard(cluster, "models", name, say=lambda _: None)


def test_undoes_with_what_the_log_says_in_one_write() -> None:
    cluster = ApiServer(Fleet())
    cluster.fleet.pods = [pod_that(crashing())]
    assert guard_of(cluster).look()
    (written,) = cluster.patches
    # Pulumi's provider takes over what has this name, and removes what it doesn't have itself.
    assert written["query"] == "fieldManager=pulumi-kubernetes"
    values = {each["path"].replace("~1", "/"): each["value"] for each in written["patch"]}
    assert list(values) == [
        "/metadata/resourceVersion",
        *(f"/metadata/annotations/{name}" for name in (JUDGED, FAILURE)),
        "/spec/template",
    ]
    reason = json.loads(values[f"/metadata/annotations/{FAILURE}"])["reason"]
    assert reason == "pod fleet-2-a: triton has ended 3 times, at last with exit code 1: error: no weights"


def test_writes_as_itself_what_has_to_stay() -> None:
    cluster = ApiServer(Fleet())
    cluster.fleet.complete()
    assert guard_of(cluster).look()
    (written,) = cluster.patches
    assert written["query"] == "fieldManager=xsched-triton-guard"
    assert [each["path"] for each in written["patch"]][1:] == ["/metadata/annotations/xsched-triton~1good"]


def test_looks_again_where_somebody_was_faster() -> None:
    cluster = ApiServer(Fleet())
    cluster.fleet.complete()
    cluster.changed = True
    assert not guard_of(cluster).look()


def test_has_nothing_to_do_before_there_is_a_deployment() -> None:
    assert not guard_of(ApiServer(Fleet()), "other").look()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"asked": self.headers["Authorization"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_asks_nobody_but_the_cluster_of_its_token(tmp_path: Path) -> None:
    own, other = (make_authority(tmp_path, name) for name in ("own", "other"))
    (tmp_path / "server.crt").write_text(own.sign("server")[0], "utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"https://127.0.0.1:{server.server_port}"
        (tmp_path / "token").write_text("secret\n", "utf-8")
        (tmp_path / "ca.crt").write_bytes(own.certificate.read_bytes())
        assert guard.Cluster(address, tmp_path).get("/") == {"asked": "Bearer secret"}
        (tmp_path / "ca.crt").write_bytes(other.certificate.read_bytes())
        with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
            guard.Cluster(address, tmp_path).get("/")
    finally:
        server.shutdown()
        server.server_close()


def test_needs_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    request = Request(HostDirectory(tmp_path), ["models", "fleet", "/c", "/s"])
    with pytest.raises(HostError, match="no pod of Kubernetes"):
        guard.guard(request)
