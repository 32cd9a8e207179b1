import * as assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

import type * as components from "../../../components";
import { ComponentInputs, gatewayOptions, gatewayPlace, serverOptions } from "../../../components/settings";
import { record, type Recording, type Registered, valueOf } from "../aws/mocks";
import { CERTIFICATE, CERTIFICATE_KEY, HOST_KEY, PRIVATE_KEY } from "../settings/context";

const SSH = { address: "gpu.example", privateKey: PRIVATE_KEY, hostKey: HOST_KEY };
const TOKEN = "a-token-of-a-team-2026";
const MADE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const SERVER = { ...{ httpPort: 18000, grpcPort: 18001, metricsPort: 18002 }, address: "127.0.0.1" };

/** What the host answers. */
function answers({ name }: Registered): Readonly<Record<string, unknown>> {
  if (name.endsWith("-directory")) return { stdout: "/srv/triton" };
  const answer = { gpus: [], docker: true, version: "2.51.0", certificate: MADE };
  return {
    stdout: `xsched-triton-result ${JSON.stringify(answer)}`,
    ...(name.endsWith("host-key") && { publicKeyOpenssh: HOST_KEY, privateKeyOpenssh: PRIVATE_KEY }),
    ...(name.endsWith("login-key") && { publicKeyOpenssh: HOST_KEY, privateKeyOpenssh: PRIVATE_KEY }),
    ...(name.endsWith("-host-key-parameter") && { arn: "arn", region: "us-east-1" }),
    ...(name.endsWith("-address") && { publicIp: "203.0.113.9" }),
    ...(name.endsWith("-instance") && { id: "i-0123456789abcdef0" }),
    ...(/-(role|logs|metrics)$/.test(name) && { name }),
  };
}

/** A secret as the engine is handed it. */
const plainOf = (given: unknown): string =>
  typeof given === "string" ? given : (given as { value: string }).value;

