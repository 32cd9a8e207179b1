import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import * as fc from "fast-check";

import { Fault } from "../../../components/settings";
import { isOpenToTheWorld } from "../../../components/settings/addressRange";
import {
  familiesFor,
  GPU_FAMILIES,
  isGpuType,
  releasesOn,
} from "../../../components/settings/awsInstanceTypes";
import { pythonTools } from "../../aws/pythonTools";
import { IMAGE, parsed, refusal } from "./context";

const ROOT = path.resolve(__dirname, "../../..");

const AWS = { kind: "aws", instanceType: "g4dn.xlarge", adminCidrs: ["203.0.113.7/32"] };
/** Built on Triton 22.06, as no base is given. */
const CONTAINER = { kind: "container", build: {} };
const TYPES =
  "an EC2 instance type with NVIDIA GPUs that Triton supports, of p3dn, g4dn, p4d, p4de, g5, g6, g6e, g6f, gr6, gr6f, p5, p5e, p5en, p6-b200, p6-b300, g7, g7e";
const SUITED = (gpu: string): string =>
  `a type whose GPU Triton 22.06 supports, of p3dn, g4dn, p4d, p4de, g5: it predates the ${gpu}`;
const NEWER = (release: string): string =>
  `choose for example g5.xlarge, or build variant hooked on a base of Triton ${release} or newer`;
const RANGES = "a range of IP addresses: address/bits";
const RANGE_FORM =
  "give four numbers from 0 to 255, or an IPv6 address, then / and how many bits of it are fixed: 203.0.113.0/24";
const VOUCHED = "a range that you can vouch for: SSH must not be open to the internet";
const VOUCHED_FIX = "give your own address with /32, or set allowPublicSsh to true if you really want this";

