import * as assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as fs from "node:fs";

import { isMap, isSeq } from "yaml";

import { until } from "../until";
import { EXAMPLES, MODELS } from "./examples";
import { TritonClient, underLoad } from "./triton";
import { freePorts, untilFree } from "./ports";
import { changesIn, requireSuccess, Workspace } from "./workspace";

/** What `read` finds out about a process; nothing if that has ended meanwhile. */
function ofProcess(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}

/** Processes of this machine whose command line holds `text`, by process id. */
function processesWith(text: string): number[] {
  return fs
    .readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((entry) => ofProcess(() => fs.readFileSync(`/proc/${entry}/cmdline`, "utf8")).includes(text))
    .map(Number);
}

/** Kills processes; one that has ended meanwhile is as good. */
function kill(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/**
 * The shared memory of Triton's Python backend for a host's folder.
 *
 * @param pid the server, which may have a /dev/shm of its own
 */
function sharedMemory(folder: string, pid?: number): string[] {
  const identity = createHash("sha256").update(folder).digest("hex").slice(0, 12);
  return fs
    .readdirSync(`${pid === undefined ? "" : `/proc/${pid}/root`}/dev/shm`)
    .filter((name) => name.startsWith(`xsched-triton-${identity}-`));
}

describe("the local stack on the real engine, from a fresh clone", () => {
  let workspace: Workspace;
  let triton: TritonClient;
  let ports: number[];

  const serverProcess = (): number => {
    const found = processesWith(workspace.file(".local")).filter((pid) =>
      ofProcess(() => fs.readFileSync(`/proc/${pid}/cmdline`, "utf8"))
        .split("\0")[0]
        ?.endsWith("/tritonserver"),
    );
    assert.equal(found.length, 1, `one tritonserver runs, not ${found.length}`);
    return found[0]!;
  };

  const setPriority = (model: string, priority: number | string): void => {
    workspace.edit("local", (config) => {
      const models = config.getIn(["config", "xsched-triton:models"]);
      assert.ok(isSeq(models));
      const entry = models.items.find((item) => isMap(item) && item.get("name") === model);
      assert.ok(isMap(entry));
      entry.set("priority", priority);
    });
  };

  before(async () => {
    workspace = await Workspace.fresh();
    ports = await freePorts(3);
    const [httpPort, grpcPort, metricsPort] = ports;
    workspace.edit("local", (config) => {
      for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
        config.setIn(["config", "xsched-triton:server", key], port);
      }
    });
    triton = new TritonClient(httpPort!);
  });

  after(async () => {
    triton.close();
    await workspace.npm("down");
    workspace.remove();
  });

  it("`npm run up` serves every example model at the priority of Pulumi.local.yaml", async () => {
    const { code, output } = await workspace.npmItself("up");
    requireSuccess({ code, output });
    for (const { name, ...priority } of EXAMPLES) {
      assert.ok(await triton.isReady(name), `${name} is ready`);
      assert.deepEqual(await triton.priority(name), priority);
      const { status, body } = await triton.infer(name, await triton.exampleRequest(name));
      assert.equal(status, 200, body);
      assert.ok((JSON.parse(body) as { outputs: unknown[] }).outputs.length > 0);
      assert.match(output, new RegExp(`^${name} +1 +${priority.xsched} +yes$`, "m"));
    }
    assert.match(output, /^ {2}curl .*\/v2\/models\/\w+\/infer/m);
    assert.ok(fs.statSync(workspace.file(".local/pulumi/logs")).isFile(), "Pulumi writes no debug logs");
  });

  it("the request that `up` prints works", async () => {
    const { output } = await workspace.npmItself("status");
    const request = /^ {2}(curl .*)$/m.exec(output)?.[1];
    assert.ok(request, output);
    const answer = await workspace.run("bash", ["-c", request]);
    requireSuccess(answer);
    assert.match(answer.output, /"outputs":\[/);
  });

  it("`npm run up` again changes nothing", async () => {
    const pid = serverProcess();
    const { code, output } = await workspace.npm("up");
    requireSuccess({ code, output });
    assert.deepEqual(changesIn(output), []);
    assert.match(output, /Resources:\s+\d+ unchanged/);
    assert.equal(serverProcess(), pid);
  });

  it("`npm run preview` of a changed priority names only that model and changes nothing", async () => {
    setPriority("interactive", 90);
    const { code, output } = await workspace.npmItself("preview");
    requireSuccess({ code, output });
    const touched = [...output.matchAll(/^\s*~\s+command:\S+\s+(\S+)/gm)].map(([, name]) => name);
    assert.deepEqual(touched.sort(), ["triton-models-interactive", "triton-server-models"]);
    assert.equal((await triton.priority("interactive")).xsched, "40");
  });

  it("a changed priority reloads only that model, and no request fails meanwhile", async () => {
    const pid = serverProcess();
    const { result, reports } = await underLoad(triton, MODELS, 60, () => workspace.npm("up"));
    requireSuccess(result);
    assert.deepEqual(
      changesIn(result.output)
        .map(({ name, done }) => `${name} ${done}`)
        .sort(),
      ["triton-models-interactive updated", "triton-server-models updated"],
    );
    for (const [model, { failures, sent }] of reports) {
      assert.deepEqual(failures, [], `${model}: ${failures.length} of ${sent} requests failed`);
      assert.ok(sent >= 100, `${model}: ${sent} requests`);
    }
    assert.deepEqual(await triton.priority("interactive"), { triton: "PRIORITY_MAX", xsched: "90" });
    assert.equal(serverProcess(), pid);
  });

  it("a model that Triton refuses fails the `up` with Triton's reason, and the others keep serving", async () => {
    const source = workspace.file("corrupt");
    fs.cpSync(workspace.file("examples/models/batch"), source, { recursive: true });
    fs.writeFileSync(`${source}/1/model.py`, "def initialize(self:\n");
    const models = ["config", "xsched-triton:models"];
    workspace.edit("local", (config) => {
      config.addIn(models, config.createNode({ name: "corrupt", source: "corrupt" }));
    });
    const { result, reports } = await underLoad(triton, MODELS, 20, () => workspace.npm("up"));
    workspace.edit("local", (config) => {
      config.deleteIn([...models, EXAMPLES.length]);
    });
    assert.notEqual(result.code, 0);
    assert.match(result.output, /SyntaxError/);
    for (const [model, { failures }] of reports) assert.deepEqual(failures, [], model);

    const repaired = await workspace.npm("up");
    requireSuccess(repaired);
    assert.ok(!fs.existsSync(workspace.file(".local/hosts/local/models/store/corrupt")));
    const again = await workspace.npm("up");
    assert.deepEqual(changesIn(again.output), []);
  });

  it("a change that breaks a serving model leaves its old version serving", async () => {
    const code = workspace.file("examples/models/batch/1/model.py");
    const good = fs.readFileSync(code, "utf8");
    fs.writeFileSync(code, "raise RuntimeError('the weights are torn')\n");
    const broken = await workspace.npm("up");
    fs.writeFileSync(code, good);
    assert.notEqual(broken.code, 0);
    assert.match(broken.output, /the weights are torn/);
    const { status, body } = await triton.infer("batch", await triton.exampleRequest("batch"));
    assert.equal(status, 200, body);

    const repaired = await workspace.npm("up");
    requireSuccess(repaired);
    assert.deepEqual(changesIn((await workspace.npm("up")).output), []);
  });

  it("tritonserver serves the same again after `kill -9`", async () => {
    const pid = serverProcess();
    process.kill(pid, "SIGKILL");
    await until("it ends", async () => !(await triton.isReady("realtime")) || serverProcess() !== pid);
    await until("all models are ready", async () =>
      (await Promise.all(MODELS.map((model) => triton.isReady(model)))).every(Boolean),
    );
    assert.equal((await triton.priority("interactive")).xsched, "90");
    assert.equal((await triton.priority("realtime")).xsched, "255");
    const { output } = await workspace.npm("up");
    assert.deepEqual(changesIn(output), []);
  });

  it("`npm run up` restarts a server after a reboot", async () => {
    // Until none is left: one that was about to start another may have done so.
    await until("all end", () => {
      const left = processesWith(workspace.file(".local/hosts"));
      kill(left);
      return left.length === 0;
    });
    const { code, output } = await workspace.npm("up");
    requireSuccess({ code, output });
    assert.match(output, /warning: the server does not run/);
    assert.deepEqual(
      changesIn(output).map(({ name, done }) => `${name} ${done}`),
      ["triton-server-process updated", "triton-server-models updated"],
    );
    for (const model of MODELS) assert.ok(await triton.isReady(model));
    assert.equal((await triton.priority("interactive")).xsched, "90");
    assert.deepEqual(changesIn((await workspace.npm("up")).output), []);
  });

  it("an `up` that is killed halfway is repaired by the next one", async () => {
    setPriority("batch", -100);
    const running = workspace.npm("up");
    const pulumi = (): number[] =>
      processesWith("up\0--stack\0local").filter(
        (pid) =>
          ofProcess(() => fs.realpathSync(`/proc/${pid}/cwd`)) === fs.realpathSync(workspace.directory),
      );
    // Halfway: the model is stored and is being reloaded.
    const link = workspace.file(".local/hosts/local/models/repository/batch");
    const before = fs.readlinkSync(link);
    await until("the model is stored", () => fs.readlinkSync(link) !== before);
    kill(pulumi());
    assert.notEqual((await running).code, 0);

    const { code, output } = await workspace.npm("up");
    requireSuccess({ code, output });
    assert.match(output, /Removing the lock of an update/);
    assert.equal((await triton.priority("batch")).xsched, "-100");
    assert.deepEqual(changesIn((await workspace.npm("up")).output), []);
  });

  it("a removed model leaves the host, and a changed server setting restarts Triton with the others", async () => {
    const pid = serverProcess();
    const models = ["config", "xsched-triton:models"];
    workspace.edit("local", (config) => {
      config.deleteIn([...models, 1]);
      config.setIn(["config", "xsched-triton:server", "logLevel"], "warning");
    });
    const { code, output } = await workspace.npm("up");
    requireSuccess({ code, output });
    assert.deepEqual(
      changesIn(output)
        .map(({ name, done }) => `${name} ${done}`)
        .sort(),
      ["triton-models-interactive deleted", "triton-server-models updated", "triton-server-process updated"],
    );
    assert.notEqual(serverProcess(), pid);
    assert.equal(await triton.isReady("interactive"), false);
    assert.ok(await triton.isReady("realtime"));
    assert.ok(!fs.existsSync(workspace.file(".local/hosts/local/models/store/interactive")));
  });

  it("`npm run down` leaves no process, no port and no file of the host", async () => {
    const folder = fs.realpathSync(workspace.file(".local/hosts/local"));
    assert.notDeepEqual(sharedMemory(folder, serverProcess()), []);
    const { code, output } = await workspace.npmItself("down");
    requireSuccess({ code, output });
    // Pulumi's own processes may end a moment after it.
    await until(
      () => processesWith(workspace.directory),
      () => processesWith(workspace.directory).length === 0,
    );
    for (const port of ports) await untilFree(port);
    assert.ok(!fs.existsSync(workspace.file(".local/hosts/local")));
    assert.deepEqual(sharedMemory(folder), []);
  });
});
