import * as assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";

import { credentials, status } from "@grpc/grpc-js";

import { inferMethod, inferRequest } from "../../scripts/bench/protocol/grpc";
import { attackGateway, attackTriton, call, type GrpcAccess, served as servedBy } from "./attack";
import { MODELS } from "./examples";
import { missingHaproxy } from "./haproxy";
import { freePorts, untilFree } from "./ports";
import { TritonClient, underLoad } from "./triton";
import { changesIn, type Finished, requireSuccess, Workspace } from "./workspace";
import { skipWithout } from "./needs";

const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");
const newToken = (): string => randomBytes(32).toString("hex");

describe("the gateway on the real engine", function () {
  let workspace: Workspace;
  let ports: Readonly<Record<"http" | "grpc" | "metrics", number>>;
  let upstream: Readonly<Record<"http" | "grpc" | "metrics", number>>;
  let client = new TritonClient(0);
  let certificate: string;
  const [first, second] = [newToken(), newToken()];

  const setGateway = (gateway: object | undefined): void => {
    workspace.edit("local", (config) => {
      const key = ["config", "xsched-triton:gateway"];
      if (gateway === undefined) config.deleteIn(key);
      else config.setIn(key, config.createNode(gateway));
    });
  };

  const gatewayWith = (...tokens: string[]): object => ({
    enabled: true,
    tls: "selfSigned",
    upstreamPorts: upstream,
    tokens: tokens.map((token, index) => ({ name: `team-${index}`, sha256: hashOf(token) })),
  });

  const up = async (): Promise<Finished> => {
    const finished = await workspace.npm("up");
    requireSuccess(finished);
    return finished;
  };

  const done = ({ output }: Finished): string[] =>
    changesIn(output)
      .map(({ name, done: what }) => `${name} ${what}`)
      .sort();

  /** The process that serves, and the models that are loaded. */
  const served = (): ReturnType<typeof servedBy> => servedBy(workspace, workspace.file(".local/hosts/local"));

  /** How to reach the gateway over gRPC. */
  const grpc = (token?: string): GrpcAccess => ({
    port: ports.grpc,
    credentials: credentials.createSsl(Buffer.from(certificate)),
    ...(token !== undefined && { token }),
  });

  before(async function () {
    skipWithout(this, missingHaproxy);
    workspace = await Workspace.create();
    await workspace.installTriton();
    const [httpPort, grpcPort, metricsPort, ...others] = await freePorts(6);
    ports = { http: httpPort!, grpc: grpcPort!, metrics: metricsPort! };
    upstream = { http: others[0]!, grpc: others[1]!, metrics: others[2]! };
    workspace.edit("local", (config) => {
      for (const [key, port] of Object.entries({ httpPort, grpcPort, metricsPort })) {
        config.setIn(["config", "xsched-triton:server", key], port);
      }
    });
  });

  after(async () => {
    if (missingHaproxy !== undefined) return;
    client.close();
    await workspace.npm("down");
    workspace.remove();
  });

  it("`npm run up` puts it before Triton, and prints a request that works", async () => {
    setGateway(gatewayWith(first));
    const { output } = await up();
    assert.match(
      output,
      new RegExp(
        `Triton .* at http://127.0.0.1:${upstream.http} .*behind the gateway at https://127.0.0.1:${ports.http}`,
      ),
    );
    const request = /^ {2}(curl .*)$/m.exec(output)?.[1];
    assert.ok(request, output);
    const answer = await workspace.run("bash", ["-c", request], { TOKEN: first });
    requireSuccess(answer);
    assert.match(answer.output, /"outputs":\[/);
    certificate = fs.readFileSync(workspace.file(".local/hosts/local/gateway/certificate.pem"), "utf8");
    assert.doesNotMatch(certificate, /PRIVATE KEY/);
    client = new TritonClient(ports.http, true, 60, { ca: certificate, token: first });
  });

  it("`npm run up` again changes nothing", async () => {
    assert.deepEqual(changesIn((await up()).output), []);
  });

  it("lets inference through with a token, and nobody without one", async () => {
    for (const model of MODELS) {
      const request = await client.exampleRequest(model);
      assert.equal((await client.infer(model, request)).status, 200);
      for (const token of [undefined, second, ""]) {
        const other = new TritonClient(ports.http, false, 60, { ca: certificate, token });
        assert.equal((await other.infer(model, request)).status, 401);
        assert.equal((await other.request("GET", `/v2/models/${model}`)).status, 401);
        assert.equal((await other.request("GET", "/v2/health/ready")).status, 200);
        other.close();
      }
    }
    const method = inferMethod();
    const input = { name: "INPUT", datatype: "FP32", shape: [1, 16], data: Buffer.alloc(64) };
    const wanted = method.requestSerialize(inferRequest("no-such-model", [input]));
    assert.equal(await call(grpc(first), "ModelInfer", wanted), status.NOT_FOUND);
    assert.equal(await call(grpc(), "ModelInfer", wanted), status.UNAUTHENTICATED);
    assert.equal(await call(grpc(), "ServerLive", Buffer.alloc(0)), status.OK);
  });

  it("refuses to load a model, over HTTP and gRPC, through it and past it", async () => {
    const before = await served();
    assert.deepEqual(before.models, [...MODELS].sort());
    await attackGateway(client, grpc(first));
    const past = new TritonClient(upstream.http);
    await attackTriton(past, { port: upstream.grpc, credentials: credentials.createInsecure() });
    past.close();
    assert.deepEqual(await served(), before);
  });

  it("takes another token, and ends one, under load, and Triton runs on", async () => {
    const { pid } = await served();
    const change = async (...tokens: string[]): Promise<void> => {
      setGateway(gatewayWith(...tokens));
      const { result, reports } = await underLoad(client, MODELS, 30, () => workspace.npm("up"));
      requireSuccess(result);
      assert.deepEqual(done(result), ["triton-gateway-gateway updated"]);
      for (const [model, { failures, sent }] of reports)
        assert.deepEqual(failures, [], `${model}: ${failures.length} of ${sent} requests failed`);
    };
    await change(first, second);
    client.access = { ca: certificate, token: second };
    await change(second);
    assert.equal((await client.request("GET", "/v2")).status, 200);
    // A connection that was open before may have one more answer: docs/how-to/gateway.md.
    const former = new TritonClient(ports.http, false, 60, { ca: certificate, token: first });
    assert.equal((await former.request("GET", "/v2")).status, 401);
    former.close();
    assert.equal((await served()).pid, pid);
  });

  it("comes back with the next `up` when somebody has removed it from the host", async () => {
    const { pid } = await served();
    const removed = await workspace.run(workspace.file(".local/hosts/local/bin/agent"), ["remove-gateway"]);
    requireSuccess(removed);
    const finished = await up();
    assert.match(finished.output, /warning: the gateway is gone from the host/);
    assert.deepEqual(done(finished), ["triton-gateway-gateway updated"]);
    assert.equal((await served()).pid, pid);
    assert.deepEqual(changesIn((await up()).output), []);
  });

  it("gives Triton its ports back when it is turned off", async () => {
    setGateway(undefined);
    const finished = await up();
    const ofGateway = done(finished).filter((change) => change.includes("gateway"));
    assert.deepEqual(ofGateway, ["triton-gateway-gateway deleted"]);
    const direct = new TritonClient(ports.http);
    for (const model of MODELS) assert.ok(await direct.isReady(model));
    direct.close();
    for (const port of Object.values(upstream)) await untilFree(port);
    assert.ok(!fs.existsSync(workspace.file(".local/hosts/local/gateway")));
    assert.deepEqual(changesIn((await up()).output), []);
  });

  it("is gone after `npm run down`", async () => {
    setGateway(gatewayWith(first));
    await up();
    requireSuccess(await workspace.npm("down"));
    for (const port of [...Object.values(ports), ...Object.values(upstream)]) await untilFree(port);
    assert.ok(!fs.existsSync(workspace.file(".local/hosts/local")));
  });
});