/** A change to a valid host, and its only fault: path, given value, what is allowed, fix. */
const cases: readonly (readonly [
  string,
  Record<string, unknown>,
  readonly [string, string, string, string],
])[] = [
  [
    "no adminCidrs",
    { adminCidrs: undefined },
    [
      "host.adminCidrs",
      "(not set)",
      "a list of ranges of IP addresses, at least one; none with access: sessionManager, which opens no port",
      `pulumi config set --path 'xsched-triton:host.adminCidrs[0]' "$(curl -s https://checkip.amazonaws.com)/32"`,
    ],
  ],
  [
    "ranges for SSH where no port is open for it",
    { access: "sessionManager" },
    [
      "host.adminCidrs",
      "a list of 1",
      "none with access: sessionManager, as no port is open for SSH",
      "remove adminCidrs, or set access to ssh",
    ],
  ],
  [
    "an alias of a key, which AWS answers with another name",
    { kmsKeyId: "alias/models" },
    [
      "host.kmsKeyId",
      '"alias/models"',
      "the ARN of a symmetric key of AWS KMS, in the region of the stack",
      "give its ARN: aws kms describe-key --key-id alias/models --query KeyMetadata.Arn --output text",
    ],
  ],
  [
    "a boundary by its name",
    { permissionsBoundary: "boundary" },
    [
      "host.permissionsBoundary",
      '"boundary"',
      "the ARN of a managed policy of IAM",
      "give its ARN: aws iam list-policies --scope Local --query 'Policies[].Arn'",
    ],
  ],
  [
    "an empty adminCidrs",
    { adminCidrs: [] },
    [
      "host.adminCidrs",
      "a list of 0",
      "a list of ranges of IP addresses, at least one",
      "give a list, for example [203.0.113.7/32]",
    ],
  ],
  [
    "the internet",
    { adminCidrs: ["0.0.0.0/0"] },
    ["host.adminCidrs[0]", '"0.0.0.0/0"', VOUCHED, VOUCHED_FIX],
  ],
  ["the internet of IPv6", { adminCidrs: ["::/0"] }, ["host.adminCidrs[0]", '"::/0"', VOUCHED, VOUCHED_FIX]],
  [
    "half the internet",
    { adminCidrs: ["0.0.0.0/1"] },
    ["host.adminCidrs[0]", '"0.0.0.0/1"', VOUCHED, VOUCHED_FIX],
  ],
  [
    "an address instead of a range",
    { adminCidrs: ["203.0.113.7"] },
    ["host.adminCidrs[0]", '"203.0.113.7"', RANGES, "for this one address, write 203.0.113.7/32"],
  ],
  [
    "a range that does not start at its first address",
    { adminCidrs: ["10.1.2.3/8"] },
    ["host.adminCidrs[0]", '"10.1.2.3/8"', RANGES, "write the range by its first address: 10.0.0.0/8"],
  ],
  [
    "a number that is too large",
    { adminCidrs: ["10.0.0.256/32"] },
    ["host.adminCidrs[0]", '"10.0.0.256/32"', RANGES, RANGE_FORM],
  ],
  [
    "too many bits",
    { adminCidrs: ["10.0.0.0/33"] },
    ["host.adminCidrs[0]", '"10.0.0.0/33"', RANGES, RANGE_FORM],
  ],
  ["a short form", { adminCidrs: ["10.1/16"] }, ["host.adminCidrs[0]", '"10.1/16"', RANGES, RANGE_FORM]],
  ["a name", { adminCidrs: ["office"] }, ["host.adminCidrs[0]", '"office"', RANGES, RANGE_FORM]],
  [
    "clients on an address where Triton does not listen",
    { clientCidrs: ["10.0.0.0/8"] },
    [
      "server.address",
      "(not set)",
      "an address that host.clientCidrs can reach, not a loopback one",
      "set address to 0.0.0.0, or remove host.clientCidrs and use a tunnel",
    ],
  ],
  [
    "an L4",
    { instanceType: "g6.xlarge" },
    ["host.instanceType", '"g6.xlarge"', SUITED("L4 (sm_89)"), NEWER("23.04")],
  ],
  [
    "an L40S",
    { instanceType: "g6e.xlarge" },
    ["host.instanceType", '"g6e.xlarge"', SUITED("L40S (sm_89)"), NEWER("23.04")],
  ],
  [
    "an H100",
    { instanceType: "p5.48xlarge" },
    ["host.instanceType", '"p5.48xlarge"', SUITED("H100 (sm_90)"), NEWER("22.09")],
  ],
  [
    "a B200",
    { instanceType: "p6-b200.48xlarge" },
    ["host.instanceType", '"p6-b200.48xlarge"', SUITED("B200 (sm_100)"), NEWER("25.01")],
  ],
  [
    "a type without a GPU",
    { instanceType: "m5.xlarge" },
    ["host.instanceType", '"m5.xlarge"', TYPES, "m5 has no GPUs; choose for example g4dn.xlarge"],
  ],
  [
    "AMD GPUs",
    { instanceType: "g4ad.xlarge" },
    ["host.instanceType", '"g4ad.xlarge"', TYPES, "g4ad has AMD GPUs; choose for example g4dn.xlarge"],
  ],
  [
    "a size that does not exist",
    { instanceType: "p4d.xlarge" },
    ["host.instanceType", '"p4d.xlarge"', TYPES, "choose a size of p4d: 24xlarge"],
  ],
  [
    "a mistyped type",
    { instanceType: "g4nd.xlarge" },
    ["host.instanceType", '"g4nd.xlarge"', TYPES, "did you mean g4dn.xlarge?"],
  ],
  [
    "a type that AWS has given up",
    { instanceType: "p3.2xlarge" },
    [
      "host.instanceType",
      '"p3.2xlarge"',
      TYPES,
      "p3 is no longer offered by AWS; choose for example g4dn.xlarge",
    ],
  ],
  [
    "a V100 without its driver",
    { instanceType: "p3dn.24xlarge" },
    [
      "host.ami",
      "(not set)",
      "an AMI with NVIDIA's proprietary driver for p3dn: the default one has the open driver, which needs a newer GPU",
      "set ami to such an AMI, or choose another instanceType, for example g5.xlarge",
    ],
  ],
  [
    "a negative volume",
    { volume: { size: -1 } },
    [
      "host.volume.size",
      "-1",
      "an integer from 100 to 16384",
      "give an integer from 100 to 16384, for example 200",
    ],
  ],
  [
    "a volume whose throughput its iops do not allow",
    { volume: { throughput: 1000 } },
    ["host.volume.throughput", "1000", "at most a quarter of iops: 750", "set iops to 4000, or lower it"],
  ],
  [
    "a zone that is a region",
    { zone: "us-east-1" },
    [
      "host.zone",
      '"us-east-1"',
      "the name of an availability zone: the region and a letter",
      "add the zone's letter: us-east-1a",
    ],
  ],
  [
    "a zone by its id",
    { zone: "use1-az1" },
    [
      "host.zone",
      '"use1-az1"',
      "the name of an availability zone: the region and a letter",
      "this is a zone's id; give its name: aws ec2 describe-availability-zones",
    ],
  ],
  [
    "a malformed zone",
    { zone: "Frankfurt" },
    [
      "host.zone",
      '"Frankfurt"',
      "the name of an availability zone: the region and a letter",
      "give the name of a zone, for example us-east-1a",
    ],
  ],
  [
    "a subnet and a zone",
    { subnetId: "subnet-0123abcd", zone: "us-east-1a" },
    [
      "host.zone",
      '"us-east-1a"',
      "subnetId or zone, not both: a subnet is in one zone",
      "remove one of the two",
    ],
  ],
  [
    "no public address, in a default VPC",
    { publicIp: "none" },
    [
      "host.publicIp",
      '"none"',
      "none only with subnetId: the subnets of a default VPC give every instance a public address",
      "set subnetId to a private subnet that the deploying machine can reach, or remove publicIp",
    ],
  ],
  [
    "the same range twice",
    { adminCidrs: ["203.0.113.7/32", "198.51.100.0/24", "203.0.113.7/32"] },
    [
      "host.adminCidrs[2]",
      '"203.0.113.7/32"',
      "ranges without an address in common",
      "remove it: 203.0.113.7/32 includes it",
    ],
  ],
  [
    "a range inside a later one",
    { adminCidrs: ["203.0.113.7/32", "203.0.113.0/24"] },
    [
      "host.adminCidrs[0]",
      '"203.0.113.7/32"',
      "ranges without an address in common",
      "remove it: 203.0.113.0/24 includes it",
    ],
  ],
  [
    "the same range of IPv6 in two spellings",
    { adminCidrs: ["2001:db8::/32", "2001:0db8:0::/32"] },
    [
      "host.adminCidrs[1]",
      '"2001:0db8:0::/32"',
      "ranges without an address in common",
      "remove it: 2001:db8::/32 includes it",
    ],
  ],
  [
    "more ranges than a security group takes",
    { adminCidrs: Array.from({ length: 61 }, (_, index) => `203.0.113.${index}/32`) },
    [
      "host.adminCidrs",
      "a list of 61",
      "at most 60 rules of IPv4 in the security group: these are 61, one for each of 61 adminCidrs and 2 for each of 0 clientCidrs",
      "merge neighbouring ranges into a wider one, or let clients come through a load balancer",
    ],
  ],
  [
    "a malformed subnet",
    { subnetId: "vpc-0123abcd" },
    [
      "host.subnetId",
      '"vpc-0123abcd"',
      "the id of a subnet: subnet- and 8 or 17 hexadecimal digits",
      "give the id as AWS shows it, for example subnet-0123456789abcdef0",
    ],
  ],
  [
    "a machine image by its name",
    { ami: "ubuntu" },
    [
      "host.ami",
      '"ubuntu"',
      "the id of an AMI for x86-64: ami- and 8 or 17 hexadecimal digits",
      "give the id as AWS shows it, for example ami-0123456789abcdef0",
    ],
  ],
  [
    "spot with termination protection",
    { spot: true, protect: true },
    [
      "host.protect",
      "true",
      "false with spot: AWS may end a spot instance whatever protects it",
      "remove protect, or set spot to false",
    ],
  ],
  [
    "neither an instance type nor a list of them",
    { instanceType: undefined },
    [
      "host.instanceType",
      "(not set)",
      TYPES,
      "add instanceType: g4dn.xlarge, or instanceTypes with the preferred one first",
    ],
  ],
  [
    "an instance type beside a list of them",
    { instanceTypes: ["g5.xlarge"] },
    [
      "host.instanceTypes",
      "a list of 1",
      "instanceType or instanceTypes, not both: instanceType is a list of one",
      "remove instanceType, and put it first into instanceTypes",
    ],
  ],
  [
    "a zone beside a list of them",
    { zone: "us-east-1a", zones: ["us-east-1b"] },
    [
      "host.zones",
      "a list of 1",
      "zone or zones, not both: zone is a list of one",
      "remove zone, and put it first into zones",
    ],
  ],
  [
    "an empty list of instance types",
    { instanceType: undefined, instanceTypes: [] },
    [
      "host.instanceTypes",
      "a list of 0",
      "a list of EC2 instance types, at least one and none twice",
      "give a list, for example [g4dn.xlarge]",
    ],
  ],
  [
    "a type twice",
    { instanceType: undefined, instanceTypes: ["g5.xlarge", "g5.xlarge"] },
    ["host.instanceTypes[1]", '"g5.xlarge"', "a value that [0] does not have", "remove it"],
  ],
  [
    "one type of a list without a GPU",
    { instanceType: undefined, instanceTypes: ["g5.xlarge", "m5.large"] },
    ["host.instanceTypes[1]", '"m5.large"', TYPES, "m5 has no GPUs; choose for example g4dn.xlarge"],
  ],
  [
    "zones in a subnet, which is in one",
    { zones: ["us-east-1a"], subnetId: "subnet-0123abcd" },
    [
      "host.zones",
      "a list of 1",
      "subnetId or zones, not both: a subnet is in one zone",
      "remove one of the two",
    ],
  ],
  [
    "falling back from what is on demand anyway",
    { onDemandFallback: true },
    [
      "host.onDemandFallback",
      "true",
      "true only with spot: without it, the instance is on demand anyway",
      "remove onDemandFallback, or set spot to true",
    ],
  ],
  [
    "a tag reserved for AWS",
    { tags: { "aws:team": "a" } },
    ['host.tags["aws:team"]', '"a"', "keys that AWS does not reserve", "remove aws:"],
  ],
  [
    "a tag that the stack sets",
    { tags: { Name: "a" } },
    ["host.tags.Name", '"a"', "keys that the stack does not set itself", "remove it, or choose another key"],
  ],
];

