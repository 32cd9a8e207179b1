import * as assert from "node:assert/strict";

import { awsAccount } from "../../../scripts/preflight/account";
import type { RegionalAccount } from "../../../scripts/preflight/checks";
import { StandInApi } from "../../fixtures/standInCloud/api";
import { S3Server } from "../../aws/s3Server";

/** Sets environment variables until the end of a suite. */
function withEnvironment(): (values: Readonly<Record<string, string>>) => void {
  const before = { ...process.env };
  after(() => {
    for (const name of Object.keys(process.env))
      if (!(name in before)) Reflect.deleteProperty(process.env, name);
    Object.assign(process.env, before);
  });
  return (values) => Object.assign(process.env, values);
}

describe("what the preflight asks, as moto understands it", () => {
  const set = withEnvironment();
  let moto: S3Server;
  let account: RegionalAccount;

  before(async function () {
    this.timeout(600_000); // The first time, moto is installed.
    moto = await S3Server.start();
    const { PATH, ...environment } = moto.environment;
    assert.ok(PATH);
    set(environment);
    await moto.createBucket("models");
    account = await awsAccount({ region: "us-east-1" });
  });

  after(() => moto.stop());

  it("is answered", async () => {
    assert.equal((await account.identity()).account, "123456789012");
    assert.ok((await account.zones()).includes("us-east-1a"));
    assert.ok((await account.zonesOffering("g5.xlarge")).includes("us-east-1a"));
    assert.deepEqual(await account.zonesOffering("g5g.nothing"), []);
    assert.equal(await account.vcpus("g5.2xlarge"), 8);
    assert.deepEqual(await account.running(), []);
    assert.equal(await account.addresses(), 0);
    assert.equal(await account.vpcs(), 1);
    const vpc = await account.defaultVpc();
    assert.match(vpc ?? "", /^vpc-/);
    assert.ok((await account.defaultSubnetZones()).includes("us-east-1a"));
    assert.equal(await account.gatewayEndpoint(vpc ?? "", "com.amazonaws.us-east-1.s3"), undefined);
    const {
      ssm = [],
      "ecr.api": ecr = [],
      nothing,
    } = await account.endpointZones(["ssm", "ecr.api", "nothing"]);
    assert.ok(ssm.includes("us-east-1a") && ecr.includes("us-east-1a"));
    assert.deepEqual(nothing, []);
    assert.equal(await account.bucket("models"), "readable");
    assert.equal(await account.loadBalancers(), 0);
    await account.registryLogin();
  });

  it("is answered for what is not there", async () => {
    assert.equal(await account.subnet("subnet-0123456789abcdef0"), undefined);
    assert.equal(await account.image("ami-0fedcba9876543210"), undefined);
    assert.equal(await account.parameter("/nothing"), undefined);
    assert.equal(
      await account.key("arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"),
      undefined,
    );
    assert.equal(await account.repository("us-east-1", "triton"), false);
    assert.equal(await account.bucket("nobody-has-this"), "missing");
    assert.equal(
      await account.certificate(
        "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef",
      ),
      undefined,
    );
    assert.equal(await account.hostedZone("Z0123456789ABCDEFGHIJ"), undefined);
  });
});

describe("what the preflight asks, as the stand-in for AWS understands it", () => {
  const set = withEnvironment();
  const api = new StandInApi();

  before(async () => {
    await api.start();
    set(api.environment);
  });

  after(() => {
    api.stop();
  });

  it("is answered in the protocols of AWS", async () => {
    const account = await awsAccount({ region: "us-east-1" });
    assert.equal((await account.identity()).account, "111122223333");
    assert.deepEqual(await account.zones(), ["us-east-1a", "us-east-1b", "us-east-1c"]);
    assert.deepEqual(await account.quota("ec2", "L-DB2E81BA"), {
      name: "Running On-Demand G and VT instances",
      value: 64,
    });
    assert.deepEqual(await account.quota("vpc", "L-F678F1CE"), { name: "VPCs per Region", value: 5 });
    api.account.noEndpoints = ["com.amazonaws.us-east-1.logs"];
    assert.deepEqual(await account.endpointZones(["ssm", "logs"]), { ssm: api.account.zones, logs: [] });
    assert.deepEqual(await account.image("ami-0123456789abcdef0"), {
      architecture: "x86_64",
      state: "available",
    });
    assert.deepEqual(await account.subnet("subnet-0123456789abcdef0"), {
      ...{ zone: "us-east-1a", vpcId: "vpc-0123456789abcdef0", freeAddresses: 200 },
    });
    assert.equal((await account.quota("elasticloadbalancing", "L-69A177A2")).value, 50);
    const certificate = "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef";
    api.account.certificates = { [certificate]: "ISSUED" };
    assert.deepEqual(await account.certificate(certificate), {
      status: "ISSUED",
      names: ["triton.example.com"],
    });
    const zone = { name: "example.com", private: false };
    assert.deepEqual(await account.hostedZone("Z0123456789ABCDEFGHIJ"), zone);
    assert.equal(await account.hostedZone("Z1"), undefined);
    const key = "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef";
    for (const [error, answer] of [
      ["DryRunOperationException", "possible"],
      ["InvalidArnException", "no role"],
      ["AccessDeniedException", "denied"],
    ] as const) {
      api.account.spotGrant = error;
      assert.equal(await account.spotGrant(key), answer);
    }
    api.account.spotGrant = "DisabledException";
    await assert.rejects(account.spotGrant(key), { name: "DisabledException" });
    api.account = { ...api.account, credentials: false, registryLogin: false };
    await assert.rejects(account.identity(), { name: "InvalidClientTokenId" });
    await assert.rejects(account.registryLogin(), { name: "AccessDeniedException" });
  });

  it("comes from a region and credentials that somebody has set", async () => {
    set({ AWS_CONFIG_FILE: "/nonexistent", AWS_SHARED_CREDENTIALS_FILE: "/nonexistent" });
    await assert.rejects(awsAccount({}), /Region is missing/);
    for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
      Reflect.deleteProperty(process.env, name);
    const nobody = await awsAccount({ region: "us-east-1" });
    await assert.rejects(nobody.identity(), { name: "CredentialsProviderError" });
  });
});
