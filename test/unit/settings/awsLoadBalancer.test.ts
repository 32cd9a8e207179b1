import * as assert from "node:assert/strict";

import { assertRefused, parsed } from "./context";

const ARN = "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef";
const BALANCER = { domainName: "triton.example.com", certificateArn: ARN };
const SUBNET = "subnet-0123456789abcdef0";
const HOST = {
  kind: "aws",
  instanceType: "g5.xlarge",
  adminCidrs: ["203.0.113.7/32"],
  clientCidrs: ["10.0.0.0/16"],
  loadBalancer: BALANCER,
};
const OWN = {
  ...{ network: { kind: "own" }, zones: ["us-east-1a", "us-east-1b"] },
  ...{ access: "sessionManager", adminCidrs: undefined },
};
const TOKENS = [{ name: "batch", sha256: "a".repeat(64) }];
const BUILD = { kind: "container", build: {} };
const NAME = "a DNS name in lower-case letters of at most 64 characters, with a dot";

/** A stack whose gateway is behind a load balancer, with other values for some keys of them. */
function stack(host: object = {}, balancer: object = {}, gateway: object = {}): Record<string, object> {
  return {
    host: { ...HOST, loadBalancer: { ...BALANCER, ...balancer }, ...host },
    runtime: BUILD,
    server: { address: "0.0.0.0" },
    gateway: { tls: "selfSigned", ...gateway },
  };
}

type Case = readonly [what: string, config: object, faults: readonly (readonly string[])[]];

const CASES: readonly Case[] = [
  [
    "another kind of host",
    { host: { kind: "local", loadBalancer: BALANCER } },
    [["host.loadBalancer", "(unknown key)"]],
  ],
  [
    "no name",
    stack({}, { domainName: undefined }),
    [["host.loadBalancer.domainName", "(not set)", NAME, "add domainName: triton.example.com"]],
  ],
  [
    "neither a certificate nor where to prove the name",
    stack({}, { certificateArn: undefined }),
    [
      [
        ...["host.loadBalancer.certificateArn", "(not set)"],
        "the ARN of a certificate of AWS Certificate Manager, in the region of the stack, or hostedZoneId for the stack to make one",
        "add certificateArn, or hostedZoneId: aws route53 list-hosted-zones --query 'HostedZones[].[Name,Id]' --output text",
      ],
    ],
  ],
  ...(
    [
      ["https://triton.example.com", "give the name alone, without https:// and a port"],
      ["triton.example.com:8000", "give the name alone, without https:// and a port"],
      ["*.example.com", "give one name; a certificate with a wildcard can be given by certificateArn"],
      ["Triton.example.com", "write it in lower-case letters: triton.example.com"],
      ["triton.example.com.", "remove the dot at its end: triton.example.com"],
      ["triton", "give a name such as triton.example.com"],
      ["-a.example.com", "give a name such as triton.example.com"],
      ["10.0.0.1", "give a name such as triton.example.com"],
      [`${"a".repeat(60)}.example.com`, "give a name such as triton.example.com"],
    ] as const
  ).map(([domainName, fix]): Case => [
    `the name ${domainName}`,
    stack({}, { domainName }),
    [
      [
        "host.loadBalancer.domainName",
        domainName.length > 60 ? `a string of ${domainName.length} characters` : `"${domainName}"`,
        ...[NAME, fix],
      ],
    ],
  ]),
  [
    "a hosted zone by its path",
    stack({}, { hostedZoneId: "/hostedzone/Z0123" }),
    [
      [
        ...["host.loadBalancer.hostedZoneId", '"/hostedzone/Z0123"'],
        "the id of a hosted zone of Route 53: Z and more capital letters and digits",
        "give its id without /hostedzone/: aws route53 list-hosted-zones --query 'HostedZones[].[Name,Id]' --output text",
      ],
    ],
  ],
  [
    "a certificate of IAM",
    stack({}, { certificateArn: "arn:aws:iam::111122223333:server-certificate/a" }),
    [
      [
        ...["host.loadBalancer.certificateArn", '"arn:aws:iam::111122223333:server-certificate/a"'],
        "the ARN of a certificate of AWS Certificate Manager, in the region of the stack",
        "give its ARN: aws acm list-certificates --query 'CertificateSummaryList[].[DomainName,CertificateArn]' --output text",
      ],
    ],
  ],
  [
    "a scheme that AWS spells otherwise",
    stack({}, { scheme: "internet-facing" }),
    [
      [
        ...["host.loadBalancer.scheme", '"internet-facing"', "one of internal, internetFacing"],
        "did you mean internetFacing?",
      ],
    ],
  ],
  [
    "the internet where no route leads to it",
    stack(
      { ...OWN, network: { kind: "own", egress: "endpoints" }, ami: SUBNET.replace("subnet", "ami") },
      { scheme: "internetFacing" },
    ),
    [
      [
        ...["host.loadBalancer.scheme", '"internetFacing"'],
        "internal with network.egress: endpoints, as no route leads to the internet",
        "set network.egress to natGateway, or remove scheme",
      ],
    ],
  ],
  [
    "subnets in a network of its own",
    stack(OWN, { subnetIds: [SUBNET] }),
    [
      [
        ...["host.loadBalancer.subnetIds", "a list of 1"],
        "nothing with network.kind: own, which has subnets of its own",
        "remove subnetIds",
      ],
    ],
  ],
  [
    "subnets elsewhere than in the instance's network",
    stack({}, { subnetIds: [SUBNET] }),
    [
      [
        ...["host.loadBalancer.subnetIds", "a list of 1"],
        "nothing without host.subnetId: the load balancer is in the default VPC, as the instance",
        "remove subnetIds, or set host.subnetId to the instance's subnet",
      ],
    ],
  ],
  [
    "the internet in a private subnet",
    stack({ subnetId: SUBNET, publicIp: "none" }, { scheme: "internetFacing" }),
    [
      [
        ...["host.loadBalancer.subnetIds", "(not set)"],
        "public subnets with internetFacing, as publicIp: none says that the instance's own is private",
        "add subnetIds, for example [subnet-0123456789abcdef0], or remove scheme",
      ],
    ],
  ],
  [
    "clients over IPv6",
    stack({ clientCidrs: ["10.0.0.0/16", "2001:db8::/48"] }),
    [
      [
        ...["host.clientCidrs[1]", '"2001:db8::/48"'],
        "ranges of IPv4 with loadBalancer, which has no address of IPv6",
        "give the range of IPv4 that these clients have, or remove it",
      ],
    ],
  ],
  [
    "no clients",
    stack({ clientCidrs: undefined }),
    [
      [
        ...["host.clientCidrs", "(not set)", "the ranges that loadBalancer lets in, at least one"],
        "add clientCidrs, for example [10.0.0.0/16], or remove loadBalancer",
      ],
    ],
  ],
  [
    "no gateway",
    { ...stack(), server: {}, gateway: {} },
    [
      [
        ...["server.address", "(not set)", "an address that host.clientCidrs can reach, not a loopback one"],
        "set address to 0.0.0.0, or remove host.clientCidrs and use a tunnel",
      ],
    ],
  ],
  [
    "no gateway and no clients",
    { ...stack({ clientCidrs: [] }), server: { address: "127.0.0.1" }, gateway: {} },
    [
      ["host.clientCidrs", "a list of 0"],
      [
        ...[
          "server.address",
          '"127.0.0.1"',
          "an address that host.loadBalancer can reach, not a loopback one",
        ],
        "set address to 0.0.0.0, or remove host.loadBalancer",
      ],
    ],
  ],
  [
    "certificates of clients, which end at the load balancer",
    stack({}, {}, { clientCaFile: "tls/chain.pem" }),
    [
      [
        ...["gateway.clientCaFile", "(given with host.loadBalancer)"],
        "nothing with host.loadBalancer: TLS of clients ends there, and with it their certificates",
        "remove clientCaFile and let clients show tokens, or remove host.loadBalancer",
      ],
    ],
  ],
  [
    "everybody, without tokens",
    stack({ clientCidrs: ["0.0.0.0/0"] }, { scheme: "internetFacing" }),
    [
      [
        ...["host.clientCidrs[0]", '"0.0.0.0/0"'],
        "a range that you can vouch for, as without gateway.tokens whoever is in it can use the models",
        "add gateway.tokens, or give the ranges of your clients",
      ],
    ],
  ],
  [
    "everybody, where the load balancer is private",
    stack({ clientCidrs: ["0.0.0.0/0"] }, {}, { tokens: TOKENS }),
    [
      [
        ...["host.clientCidrs[0]", '"0.0.0.0/0"'],
        "a range that you can vouch for: whoever is in it can try the gateway's ports",
        "give the ranges of your clients, or set host.loadBalancer with scheme: internetFacing and gateway.tokens",
      ],
    ],
  ],
  [
    "more rules than its group has",
    stack({ clientCidrs: Array.from({ length: 31 }, (_, index) => `10.${index}.0.0/16`) }),
    [
      [
        ...["host.clientCidrs", "a list of 31"],
        "at most 60 rules of IPv4 in the load balancer's security group: these are 62, 2 for each of 31 clientCidrs",
        "merge neighbouring ranges into a wider one",
      ],
    ],
  ],
  [
    "more rules than the instance's group has",
    stack({ adminCidrs: Array.from({ length: 59 }, (_, index) => `198.18.${index}.0/24`) }),
    [
      [
        ...["host.adminCidrs", "a list of 59"],
        "at most 60 rules of IPv4 in the security group: these are 61, one for each of 59 adminCidrs and of 2 ports for the load balancer",
        "merge neighbouring ranges into a wider one",
      ],
    ],
  ],
];