describe("settings of a host on AWS", () => {
  it("need no ranges for SSH through Session Manager", () => {
    const { host } = parsed({ host: { ...AWS, access: "sessionManager", adminCidrs: undefined } });
    assert.ok(host.kind === "aws" && host.access === "sessionManager" && host.adminCidrs === undefined);
  });

  it("have safe defaults", () => {
    assert.deepEqual(parsed({ host: AWS }).host, {
      ...AWS,
      directory: ".xsched-triton-dev",
      access: "ssh",
      allowPublicSsh: false,
      clientCidrs: [],
      createS3Endpoint: false,
      spot: false,
      kmsKeyId: undefined,
      loadBalancer: undefined,
      permissionsBoundary: undefined,
      instanceTypes: undefined,
      onDemandFallback: false,
      protect: false,
      publicIp: undefined,
      network: { kind: "existing" },
      volume: { size: 200, throughput: 125, iops: 3000 },
      subnetId: undefined,
      zone: undefined,
      zones: undefined,
      ami: undefined,
      user: "ubuntu",
      tags: {},
      idleStop: undefined,
      schedule: undefined,
      budget: undefined,
    });
  });

  for (const [what, change, [path, value, allowed, fix]] of cases) {
    it(`refuse ${what}`, () => {
      const expected: Fault = { path, value, allowed, fix };
      assert.deepEqual(refusal({ host: { ...AWS, ...change }, runtime: CONTAINER }).faults, [expected]);
    });
  }

  it("refuse clients from everywhere", () => {
    const host = { ...AWS, clientCidrs: ["0.0.0.0/0"] };
    assert.deepEqual(
      refusal({ host, server: { address: "0.0.0.0" }, gateway: { tls: "selfSigned" } }).faults,
      [
        {
          path: "host.clientCidrs[0]",
          value: '"0.0.0.0/0"',
          allowed: "a range that you can vouch for: whoever is in it can try the gateway's ports",
          fix: "give the ranges of your clients, or set host.loadBalancer with scheme: internetFacing and gateway.tokens",
        },
      ],
    );
  });

  it("ask a stack that had clients before there was a gateway for one decision", () => {
    const former = { host: { ...AWS, clientCidrs: ["203.0.113.0/24"] }, server: { address: "0.0.0.0" } };
    assert.deepEqual(
      refusal(former).faults.map(({ path, value }) => [path, value]),
      [["gateway.tls", "(not set)"]],
    );
    assert.equal(parsed({ ...former, gateway: { tls: "off" } }).gateway.tls, "off");
  });

  it("let in the internet if that is spelled out", () => {
    const host = parsed({ host: { ...AWS, adminCidrs: ["0.0.0.0/0"], allowPublicSsh: true } }).host;
    assert.ok(host.kind === "aws" && host.adminCidrs?.includes("0.0.0.0/0"));
  });

  it("accept ranges in AWS's spelling", () => {
    const host = parsed({ host: { ...AWS, adminCidrs: ["2001:DB8:0::/48", "fc00::/7"] } }).host;
    assert.ok(host.kind === "aws");
    assert.deepEqual(host.adminCidrs, ["2001:db8::/48", "fc00::/7"]);
  });

  it("accept a newer GPU with a newer Triton", () => {
    const on = (instanceType: string, runtime: object): unknown => ({
      host: { ...AWS, instanceType },
      runtime,
    });
    const base = (release: string): object => ({
      kind: "container",
      build: { base: `nvcr.io/nvidia/tritonserver:${release}-py3` },
    });
    assert.equal(parsed(on("g6.xlarge", base("24.05"))).host.kind, "aws");
    assert.equal(parsed(on("p5.48xlarge", base("22.09"))).host.kind, "aws");
    assert.equal(refusal(on("g6.xlarge", base("22.12"))).faults[0]?.path, "host.instanceType");
    // Newer than the table.
    assert.equal(parsed(on("g6e.xlarge", base("27.01"))).host.kind, "aws");
    // A process is of a newer release than the default image, and uses no GPU.
    assert.equal(parsed(on("g6e.xlarge", { kind: "process" })).host.kind, "aws");
    // Of an image with only a digest, the entrypoint checks the content.
    assert.equal(parsed(on("g6.xlarge", { kind: "container", image: IMAGE })).host.kind, "aws");
  });

  it("refuse a GPU that a newer Triton no longer supports", () => {
    const host = { ...AWS, instanceType: "p3dn.24xlarge", ami: "ami-0123456789abcdef0" };
    const base = "nvcr.io/nvidia/tritonserver:25.03-py3";
    assert.deepEqual(refusal({ host, runtime: { kind: "container", build: { base } } }).faults, [
      {
        path: "host.instanceType",
        value: '"p3dn.24xlarge"',
        allowed:
          "a type whose GPU Triton 25.03 supports, of g4dn, p4d, p4de, g5, g6, g6e, g6f, gr6, gr6f, p5, p5e, p5en, p6-b200, p6-b300, g7, g7e: it no longer supports the V100 (sm_70)",
        fix: "choose for example g5.xlarge, or build variant hooked on a base of Triton 24.12 or older",
      },
    ]);
  });

  it("need no repository for a build, because one is created", () => {
    const build = { kind: "container", build: { variant: "patched", keepImages: 3 } };
    const { runtime } = parsed({ host: AWS, runtime: build });
    assert.ok(runtime.kind === "container");
    assert.deepEqual([runtime.build?.repository, runtime.build?.keepImages], [undefined, 3]);
    assert.deepEqual(
      refusal({ runtime: build }).faults.map(({ path }) => path),
      ["runtime.build.repository", "runtime.build.keepImages"],
    );
  });
});