describe("the gateway", () => {
  let stack: components.TritonStack;
  const inputs = new ComponentInputs("Gateway", "edge", gatewayPlace, { address: "::1" });

  const deploy = (args: components.TritonStackArgs, preview = false): Promise<Recording> =>
    record(preview, answers, async () => {
      const { TritonStack } = await import("../../../components");
      stack = new TritonStack("edge", args);
    });

  const commandOf = (recording: Recording, name: string): Readonly<Record<string, unknown>> => {
    const found = recording.resources.find((each) => each.type.startsWith("command:") && each.name === name);
    assert.ok(found, `${name} is registered`);
    return found.inputs;
  };

  const stdinOf = (recording: Recording, name: string): Record<string, unknown> =>
    JSON.parse(plainOf(commandOf(recording, name).stdin)) as Record<string, unknown>;

  it("is not there on a loopback address, where Triton has the ports itself", async () => {
    const recording = await deploy({});
    assert.ok(!recording.resources.some(({ name }) => name.startsWith("edge-gateway")));
    const { gateway, address, httpPort } = stdinOf(recording, "edge-server-process");
    assert.deepEqual([gateway, address, httpPort], [false, "127.0.0.1", 8000]);
    const known = await valueOf(stack.endpoints);
    assert.deepEqual(known, {
      http: "http://127.0.0.1:8000",
      grpc: "127.0.0.1:8001",
      metrics: "http://127.0.0.1:8002/metrics",
    });
    assert.deepEqual(await valueOf(stack.tritonEndpoints), known);
    assert.equal(stack.gateway, undefined);
  });

  it("has the clients' ports on an address that others can reach, and Triton its own on loopback", async () => {
    const recording = await deploy({
      host: { kind: "ssh", ...SSH },
      server: { address: "0.0.0.0", httpPort: 9000 },
      gateway: { tls: "selfSigned", metrics: true, tokens: [{ name: "team", token: pulumi.secret(TOKEN) }] },
    });
    const server = stdinOf(recording, "edge-server-process");
    assert.deepEqual(
      { ...SERVER, gateway: true },
      Object.fromEntries(["gateway", ...Object.keys(SERVER)].map((key) => [key, server[key]])),
    );
    assert.deepEqual(stdinOf(recording, "edge-gateway-gateway"), {
      address: "0.0.0.0",
      httpPort: 9000,
      grpcPort: 8001,
      metricsPort: 8002,
      upstream: { http: 18000, grpc: 18001, metrics: 18002 },
      tls: { mode: "selfSigned" },
      names: ["gpu.example"],
      clientCa: "",
      tokens: [
        { name: "team", sha256: createHash("sha256").update(TOKEN).digest("hex"), requestsPerSecond: 0 },
      ],
      limits: {
        bodyMegabytes: 64,
        jsonKilobytes: 1024,
        headerKilobytes: 16,
        connections: 1000,
        requestSeconds: 300,
      },
      accessLog: true,
      uncheckedStreams: false,
    });
    assert.deepEqual(await valueOf(stack.endpoints), {
      http: "https://gpu.example:9000",
      grpc: "gpu.example:8001",
      metrics: "https://gpu.example:8002/metrics",
    });
    assert.equal((await valueOf(stack.tritonEndpoints))?.http, "http://127.0.0.1:18000");
    assert.deepEqual(await valueOf(stack.gateway!), {
      tls: "selfSigned",
      tokens: ["team"],
      clientCertificates: false,
      certificate: MADE,
    });
    assert.ok(!(await pulumi.isSecret(stack.endpoints)));
    assert.ok(!(await pulumi.isSecret(stack.gateway!)));
  });

  it("follows the server, and ends before it", async () => {
    const recording = await deploy({ server: { address: "::" }, gateway: { tls: "off" } });
    const names = recording.resources.map(({ name }) => name);
    assert.ok(names.indexOf("edge-gateway-gateway") > names.indexOf("edge-server-models"));
    const { create, delete: remove } = commandOf(recording, "edge-gateway-gateway");
    assert.match(create as string, /^\/srv\/triton\/bin\/agent gateway [0-9a-f]{16}$/);
    assert.match(remove as string, /exec "\$1" "\$2"[^]* stop\.sh \/srv\/triton\/bin\/agent remove-gateway$/);
    assert.equal((await valueOf(stack.endpoints))?.http, "http://127.0.0.1:8000");
    assert.equal((await valueOf(stack.endpoints))?.metrics, "");
    assert.equal(stdinOf(recording, "edge-gateway-gateway").metricsPort, null);
  });

  it("can be wanted on a loopback address, and then needs no TLS", async () => {
    const recording = await deploy({
      server: { address: "localhost" },
      gateway: { enabled: true, upstreamPorts: { http: 7000 } },
    });
    assert.equal(stdinOf(recording, "edge-gateway-gateway").address, "127.0.0.1");
    assert.equal(stdinOf(recording, "edge-server-process").httpPort, 7000);
    const { tls, upstream } = stdinOf(recording, "edge-gateway-gateway");
    assert.deepEqual([tls, upstream], [{ mode: "off" }, { http: 7000, grpc: 18001, metrics: 18002 }]);
  });

  it("gets a certificate and its key from files, and keeps the key secret", async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "xsched-gateway-"));
    const [certificateFile, keyFile] = ["chain.pem", "key.pem"].map((name) => path.join(folder, name));
    fs.writeFileSync(certificateFile!, CERTIFICATE);
    fs.writeFileSync(keyFile!, CERTIFICATE_KEY.replaceAll("\n", "\r\n"));
    const recording = await deploy({
      server: { address: "0.0.0.0" },
      gateway: { certificateFile, keyFile, clientCa: CERTIFICATE },
    });
    fs.rmSync(folder, { recursive: true });
    const { stdin } = commandOf(recording, "edge-gateway-gateway");
    assert.equal(typeof stdin, "object", "a secret");
    const { tls, clientCa } = stdinOf(recording, "edge-gateway-gateway");
    assert.deepEqual(tls, { mode: "certificate", certificate: CERTIFICATE, key: CERTIFICATE_KEY });
    assert.equal(clientCa, CERTIFICATE);
    assert.equal((await valueOf(stack.gateway!))?.clientCertificates, true);
  });

  const AWS = {
    kind: "aws",
    instanceType: "g5.xlarge",
    adminCidrs: ["203.0.113.7/32"],
    clientCidrs: ["10.0.0.0/8"],
  } satisfies components.HostArgs;

  const openPorts = (recording: Recording): number[] =>
    (recording.inputs("aws:ec2/securityGroup:SecurityGroup").ingress as { fromPort: number }[]).map(
      ({ fromPort }) => fromPort,
    );

  it("is all that clients reach on AWS, which installs HAProxy", async () => {
    const args = { host: AWS, server: { address: "0.0.0.0" } };
    const recording = await deploy({ ...args, gateway: { tls: "selfSigned" } });
    assert.deepEqual(openPorts(recording), [22, 8000, 8001]);
    assert.match(plainOf(commandOf(recording, "edge-services-haproxy").create), /apt-get/);
    const order = recording.resources.map(({ name }) => name);
    assert.ok(order.indexOf("edge-services-haproxy") < order.indexOf("edge-server-process"));
    assert.equal((await valueOf(stack.endpoints))?.http, "https://203.0.113.9:8000");
    assert.match((await valueOf(stack.aws!))?.tunnel ?? "", /-L 8000:127\.0\.0\.1:18000 /);
    const open = await deploy({ ...args, gateway: { tls: "selfSigned", metrics: true } });
    assert.deepEqual(openPorts(open), [22, 8000, 8001, 8002]);
  });

  it("leaves Triton's metrics and its own log to CloudWatch's agent on the host", async () => {
    const recording = await deploy({
      host: AWS,
      server: { address: "0.0.0.0" },
      gateway: { tls: "selfSigned" },
      monitoring: { kind: "cloudwatch", notify: ["ops@example.com"] },
    });
    const { agent, prometheus } = stdinOf(recording, "edge-monitoring-agent");
    assert.match(JSON.stringify(prometheus), /"targets":\["127\.0\.0\.1:18002"\]/);
    assert.match(JSON.stringify(agent), /"file_path":"\/srv\/triton\/gateway\/logs\/gateway\.log"/);
  });

  it("has no port opened for it on AWS where there is none", async () => {
    const host = { ...AWS, clientCidrs: pulumi.output(["10.0.0.0/8"]) };
    const recording = await deploy({ host });
    assert.deepEqual(openPorts(recording), [22]);
    assert.ok(!recording.resources.some(({ name }) => name === "edge-services-haproxy"));
    assert.match((await valueOf(stack.aws!))?.tunnel ?? "", /-L 8000:127\.0\.0\.1:8000 /);
  });

  it("is the only way to an address that others can reach, also in a program", async () => {
    const { TritonServer } = await import("../../../components");
    const refused =
      /address: "0\.0\.0\.0"\n {4}allowed: a loopback address.*\n {4}fix: set it to 127\.0\.0\.1, and let a gateway/;
    await record(false, answers, () => {
      assert.throws(
        () => new TritonServer("edge", { directory: "/d", models: [], address: "0.0.0.0" }),
        (error: Error) => refused.test(error.message),
      );
    });
    await assert.rejects(
      valueOf(inputs.resolve(serverOptions, { address: pulumi.output("0.0.0.0") })),
      (error: Error) => refused.test(error.message),
    );
  });

  it("needs a decision about TLS in a program, too, as soon as the address is known", async () => {
    const { Gateway } = await import("../../../components");
    const refused =
      /tls: \(not set\)\n {4}allowed: one of off, selfSigned, certificate, as address lets others in/;
    await record(false, answers, () => {
      assert.throws(
        () => new Gateway("edge", { directory: "/d", address: "10.0.0.7" }),
        (error: Error) => refused.test(error.message),
      );
    });
    await assert.rejects(
      valueOf(inputs.resolve(gatewayOptions, { address: pulumi.output("::") })),
      (error: Error) => refused.test(error.message),
    );
  });

  it("is known by its ports in a preview", async () => {
    const recording = await deploy({ server: { address: "0.0.0.0" }, gateway: { tls: "off" } }, true);
    assert.deepEqual(recording.inputs("xsched-triton:index:Gateway"), {
      address: "0.0.0.0",
      tls: "off",
      metrics: false,
    });
  });
});