describe("a load balancer before a gateway on AWS", () => {
  for (const [what, config, faults] of CASES) {
    it(`does not go with ${what}`, () => {
      assertRefused(config, faults);
    });
  }

  it("is private unless somebody says otherwise, and is read where it fits", () => {
    const { host } = parsed(stack());
    assert.ok(host.kind === "aws");
    assert.deepEqual(host.loadBalancer, {
      ...BALANCER,
      ...{ scheme: "internal", hostedZoneId: undefined, subnetIds: undefined },
    });
    const public_ = { scheme: "internetFacing" };
    for (const config of [
      stack({}, { certificateArn: undefined, hostedZoneId: "Z0123456789ABCDEFGHIJ" }),
      stack({ clientCidrs: ["0.0.0.0/0"] }, public_, { tokens: TOKENS }),
      stack({ subnetId: SUBNET, publicIp: "none" }),
      stack({ subnetId: SUBNET, publicIp: "none" }, { ...public_, subnetIds: [SUBNET] }),
      stack(OWN),
      stack(OWN, public_),
      stack({ clientCidrs: Array.from({ length: 30 }, (_, index) => `10.${index}.0.0/16`) }),
    ]) {
      assert.equal(parsed(config).host.kind, "aws");
    }
  });

  it("is absent where nobody asks for one", () => {
    const { host } = parsed({ host: { ...HOST, loadBalancer: undefined, clientCidrs: undefined } });
    assert.ok(host.kind === "aws");
    assert.equal(host.loadBalancer, undefined);
  });
});