describe("instance types", () => {
  it("are those that EC2 offers", () => {
    const script = path.join(ROOT, "scripts/generate/gpu-instances.py");
    const moto = path.join(path.dirname(pythonTools()), "moto");
    const printed = execFileSync("python3", [script, moto], { encoding: "utf8" });
    const file = path.join(ROOT, "components/settings/generated/gpuInstances.ts");
    const words = (text: string): string => text.replace(/\s+|,(?=\s*[}\]])/g, "");
    assert.equal(words(fs.readFileSync(file, "utf8")), words(printed), "npm run generate:instances");
  });

  it("need a driver that the default AMI lacks where the GPU is old, or only a part of one", () => {
    const drivers = ["g5", "g7e", "p6-b200", "p3dn", "g6f"].map((family) => GPU_FAMILIES[family]?.driver);
    assert.deepEqual(drivers, ["open", "open", "open", "proprietary", "vGPU (GRID)"]);
    assert.deepEqual(
      refusal({ host: { ...AWS, instanceType: "gr6f.4xlarge" }, runtime: { kind: "process" } }).faults.map(
        ({ path: place, allowed }) => [place, allowed],
      ),
      [
        [
          "host.ami",
          "an AMI with NVIDIA's vGPU (GRID) driver for gr6f: the default one has the open driver, which needs a whole GPU",
        ],
      ],
    );
  });

  it("are those of the families, in their sizes", () => {
    assert.ok(isGpuType("g5.xlarge"));
    for (const type of ["g5", "g5.", "g5.huge", "g5.xlarge.x", "toString.xlarge", ""]) {
      assert.ok(!isGpuType(type), type);
    }
  });

  it("are supported by Triton 22.06 up to sm_86", () => {
    const supported = Object.entries(GPU_FAMILIES).filter(
      ([, { computeCapability }]) => computeCapability <= 86,
    );
    assert.deepEqual(
      familiesFor("22.06"),
      supported.map(([family]) => family),
    );
    assert.equal(releasesOn("g5.xlarge")[0], "22.06");
    assert.equal(releasesOn("g6.xlarge")[0], "23.04");
    assert.deepEqual(releasesOn("m5.xlarge"), []);
  });
});

