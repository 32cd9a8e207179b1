import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { credentials } from "@grpc/grpc-js";
import { isMap, isSeq } from "yaml";

import { attackGateway, attackTriton, type GrpcAccess, served } from "./attack";
import { DockerEngine } from "./dockerEngine";
import { StandInImages } from "./standInImage";
import { EXAMPLES, MODELS } from "./examples";
import { missingHaproxy } from "./haproxy";
import { TritonClient, underLoad } from "./triton";
import { freePorts, untilFree } from "./ports";
import { until } from "../until";
import { changesIn, requireSuccess, Workspace } from "./workspace";
import { skipWithout } from "./needs";

/** What everybody on this machine sees of its processes. */
function commandLines(): string[] {
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((id) => {
      try {
        return [fs.readFileSync(`/proc/${id}/cmdline`, "utf8")];
      } catch {
        return []; // It has ended.
      }
    });
}

describe("the container runtime on a real Docker", function () {
  let engine: DockerEngine | undefined;
  let images: StandInImages;
  let workspace: Workspace;
  let directory: string;
  let triton: TritonClient;
  let ports: number[];

  const docker = (): DockerEngine => {
    assert.ok(engine);
    return engine;
  };

  const containers = (): Promise<string[]> => docker().containersOf(directory);

  const inspect = async (format: string): Promise<string> => {
    const [container = ""] = await containers();
    return docker().ask("inspect", "--format", format, container);
  };

  /** Of this project, without Docker's own. */
  const networks = async (): Promise<string[]> => {
    const names = await docker().ask(
      "network",
      "ls",
      "--filter",
      "label=xsched-triton.directory",
      "--format",
      "{{.Name}}",
    );
    return names.split("\n").filter((name) => name !== "");
  };

  const set = (where: readonly string[], value: unknown): void => {
    workspace.edit("local", (config) => {
      config.setIn(["config", ...where], value);
    });
  };

  const everyModelServes = async (): Promise<boolean> =>
    (await Promise.all(MODELS.map((model) => triton.isReady(model)))).every(Boolean);

  const changed = (output: string): string[] =>
    changesIn(output)
      .map(({ name, done }) => `${name} ${done}`)
      .sort();

  const grpcAt = (port: number): GrpcAccess => ({ port, credentials: credentials.createInsecure() });

  before(async function () {
    // The stand-in images may have to be made, or another file be making them, on a busy machine.
    this.timeout(1_200_000);
    skipWithout(this, DockerEngine.missing ?? StandInImages.missing ?? missingHaproxy);
    engine = await DockerEngine.start();
    images = await StandInImages.serve(engine);
    workspace = await Workspace.create(engine.environment);
    // Every character that a path may contain and that Docker, Triton or a shell could misread.
    directory = workspace.file('the host\'s "models", $HOME');
    ports = await freePorts(3);
    const [httpPort, grpcPort, metricsPort] = ports;
    triton = new TritonClient(httpPort!);
    for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
      set(["xsched-triton:server", key], port);
    }
    set(["xsched-triton:host"], { kind: "local", directory });
    set(["xsched-triton:runtime"], { kind: "container", image: images.image("1") });
  });

  after(async () => {
    if (engine === undefined) return;
    triton.close();
    await workspace.npm("down");
    await images.stop();
    await engine.stop();
    workspace.remove();
  });

  it("pulls the image and serves every example model at its priority", async () => {
    const { code, output } = await workspace.npm("up");
    requireSuccess({ code, output });
    assert.match(output, /pulling the image/);
    assert.doesNotMatch(output, /\.sh: line \d+:/);
    for (const { name, ...priority } of EXAMPLES) {
      assert.ok(await triton.isReady(name), `${name} is ready`);
      assert.deepEqual(await triton.priority(name), priority);
      const { status, body } = await triton.infer(name, await triton.exampleRequest(name));
      assert.equal(status, 200, body);
    }
    assert.equal((await containers()).length, 1);
    const bindings = await inspect("{{range .HostConfig.PortBindings}}{{range .}}{{.HostIp}} {{end}}{{end}}");
    assert.deepEqual(bindings.trim().split(" "), ["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
  });

  it("lets the container write to a few folders only, and do nothing that root may", async () => {
    const [name = ""] = await containers();
    // Other containers do not reach it past the ports that are published.
    assert.deepEqual(await networks(), [
      await inspect("{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}"),
    ]);
    const inside = (script: string): Promise<string> => docker().ask("exec", name, "sh", "-c", script);
    assert.match(
      await inside("grep -E '^(CapEff|NoNewPrivs):' /proc/1/status"),
      /^CapEff:\t0+\nNoNewPrivs:\t1$/m,
    );
    const writable =
      "for place in / /opt /usr /xsched-triton/models /tmp /root; do touch $place/x 2>/dev/null && echo $place; done";
    assert.equal(await inside(`${writable}; true`), "/tmp\n/root");
  });

  it("has a scheduling domain in memory, which another container joins as the same user", async () => {
    const [name = ""] = await containers();
    const folder = await docker().ask("exec", name, "printenv", "XSCHED_DOMAIN_DIR");
    assert.equal(folder, "/xsched-triton/domain/gpus");
    // As the first process that joins makes it.
    const make = `mkdir -m 700 ${folder} && echo here >${folder}/gpu && stat -f -c %T ${folder}`;
    assert.equal(await docker().ask("exec", name, "sh", "-c", make), "tmpfs");
    const volume = (await docker().ask("volume", "ls", "--quiet"))
      .split("\n")
      .filter((each) => each.endsWith("-domain"));
    assert.equal(volume.length, 1);
    const other = [
      "--rm",
      "--network",
      "none",
      "--mount",
      `type=volume,source=${volume[0]},target=/xsched-triton/domain`,
    ];
    const joined = await docker().ask("run", ...other, images.image("1"), "cat", `${folder}/gpu`);
    assert.equal(joined, "here");
    await docker().ask("exec", name, "rm", "-r", folder);
  });

  it("refuses to load a model from the host, with a key that nobody sees", async () => {
    const before = await served(workspace, directory);
    assert.deepEqual(before.models, [...MODELS].sort());
    await attackTriton(triton, grpcAt(ports[1]!));
    const key = fs.readFileSync(path.join(directory, "server/control-key"), "utf8").trim();
    assert.match(key, /^[0-9a-f]{64}$/);
    const [name = ""] = await containers();
    assert.ok(!(await docker().ask("inspect", name)).includes(key), "Docker does not tell the key");
    const lines = commandLines();
    assert.ok(lines.some((line) => line.includes(`--http-port=${ports[0]}`)));
    assert.ok(!lines.some((line) => line.includes(key)), "no list of processes shows the key");
    assert.deepEqual(await served(workspace, directory), before);
  });

  it("changes nothing when nothing has changed", async () => {
    const before = await inspect("{{.Id}} {{.State.StartedAt}}");
    const { code, output } = await workspace.npm("up");
    requireSuccess({ code, output });
    assert.deepEqual(changesIn(output), []);
    assert.equal(await inspect("{{.Id}} {{.State.StartedAt}}"), before);
  });

  it("reloads only the model whose priority changes, and no request fails meanwhile", async () => {
    const before = await inspect("{{.Id}} {{.State.StartedAt}}");
    workspace.edit("local", (config) => {
      const models = config.getIn(["config", "xsched-triton:models"]);
      assert.ok(isSeq(models));
      const entry = models.items.find((item) => isMap(item) && item.get("name") === "interactive");
      assert.ok(isMap(entry));
      entry.set("priority", 90);
    });
    const { result, reports } = await underLoad(triton, MODELS, 60, () => workspace.npm("up"));
    requireSuccess(result);
    assert.deepEqual(changed(result.output), [
      "triton-models-interactive updated",
      "triton-server-models updated",
    ]);
    for (const [model, { failures, sent }] of reports) {
      assert.deepEqual(failures, [], `${model}: ${failures.length} of ${sent} requests failed`);
      assert.ok(sent >= 100, `${model}: ${sent} requests`);
    }
    assert.deepEqual(await triton.priority("interactive"), { triton: "PRIORITY_MAX", xsched: "90" });
    assert.equal(await inspect("{{.Id}} {{.State.StartedAt}}"), before);
  });

  it("serves the same models again after a crash", async () => {
    const [before, pid] = (await inspect("{{.State.StartedAt}} {{.State.Pid}}")).split(" ");
    // A container cannot kill its own first process.
    const killer = ["--rm", "--pid", "host", "--network", "none", images.image("1")];
    await docker().ask("run", ...killer, "bash", "-c", 'kill -9 "$0"', pid ?? "");
    const servesAgain = async (): Promise<boolean> =>
      // Between two containers there is none to inspect.
      (await inspect("{{.State.StartedAt}}").catch(() => before)) !== before && (await everyModelServes());
    await until("every model serves again", servesAgain, 300);
    assert.equal((await containers()).length, 1);
    assert.equal((await triton.priority("interactive")).xsched, "90");
    const { code, output } = await workspace.npm("up");
    requireSuccess({ code, output });
    assert.deepEqual(changesIn(output), []);
  });

  it("replaces only the container when the image changes", async () => {
    const before = await inspect("{{.Id}}");
    set(["xsched-triton:runtime", "image"], images.image("2"));
    const { code, output } = await workspace.npm("up");
    requireSuccess({ code, output });
    assert.deepEqual(changed(output), ["triton-server-image updated", "triton-server-process updated"]);
    assert.notEqual(await inspect("{{.Id}}"), before);
    assert.equal(await inspect('{{index .Config.Labels "version"}}'), "2");
    assert.ok(await everyModelServes());
    assert.equal((await triton.priority("interactive")).xsched, "90");
  });

  it("has a link to its container's log, for log shippers, and to no other", async () => {
    await docker().ask("run", "--detach", "--name", "stranger", "--network", "none", images.image("1"), "ls");
    const logs = path.join(directory, "server/logs");
    const [link = "", ...others] = fs.readdirSync(logs);
    assert.match(link, /^container-[0-9a-f]{12}\.log$/);
    assert.deepEqual(others, []);
    assert.equal(fs.readlinkSync(path.join(logs, link)), await inspect("{{.LogPath}}"));
    await docker().ask("rm", "--force", "stranger");
  });

  it("does not touch the server when the new image cannot be pulled", async () => {
    const before = await inspect("{{.Id}} {{.State.StartedAt}}");
    const absent = `${images.repository}@sha256:${"0".repeat(64)}`;
    set(["xsched-triton:runtime", "image"], absent);
    const { result, reports } = await underLoad(triton, MODELS, 20, () => workspace.npm("up"));
    set(["xsched-triton:runtime", "image"], images.image("2"));
    assert.notEqual(result.code, 0);
    assert.ok(result.output.includes(`error: Docker cannot pull the image ${absent}: `), result.output);
    assert.match(result.output, /manifest unknown/);
    for (const [model, { failures }] of reports) assert.deepEqual(failures, [], model);
    assert.equal(await inspect("{{.Id}} {{.State.StartedAt}}"), before);
  });

  it("says which program has a port, and leaves the server alone", async () => {
    const before = await inspect("{{.Id}} {{.State.StartedAt}}");
    const registry = Number(/:(\d+)\//.exec(images.repository)?.[1]);
    set(["xsched-triton:server", "metricsPort"], registry);
    const { code, output } = await workspace.npm("up");
    set(["xsched-triton:server", "metricsPort"], ports[2]);
    assert.notEqual(code, 0);
    assert.match(output, new RegExp(`the port ${registry} \\(metricsPort\\) is in use by .*docker-registry`));
    assert.equal(await inspect("{{.Id}} {{.State.StartedAt}}"), before);
  });

  it("goes back to the previous server when Triton refuses the new settings", async () => {
    set(["xsched-triton:server", "extraFlags"], ["--no-such-flag"]);
    const { code, output } = await workspace.npm("up");
    set(["xsched-triton:server", "extraFlags"], []);
    assert.notEqual(code, 0);
    assert.match(output, /unrecognized option '--no-such-flag'/);
    assert.match(output, /the server runs again with its previous settings/);
    assert.equal((await containers()).length, 1);
    assert.ok(await everyModelServes());
  });

  it("goes back to the previous server when scheduling is required but the image lacks it", async () => {
    set(["xsched-triton:scheduler"], { required: true });
    const { code, output } = await workspace.npm("up");
    workspace.edit("local", (config) => {
      config.deleteIn(["config", "xsched-triton:scheduler"]);
    });
    assert.notEqual(code, 0);
    assert.match(output, /scheduling is required and not active; use an image with the XSched core/);
    assert.equal((await containers()).length, 1);
    assert.ok(await everyModelServes());
    const repaired = await workspace.npm("up");
    requireSuccess(repaired);
    assert.deepEqual(changesIn(repaired.output), []);
  });

  it("refuses to load a model through a gateway, and past it", async () => {
    const behind = await freePorts(3);
    const [http, grpc, metrics] = behind;
    set(["xsched-triton:gateway"], { enabled: true, tls: "off", upstreamPorts: { http, grpc, metrics } });
    requireSuccess(await workspace.npm("up"));
    const before = await served(workspace, directory);
    assert.deepEqual(before.models, [...MODELS].sort());
    assert.ok(await everyModelServes());
    await attackGateway(triton, grpcAt(ports[1]!));
    const past = new TritonClient(http!);
    await attackTriton(past, grpcAt(grpc!));
    past.close();
    assert.deepEqual(await served(workspace, directory), before);
    assert.ok(await everyModelServes());
    ports.push(...behind);
  });

  it("`npm run down` leaves no container, no port and no file of the host", async () => {
    const { code, output } = await workspace.npm("down");
    requireSuccess({ code, output });
    assert.deepEqual(await containers(), []);
    assert.equal(await docker().ask("volume", "ls", "--quiet"), "");
    assert.deepEqual(await networks(), []);
    assert.equal(await docker().ask("images", "--quiet", images.repository), "");
    for (const port of ports) await untilFree(port);
    assert.ok(!fs.existsSync(directory));
  });
});
