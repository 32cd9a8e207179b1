import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const root = path.resolve(__dirname, "../../..");

/** A Docker that has one container until it is removed. */
const LISTS_UNTIL_REMOVED = `case "$1" in
  ps) [ -e "$0.removed" ] || echo 0123456789ab ;;
  rm) touch "$0.removed" ;;
esac`;

/** Replaces the record of images, which has its own test. */
const NO_RECORD = 'record_pulled_image() { docker recorded "$1"; }';

describe("server-container.sh", () => {
  let folder: string;

  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-container-"));
    fs.mkdirSync(path.join(folder, "bin"));
  });

  afterEach(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** Runs bash with the container functions, on a PATH whose docker records its calls. */
  function calls(script: string, { gpu = false, docker = "" } = {}): string[][] {
    const record = path.join(folder, "calls");
    const program = (name: string, text: string) => {
      fs.writeFileSync(path.join(folder, "bin", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    };
    program("docker", `{ printf '%s\\037' "$@"; printf '\\n'; } >> '${record}'\n${docker}`);
    program("nvidia-smi", `exit ${gpu ? 0 : 9}`);
    // As on a host, all in one folder.
    for (const concern of ["host", "server"]) {
      fs.cpSync(path.join(root, "components", concern, "scripts"), path.join(folder, "scripts"), {
        recursive: true,
      });
    }
    const load = ["host-directory.sh", "server-container.sh"]
      .map((file) => `. "${path.join(folder, "scripts", file)}"`)
      .join("\n");
    const settings = [
      "kind container",
      "image registry.example/triton@sha256:abc",
      "httpPort 9000",
      "grpcPort 9001",
      "metricsPort 9002",
      "address 127.0.0.1",
      "exitTimeoutSeconds 30",
      "logMegabytes 20",
      "loadTimeoutSeconds 60",
      "arg --log-verbose=1",
    ].join("\n");
    const { status, stderr } = spawnSync(
      "bash",
      ["-c", `${load}\nuse_host_directory '/srv/my "models"'\nread_settings\n${script}`],
      {
        encoding: "utf8",
        input: settings,
        env: { PATH: `${path.join(folder, "bin")}:${process.env.PATH ?? ""}` },
      },
    );
    assert.equal(status, 0, stderr);
    return fs
      .readFileSync(record, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\x1f").slice(0, -1));
  }

  /** How launch_container calls `docker run`. */
  const launch = (before = "", machine = {}): string[] =>
    calls(`${before} launch_container`, machine).find(([command]) => command === "run") ?? [];

  it("runs the image with a restart policy, limited logs and private ports", () => {
    const run = launch();
    const image = run.indexOf("registry.example/triton@sha256:abc");
    assert.deepEqual(run.slice(0, 3), ["run", "--detach", "--name"]);
    assert.match(run[3] ?? "", /^xsched-triton-[0-9a-f]{12}$/);
    const options = run.slice(4, image);
    const option = (name: string) =>
      options.flatMap((value, index) => (value === name ? [options[index + 1]] : []));
    assert.deepEqual(option("--restart"), ["unless-stopped"]);
    assert.deepEqual(option("--publish"), [
      "127.0.0.1:9000:9000",
      "127.0.0.1:9001:9001",
      "127.0.0.1:9002:9002",
    ]);
    assert.deepEqual(option("--mount"), [
      'type=bind,"source=/srv/my ""models""/models",target=/xsched-triton/models,readonly',
    ]);
    assert.deepEqual(option("--stop-timeout"), ["40"]);
    assert.deepEqual(option("--shm-size"), ["1g"]);
    assert.deepEqual(option("--log-opt"), ["max-size=10m", "max-file=2"]);
    assert.deepEqual(option("--env"), [
      "XSCHED_POLICY=HPF",
      "XSCHED_REQUIRED=OFF",
      "XSCHED_TRITON_DRAIN_SECONDS=0",
      "XSCHED_METRICS_FILE=/tmp/xsched-triton/metrics-%p",
    ]);
    assert.deepEqual([...option("--gpus"), ...option("--ulimit")], []);
    assert.deepEqual(run.slice(image + 1), [
      "tritonserver",
      "--model-repository=/xsched-triton/models/repository",
      "--model-control-mode=explicit",
      "--exit-on-error=false",
      "--strict-readiness=false",
      "--exit-timeout-secs=30",
      "--load-model=*",
      "--http-port=9000",
      "--grpc-port=9001",
      "--metrics-port=9002",
      "--log-verbose=1",
    ]);
  });

  it("gives the container any GPUs and the limits that NVIDIA recommends, and requires scheduling", () => {
    const run = launch("", { gpu: true });
    assert.ok(run.includes("XSCHED_REQUIRED=ON"));
    const given = run.slice(run.indexOf("--gpus"), run.indexOf("registry.example/triton@sha256:abc"));
    assert.deepEqual(given, ["--gpus", "all", "--ulimit", "memlock=-1", "--ulimit", "stack=67108864"]);
  });

  it("leaves a container time to drain", () => {
    const run = launch("SETTING[drainSeconds]=15;");
    assert.ok(run.includes("XSCHED_TRITON_DRAIN_SECONDS=15"));
    assert.equal(run[run.indexOf("--stop-timeout") + 1], "55");
  });

  it("lets requests in flight finish before it removes the container, and checks that it is gone", () => {
    const stop = calls("stop_container 40", { docker: LISTS_UNTIL_REMOVED });
    assert.deepEqual(
      stop.slice(0, 4).map(([command, ...words]) => [command, ...words.slice(0, 2)]),
      [
        ["ps", "--all", "--quiet"],
        ["stop", "-t", "40"],
        ["rm", "--force", stop[2]?.at(-1)],
        ["ps", "--all", "--quiet"],
      ],
    );
  });

  it("does not assume that a container is gone because Docker does not answer", () => {
    const last = calls("if stop_container 40; then docker yes; else docker no; fi || true", {
      docker: "exit 1",
    }).at(-1);
    assert.deepEqual(last, ["no"]);
  });

  it("keeps one link to its container's log, even after the container was replaced", () => {
    const docker =
      'case "$1" in inspect) [ -z "$CONTAINER" ] || echo "$CONTAINER /docker/$CONTAINER.log" ;; esac';
    const ids = ["a".repeat(64), "b".repeat(64)] as const;
    const links = calls(
      `DIR=${folder}
      links() { docker links $(cd "$DIR/server/logs" && for link in *; do echo "$link" "$(readlink "$link")"; done); }
      export CONTAINER=${ids[0]}; link_container_log; link_container_log; links
      CONTAINER=${ids[1]}; link_container_log; links
      CONTAINER=""; touch "$DIR/server/logs/triton.log"; link_container_log; links`,
      { docker },
    ).filter(([command]) => command === "links");
    assert.deepEqual(links, [
      ["links", "container-aaaaaaaaaaaa.log", `/docker/${ids[0]}.log`],
      ["links", "container-bbbbbbbbbbbb.log", `/docker/${ids[1]}.log`],
      ["links", "triton.log"],
    ]);
  });

  it("pulls a missing image, and says why it cannot", () => {
    const absent = 'case "$1" in image) exit 1 ;; esac';
    const pull = calls(`${NO_RECORD}; require_image registry.example/triton@sha256:abc`, { docker: absent });
    assert.deepEqual(pull.slice(-2), [
      ["pull", "registry.example/triton@sha256:abc"],
      ["recorded", "registry.example/triton@sha256:abc"],
    ]);
    const there = calls("require_image registry.example/triton@sha256:abc");
    assert.ok(!there.slice(pull.length).some(([command]) => command === "pull"));
    const refused = `${absent}\n[ "$1" != pull ] || { echo 'abc: Pulling fs layer'; echo 'denied: log in'; exit 1; }`;
    const message = "error: Docker cannot pull the image registry.example/triton@sha256:abc: denied: log in";
    calls(
      `message=$( (require_image registry.example/triton@sha256:abc) 2>&1) || true; [[ $message == *"${message}"* ]]`,
      {
        docker: refused,
      },
    );
  });

  it("reports that Docker's disk is full", () => {
    const full = `case "$1" in
      image) exit 1 ;;
      pull) echo 'write /var/lib/docker/tmp/1: no space left on device'; exit 1 ;;
    esac`;
    calls(
      `message=$( (require_image a@sha256:b) 2>&1) || true
      grep -F "no space left on device" <<<"$message" && grep -F "fix: free some of Docker's disk" <<<"$message"`,
      { docker: full },
    );
  });

  it("counts a container as failed when it restarts while we watch, whatever happened before", () => {
    const restarts = 'case "$3" in *Running*) echo "true 1" ;; *) echo 2 ;; esac';
    const verdict = (before: string): string | undefined =>
      calls(`${before}; if container_failed; then docker yes; else docker no; fi`, { docker: restarts })
        .at(-1)
        ?.at(0);
    assert.equal(verdict("CONTAINER_RESTARTS=2"), "no");
    assert.equal(verdict("container_running"), "yes");
  });

  it("counts as scheduled if the image's own check succeeds, and shows its message", () => {
    const verdict = (docker: string): string[][] =>
      calls('if message=$(container_scheduled 2>&1); then docker yes; else docker no "$message"; fi', {
        docker,
      });
    const check = "/opt/xsched/bin/healthcheck.sh";
    const [exec = [], yes] = verdict("");
    assert.deepEqual([exec[0], ...exec.slice(2)], ["exec", check, "scheduler"]);
    assert.deepEqual(yes, ["yes"]);
    const refuse = (code: number, says: string): string =>
      `[ "$1" != exec ] || { echo '${says}'; exit ${code}; }`;
    assert.deepEqual(verdict(refuse(1, "unhealthy: no driver")).at(-1), ["no", "unhealthy: no driver"]);
    assert.deepEqual(verdict('[ "$1" != exec ] || exit 127').at(-1), ["no", "the image has no XSched"]);
  });

  it("requires scheduling always, on a GPU, or never, as configured", () => {
    const verdict = (required: string, gpu: boolean): string | undefined =>
      calls(
        `SETTING[schedulerRequired]=${required}; if scheduling_required; then docker yes; else docker no; fi`,
        { gpu },
      )
        .at(-1)
        ?.at(0);
    assert.equal(verdict("always", false), "yes");
    assert.equal(verdict("onGpu", true), "yes");
    assert.equal(verdict("onGpu", false), "no");
    assert.equal(verdict("never", true), "no");
  });
});
