import * as assert from "node:assert/strict";

import * as pulumi from "@pulumi/pulumi";

import { assertRefused, parsed } from "./context";

const OWN = {
  ...{
    kind: "aws",
    instanceType: "g5.xlarge",
    access: "sessionManager",
    zones: ["us-east-1a", "us-east-1b"],
  },
  network: { kind: "own" },
};
const ENDPOINTS = { ...OWN, network: { kind: "own", egress: "endpoints" } };
const REGISTRY = "111122223333.dkr.ecr.us-east-1.amazonaws.com";
const BUILD = { kind: "container", build: {} };
const ADMINS = ["203.0.113.7/32"];
const RANGE = "a private range of IPv4 addresses with 16 to 22 fixed bits, apart from Docker's 172.17.0.0/16";
const REACHABLE =
  "sessionManager with network.kind: own, whose instance has no address that this machine can reach";
const NO_REGISTRY = (where: string): string =>
  `an image on ECR${where} with host.network.egress: endpoints, which leads to no other registry`;
const PUSH = "push it to such a repository, or set host.network.egress to natGateway";

type Case = readonly [what: string, config: object, faults: readonly (readonly string[])[]];

const host = (changes: object): object => ({ host: { ...OWN, ...changes }, runtime: BUILD });

const CASES: readonly Case[] = [
  [
    "an instance that this machine cannot reach",
    host({ access: undefined }),
    [["host.access", "(not set)", REACHABLE, "set access to sessionManager, or remove network"]],
  ],
  [
    "SSH from ranges",
    host({ access: "ssh", adminCidrs: ADMINS }),
    [
      [
        "host.access",
        '"ssh"',
        REACHABLE,
        "set access to sessionManager and remove adminCidrs, or remove network",
      ],
    ],
  ],
  [
    "a public address",
    host({ publicIp: "elastic" }),
    [
      [
        "host.publicIp",
        '"elastic"',
        "none with network.kind: own, whose subnets are private",
        "remove publicIp",
      ],
    ],
  ],
  [
    "a subnet beside those of the network",
    host({ subnetId: "subnet-0123456789abcdef0" }),
    [
      [
        ...["host.subnetId", '"subnet-0123456789abcdef0"'],
        "nothing with network.kind: own, which has subnets of its own",
        "remove subnetId, or remove network to use that subnet",
      ],
    ],
  ],
  [
    "a second endpoint for S3",
    host({ createS3Endpoint: true }),
    [
      [
        ...["host.createS3Endpoint", "true"],
        "false with network.kind: own, which has the endpoint anyway",
        "remove createS3Endpoint",
      ],
    ],
  ],
  [
    "no zone",
    host({ zones: undefined }),
    [
      [
        ...["host.zones", "(not set)"],
        "the zones that the network has a subnet in, the preferred one first",
        "add zones, for example [us-east-1a, us-east-1b]; those that have a type: aws ec2 describe-instance-type-offerings --location-type availability-zone --filters Name=instance-type,Values=g5.xlarge",
      ],
    ],
  ],
  [
    "a local zone",
    host({ zones: ["us-west-2a", "us-west-2-lax-1a"] }),
    [
      [
        ...["host.zones[1]", '"us-west-2-lax-1a"'],
        "a zone of a region with network.kind: own, not a local zone",
        "choose another zone, or give subnetId instead of network",
      ],
    ],
  ],
  ...(
    [
      ["203.0.0.0/16", "give a range within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"],
      ["10.0.0.0/8", "give 16 to 22 bits after the /"],
      ["10.0.0.0/24", "give 16 to 22 bits after the /"],
      ["172.17.0.0/16", "give another range, for example 10.90.0.0/16"],
      ["172.17.4.0/22", "give another range, for example 10.90.0.0/16"],
      ["fd00::/16", "give a range of IPv4; the network has one of IPv6 from AWS besides"],
    ] as const
  ).map(([cidr, fix]): Case => [
    `the range ${cidr}`,
    host({ network: { kind: "own", cidr } }),
    [["host.network.cidr", `"${cidr}"`, RANGE, fix]],
  ]),
  [
    "a process where nothing leads to PyPI",
    { host: ENDPOINTS },
    [
      [
        ...[
          "host.network.egress",
          '"endpoints"',
          "natGateway with runtime process, whose Triton comes from PyPI",
        ],
        "set egress to natGateway, run Triton in a container whose image is on ECR, or set host.ami to an image that has Triton in the host's folder",
      ],
    ],
  ],
  [
    "a gateway where nothing leads to Ubuntu's archive",
    { host: ENDPOINTS, runtime: BUILD, server: { address: "0.0.0.0" }, gateway: { tls: "selfSigned" } },
    [
      [
        ...[
          "host.network.egress",
          '"endpoints"',
          "natGateway with a gateway, whose HAProxy comes from Ubuntu's archive",
        ],
        "set egress to natGateway, or set host.ami to an image that has HAProxy",
      ],
    ],
  ],
  [
    "an image of another registry",
    { host: ENDPOINTS, runtime: { kind: "container", image: "nvcr.io/nvidia/tritonserver:24.10-py3" } },
    [["runtime.image", '"nvcr.io/nvidia/tritonserver:24.10-py3"', NO_REGISTRY(" in us-east-1"), PUSH]],
  ],
  [
    "an image on ECR in another region",
    {
      host: { ...ENDPOINTS, zones: undefined, zone: "eu-west-1a" },
      runtime: { kind: "container", image: `${REGISTRY}/triton:1` },
    },
    [["runtime.image", `"${REGISTRY}/triton:1"`, NO_REGISTRY(" in eu-west-1"), PUSH]],
  ],
  [
    "a repository elsewhere",
    { host: ENDPOINTS, runtime: { kind: "container", build: { repository: "registry.example.com/triton" } } },
    [
      [
        ...["runtime.build.repository", '"registry.example.com/triton"'],
        ...[NO_REGISTRY(" in us-east-1"), PUSH],
      ],
    ],
  ],
  [
    "engines that are built with NVIDIA's image",
    {
      ...{ host: ENDPOINTS, runtime: BUILD },
      models: [{ name: "a", source: "s3://models/a", engine: {} }],
    },
    [["models[0].engine.builder", "(not set)", NO_REGISTRY(" in us-east-1"), PUSH]],
  ],
];

