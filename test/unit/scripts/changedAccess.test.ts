import * as assert from "node:assert/strict";

import { loadScript } from "../../scripts";

interface Resource {
  readonly urn: string;
  readonly type: string;
  readonly parent?: string;
  readonly delete?: boolean;
  readonly dependencies?: readonly string[];
  readonly propertyDependencies?: Readonly<Record<string, readonly string[]>>;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

interface State {
  readonly deployment: { readonly resources?: readonly Resource[] };
}

const { stateForAccess } = loadScript("changed-access.mjs") as {
  readonly stateForAccess: (state: State, access: string) => State | undefined;
};

const urn = (type: string, name: string): string => `urn:pulumi:prod::project::${type}::${name}`;

const HOST: Resource = { urn: urn("x", "machine"), type: "xsched-triton:index:AwsGpuHost" };
const OWN: Resource = {
  urn: urn("command:local:Command", "spot-request"),
  type: "command:local:Command",
  inputs: { create: "true", interpreter: ["/bin/bash", "-c"], environment: {} },
};

const remote: Resource = {
  urn: urn("command:remote:Command", "server"),
  type: "command:remote:Command",
  propertyDependencies: { connection: [HOST.urn], create: [HOST.urn] },
  inputs: { connection: {}, create: "agent start", delete: "agent stop", triggers: ["i-1"] },
  outputs: {
    connection: {},
    create: "agent start",
    delete: "agent stop",
    triggers: ["i-1"],
    stdout: "ready",
  },
};

const server = (type: string): Resource => ({
  urn: urn(type, "server"),
  type,
  propertyDependencies: { create: [HOST.urn] },
  inputs: { create: "agent start", triggers: ["i-1"] },
  outputs: { create: "agent start", triggers: ["i-1"], stdout: "ready" },
});

const after = (type: string): Resource => ({
  urn: urn("command:remote:CopyToRemote", "files"),
  type: "command:remote:CopyToRemote",
  dependencies: [urn(type, "server")],
});

const stateOf = (...resources: readonly Resource[]): State => ({ deployment: { resources } });

describe("the state of a stack whose access changes", () => {
  it("has the same commands, which Pulumi can only change in place", () => {
    const [from, to] = ["command:remote:Command", "command:local:Command"];
    assert.deepEqual(
      stateForAccess(stateOf(HOST, OWN, remote, after(from)), "sessionManager"),
      stateOf(HOST, OWN, server(to), after(to)),
    );
  });

  it("has them again on the way back, and this machine's own commands stay", () => {
    const line = "bash -c script over-ssh.sh i-1 ubuntu key proxy 5 'agent start'";
    const local = {
      ...server("command:local:Command"),
      inputs: { create: line, environment: {}, delete: "x" },
    };
    const sent = {
      ...OWN,
      urn: urn("command:local:Command", "files"),
      inputs: { create: `bash -c script send-files.sh models/a ${line}` },
    };
    const [changed] =
      stateForAccess(stateOf(HOST, local, OWN, sent), "ssh")?.deployment.resources?.slice(1) ?? [];
    const connection = { host: "changed-by-npm-run-up.invalid" };
    const { outputs, ...expected } = server("command:remote:Command");
    assert.deepEqual(changed, {
      ...expected,
      inputs: { create: line, connection },
      outputs: { ...outputs, connection },
    });
    assert.deepEqual(stateForAccess(stateOf(HOST, local, OWN, sent), "ssh")?.deployment.resources?.slice(2), [
      OWN,
      sent,
    ]);
  });

  it("stays as it is without a change, without a host on AWS, and before the first up", () => {
    assert.equal(stateForAccess(stateOf(HOST, OWN, remote), "ssh"), undefined);
    assert.equal(stateForAccess(stateOf(HOST, server("command:local:Command")), "sessionManager"), undefined);
    assert.equal(stateForAccess(stateOf(remote), "sessionManager"), undefined);
    assert.equal(stateForAccess({ deployment: {} }, "sessionManager"), undefined);
  });

  it("leaves a command that has been replaced to be deleted as it was created", () => {
    assert.equal(stateForAccess(stateOf(HOST, { ...remote, delete: true }), "sessionManager"), undefined);
  });
});