describe("ranges of IP addresses", () => {
  it("are open to the world exactly where they fix fewer bits than anyone owns", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 32 }), (bits) => {
        assert.equal(isOpenToTheWorld(`0.0.0.0/${bits}`), bits < 8);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 128 }), (bits) => {
        assert.equal(isOpenToTheWorld(`2000::/${bits}`), bits < 16);
      }),
    );
    for (const own of ["fc00::/7", "fd00::/8", "10.0.0.0/8", "nonsense"])
      assert.ok(!isOpenToTheWorld(own), own);
    assert.ok(isOpenToTheWorld("fc00::/6"));
  });
});

describe("places of models in S3", () => {
  const models = (count: number, prefix: string) =>
    Array.from({ length: count }, (_, index) => ({
      name: `m${index}`,
      source: `s3://models-of-the-company/${prefix}/m${index}`,
    }));
  const raw = (given: readonly object[], host: object = AWS) => ({
    host,
    runtime: CONTAINER,
    models: given,
  });

  it("may be several hundred, or any number on a host that names none", () => {
    assert.equal(parsed(raw(models(900, "production"))).models.length, 900);
    const { runtime, ...onCpu } = raw(models(1500, "production"), { kind: "local" });
    assert.equal(parsed(onCpu).models.length, 1500);
  });

  it("are refused where the policies of a role have no room for them", () => {
    const given = models(1500, "production");
    const characters = given
      .map(({ source }) => `"arn:aws-us-gov:s3:::${source.slice("s3://".length)}/*",`.length)
      .reduce((sum, each) => sum + each);
    const [fault, ...others] = refusal(raw(given)).faults;
    assert.deepEqual(others, []);
    assert.deepEqual(fault, {
      path: "models",
      value: "a list of 1500",
      allowed: `models whose places in S3 the role of the host can name, in some 66000 characters of ARNs: these are 1500 places of ${characters} characters`,
      fix: "shorten the prefixes in S3, or divide the models among several stacks",
    });
  });
});