describe("a network of the stack's own", () => {
  for (const [what, config, faults] of CASES) {
    it(`does not go with ${what}`, () => {
      assertRefused(config, faults);
    });
  }

  it("has a NAT gateway and a range of its own by default, and no public address", () => {
    const { host: read } = parsed(host({}));
    assert.ok(read.kind === "aws");
    assert.deepEqual(read.network, { kind: "own", egress: "natGateway", cidr: "10.90.0.0/16" });
    assert.equal(parsed(host({ publicIp: "none" })).host.kind, "aws");
    assert.equal(parsed(host({ zones: undefined, zone: "us-gov-west-1a" })).host.kind, "aws");
    assert.equal(parsed(host({ network: { kind: "own", cidr: "172.18.0.0/16" } })).host.kind, "aws");
  });

  it("leads to all that an image needs which is on ECR, or on the machine already", () => {
    for (const config of [
      { host: ENDPOINTS, runtime: BUILD },
      { host: ENDPOINTS, runtime: { kind: "container", image: `${REGISTRY}/triton:1` } },
      {
        ...{ host: ENDPOINTS, runtime: BUILD },
        models: [
          { name: "a", source: "s3://models/a", engine: { builder: `${REGISTRY}/tensorrt:22.06-py3` } },
        ],
      },
      { host: { ...ENDPOINTS, ami: "ami-0123456789abcdef0" } },
      {
        ...{ host: { ...ENDPOINTS, ami: "ami-0123456789abcdef0" }, runtime: BUILD },
        ...{ server: { address: "0.0.0.0" }, gateway: { tls: "selfSigned" } },
      },
    ]) {
      assert.equal(parsed(config).host.kind, "aws");
    }
  });

  it("leads anywhere through a NAT gateway", () => {
    const runtime = { kind: "container", image: "nvcr.io/nvidia/tritonserver:24.10-py3" };
    assert.equal(parsed({ host: OWN, runtime }).host.kind, "aws");
    assert.equal(parsed({ host: OWN }).host.kind, "aws");
  });

  it("has zones that a program knows from the start", async () => {
    const { AwsGpuHost } = await import("../../../components");
    await pulumi.runtime.setMocks({
      newResource: ({ name, inputs }) => ({ id: name, state: inputs as object }),
      call: () => ({}),
    });
    const args = { ...OWN, kind: undefined, zones: [pulumi.output("us-east-1a")] };
    assert.throws(
      () => new AwsGpuHost("gpu", args as unknown as ConstructorParameters<typeof AwsGpuHost>[1]),
      /zones\[0\]: \(an output\)\n {4}allowed: a zone that is known from the start/,
    );
    await pulumi.runtime.disconnect();
  });
});
