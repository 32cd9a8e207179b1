// `npm run bench:gateway [-- ROUNDS [RATE]]`: what the gateway adds to the latency of Triton on loopback, over HTTP and gRPC.
// The two take turns. Works in a folder of its own, on free ports, with the Triton of this checkout's local stack, so run
// `npm run up` once before. The machine needs HAProxy.
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { CONFIG, copyTriton, MODEL } from "./bench-models.mjs";
import { loadTypeScript } from "./deployed-server.mjs";
import { freePorts } from "./ports.mjs";
import { installPackages } from "./packages.mjs";

const ROOT = path.resolve(import.meta.dirname, "..");

/** A host's folder with a server, a model that returns what it gets, and a gateway. */
class Host {
  constructor(folder, ports) {
    this.folder = path.join(folder, "host");
    this.ports = ports;
    const { agentBundle } = loadTypeScript("../components/host/agentCommand.ts");
    const installer = path.join(ROOT, "components/host/install-agent.py");
    execFileSync("python3", [installer, this.folder, "bench", "gateway", "1"], {
      input: agentBundle(),
      stdio: ["pipe", "ignore", "inherit"],
    });
    copyTriton(this.folder);
  }

  run(command, body) {
    execFileSync(path.join(this.folder, "bin/agent"), [command], {
      input: JSON.stringify(body),
      stdio: ["pipe", "ignore", "inherit"],
    });
  }

  start() {
    const [http, grpc, metrics] = this.ports;
    this.run("start", {
      ...{ kind: "process", address: "127.0.0.1", httpPort: http, grpcPort: grpc, metricsPort: metrics },
      ...{ exitTimeoutSeconds: 5, drainSeconds: 0, loadTimeoutSeconds: 120, logMegabytes: 10 },
      ...{ schedulerRequired: "never", arguments: [], gateway: true },
    });
    const source = path.join(path.dirname(this.folder), "model");
    fs.mkdirSync(path.join(source, "1"), { recursive: true });
    fs.writeFileSync(path.join(source, "1/model.py"), MODEL);
    this.run("store", {
      model: "echo",
      digest: "1",
      filesDigest: "1",
      source,
      config: `name: "echo"\n${CONFIG}`,
    });
    this.run("serve", { models: [{ name: "echo", digest: "1", priority: 0, dependsOn: [] }] });
  }

  gateway() {
    const [http, grpc, metrics, httpPort, grpcPort] = this.ports;
    this.run("gateway", {
      ...{ address: "127.0.0.1", httpPort, grpcPort, metricsPort: null, upstream: { http, grpc, metrics } },
      ...{ tls: { mode: "off" }, clientCa: "", tokens: [], accessLog: true },
      limits: {
        ...{ bodyMegabytes: 64, jsonKilobytes: 1024, headerKilobytes: 16 },
        ...{ connections: 1000, requestSeconds: 300 },
      },
    });
  }

  remove() {
    for (const command of ["remove-gateway", "stop"]) {
      spawnSync(path.join(this.folder, "bin/agent"), [command], { stdio: "ignore" });
    }
  }
}

const [rounds = 15, rate = 500] = process.argv.slice(2).map(Number);
installPackages(ROOT);
const { compare, describe } = loadTypeScript("bench/gateway.ts");
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-triton-gateway-"));
const ports = await freePorts(5);
const host = new Host(folder, ports);
try {
  host.start();
  host.gateway();
  const [http, grpc, , httpPort, grpcPort] = ports;
  const ways = {
    http: { direct: `http://127.0.0.1:${http}`, gateway: `http://127.0.0.1:${httpPort}` },
    grpc: { direct: `127.0.0.1:${grpc}`, gateway: `127.0.0.1:${grpcPort}` },
  };
  for (const [protocol, addresses] of Object.entries(ways)) {
    console.log(describe(await compare({ protocol, addresses, rounds, rate })));
  }
  console.log(
    `load of the machine: ${os.loadavg()[0].toFixed(1)} on ${os.availableParallelism()} processors`,
  );
} finally {
  host.remove();
  fs.rmSync(folder, { recursive: true, force: true });
}
