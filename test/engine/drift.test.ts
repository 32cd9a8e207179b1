import assert from "node:assert/strict";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";

import { until } from "../until";
import { freePorts, isFree } from "./ports";
import { TritonClient } from "./triton";
import { changesIn, type Finished, requireSuccess, Workspace } from "./workspace";

const MODELS = ["realtime", "interactive", "batch"];

describe("what changes on a host behind the deployment's back, on the real engine", () => {
  let workspace: Workspace;
  let triton: TritonClient;
  let url: string;
  let httpPort: number;

  const up = (): Promise<Finished> => workspace.npm("up");
  const host = (...parts: string[]): string => workspace.file(".local/hosts/local", ...parts);

  /** One `up` names the fault and ends with all models at their priorities; the next one finds nothing. */
  const isPutRight = async (fault: RegExp): Promise<void> => {
    const repaired = await up();
    requireSuccess(repaired);
    assert.match(repaired.output, fault);
    await serves();
    const next = await up();
    requireSuccess(next);
    assert.deepEqual(changesIn(next.output), []);
    assert.doesNotMatch(next.output, /warning:/);
  };

  const serves = async (): Promise<void> => {
    for (const model of MODELS) assert.ok(await triton.isReady(model), model);
    assert.equal((await triton.priority("interactive")).xsched, "40");
  };

  const post = async (path: string, body?: object): Promise<void> => {
    // As somebody who can read the host's folder.
    const headers = { "xsched-triton-control": fs.readFileSync(host("server/control-key"), "utf8").trim() };
    const { status } = await fetch(`${url}${path}`, {
      ...{ method: "POST", headers, body: body && JSON.stringify(body) },
    });
    assert.equal(status, 200);
  };

  /** Everything that runs from the host's folder. */
  const ours = (): number[] =>
    fs
      .readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .filter((entry) => {
        try {
          return fs.readFileSync(`/proc/${entry}/cmdline`, "utf8").includes(host());
        } catch {
          return false; // It has ended meanwhile.
        }
      })
      .map(Number);

  const killAll = async (): Promise<void> => {
    for (let left; (left = ours()).length > 0;) {
      for (const pid of left) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It has ended meanwhile.
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };

  before(async () => {
    workspace = await Workspace.create();
    const [http = 0, grpcPort = 0, metricsPort = 0] = await freePorts(3);
    httpPort = http;
    workspace.edit("local", (config) => {
      for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
        config.setIn(["config", "xsched-triton:server", key], port);
      }
    });
    url = `http://127.0.0.1:${httpPort}`;
    triton = new TritonClient(httpPort);
    requireSuccess(await up());
    await serves();
  });

  after(async () => {
    triton.close();
    await workspace.npm("down");
    workspace.remove();
  });

  it("an agent that was edited is installed again", async () => {
    fs.appendFileSync(host("bin/agent"), "# edited\n");
    await isPutRight(/agent .*(edited|changed)/);
  });

  it("a stored model that was deleted is stored again", async () => {
    fs.rmSync(host("models/store/batch"), { recursive: true });
    await isPutRight(/warning: the stored model batch is gone from the host/);
  });

  it("a model that a client has unloaded is loaded again", async () => {
    await post("/v2/repository/models/realtime/unload");
    while (await triton.isReady("realtime")) await new Promise((resolve) => setTimeout(resolve, 50));
    await isPutRight(/warning: .*the model realtime is not loaded/);
  });

  it("a model that a client has loaded with another priority gets its own back", async () => {
    const config = (await (await fetch(`${url}/v2/models/interactive/config`)).json()) as {
      parameters: object;
    };
    const parameters = { ...config.parameters, xsched_priority: { string_value: "-9" } };
    await post("/v2/repository/models/interactive/load", {
      parameters: { config: JSON.stringify({ ...config, parameters }) },
    });
    assert.equal((await triton.priority("interactive")).xsched, "-9");
    await isPutRight(/the model interactive has the priority -9 instead of 40/);
  });

  it("a supervisor that was killed runs again", async () => {
    const [pid = ""] = fs.readFileSync(host("server/supervisor"), "utf8").split(" ");
    process.kill(Number(pid), "SIGKILL");
    await isPutRight(/warning: the server's supervisor does not run/);
    assert.notEqual(fs.readFileSync(host("server/supervisor"), "utf8").split(" ")[0], pid);
  });

  /** Removes the host's folder while the server and its supervisor still write into it. */
  const loseFolder = (): void => {
    for (let left = 1000; fs.existsSync(host()); left--) {
      try {
        fs.rmSync(host(), { recursive: true });
      } catch (error) {
        // What they have just written there makes it a folder that is not empty.
        if (left === 0) throw error;
      }
    }
  };

  it("a folder that is gone is deployed anew", async () => {
    loseFolder();
    await isPutRight(/warning: the host's folder .* is gone/);
  });

  it("a folder that is gone is there in the end, also if an `up` fails on the way", async () => {
    loseFolder();
    await killAll();
    // A process that ends shows no command line any more before it gives up its sockets.
    await until("the port is free", () => isFree(httpPort));
    const other = net.createServer().listen(httpPort, "127.0.0.1");
    await once(other, "listening");
    try {
      const { code, output } = await up();
      assert.notEqual(code, 0);
      assert.match(output, /the port \d+ \(httpPort\) is in use/);
    } finally {
      other.close();
      await once(other, "close");
    }
    const next = await up();
    requireSuccess(next);
    await serves();
    const last = await up();
    requireSuccess(last);
    assert.deepEqual(changesIn(last.output), []);
  });

  it("`down` of a folder that is gone ends the server that still runs", async () => {
    loseFolder();
    assert.ok(await triton.isReady("realtime"));
    const down = await workspace.npm("down");
    requireSuccess(down);
    assert.match(down.output, /ending process \d+: it still runs from .*, which is gone/);
    assert.deepEqual(ours(), []);
    assert.ok(!fs.existsSync(host()));
  });
});
