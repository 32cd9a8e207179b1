import assert from "node:assert/strict";

import { publicIngress } from "../../../policy/network";
import type { Resource } from "../../../policy/resource";
import { inPreview, LATER } from "./preview";
import { brief, type Case, defineCases, resource } from "./resources";

const WORLD = { cidrBlocks: ["0.0.0.0/0"] };

const group = (...ingress: object[]): Resource =>
  resource("aws:ec2/securityGroup:SecurityGroup", { ingress });

const rule = (props: object): Resource => resource("aws:ec2/securityGroupRule:SecurityGroupRule", props);

const ingressRule = (props: object): Resource =>
  resource("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", props);

const port = (fromPort: number, toPort = fromPort): object => ({ protocol: "tcp", fromPort, toPort });

const cases: readonly Case[] = [
  [
    "SSH from the internet",
    group({ ...port(22), ...WORLD }),
    ['ingress[0].cidrBlocks[0]: "0.0.0.0/0" on port 22'],
  ],
  [
    "half of the internet beside a private network",
    group({ ...port(8000, 8002), cidrBlocks: ["10.0.0.0/8", "128.0.0.0/1"] }),
    ['ingress[0].cidrBlocks[1]: "128.0.0.0/1" on ports 8000 to 8002'],
  ],
  ["private and small ranges", group({ ...port(22), cidrBlocks: ["10.0.0.0/8", "203.0.113.7/32"] }), []],
  [
    "everything over IPv6",
    group({ protocol: "-1", fromPort: 0, toPort: 0, ipv6CidrBlocks: ["::/0"] }),
    ['ingress[0].ipv6CidrBlocks[0]: "::/0" on every port'],
  ],
  [
    "all global IPv6 addresses",
    group({ ...port(22), ipv6CidrBlocks: ["2000::/3"] }),
    ['ingress[0].ipv6CidrBlocks[0]: "2000::/3" on port 22'],
  ],
  ["an organization's IPv6 addresses", group({ ...port(22), ipv6CidrBlocks: ["2001:db8::/32"] }), []],
  [
    "the internet in another spelling",
    group({ ...port(22), cidrBlocks: ["0/0"], ipv6CidrBlocks: ["0::0/0"] }),
    ['ingress[0].cidrBlocks[0]: "0/0" on port 22', 'ingress[0].ipv6CidrBlocks[0]: "0::0/0" on port 22'],
  ],
  [
    "the second of two rules",
    group({ ...port(22), cidrBlocks: ["203.0.113.7/32"] }, { ...port(8000), ...WORLD }),
    ['ingress[1].cidrBlocks[0]: "0.0.0.0/0" on port 8000'],
  ],
  [
    "a protocol without ports",
    group({ protocol: "icmp", fromPort: 8, toPort: 0, ...WORLD }),
    ['ingress[0].cidrBlocks[0]: "0.0.0.0/0" on protocol icmp'],
  ],
  ["another security group, and itself", group({ ...port(22), self: true, securityGroups: ["sg-1"] }), []],
  [
    "the default group of a network",
    resource("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", {
      ingress: [{ protocol: "-1", fromPort: 0, toPort: 0, ...WORLD }],
    }),
    ['ingress[0].cidrBlocks[0]: "0.0.0.0/0" on every port'],
  ],
  [
    "a rule of a group",
    rule({ type: "ingress", ...port(22), ...WORLD }),
    ['cidrBlocks[0]: "0.0.0.0/0" on port 22'],
  ],
  ["outbound traffic", rule({ type: "egress", protocol: "-1", fromPort: 0, toPort: 0, ...WORLD }), []],
  [
    "a rule of its own kind",
    ingressRule({ ipProtocol: "tcp", fromPort: 22, toPort: 22, cidrIpv4: "0.0.0.0/0" }),
    ['cidrIpv4: "0.0.0.0/0" on port 22'],
  ],
  [
    "such a rule for IPv6 and every protocol",
    ingressRule({ ipProtocol: "-1", cidrIpv6: "::/0" }),
    ['cidrIpv6: "::/0" on every port'],
  ],
  [
    "such a rule for one address",
    ingressRule({ ipProtocol: "tcp", fromPort: 22, toPort: 22, cidrIpv4: "203.0.113.7/32" }),
    [],
  ],
  [
    "the internet in a prefix list",
    resource("aws:ec2/managedPrefixList:ManagedPrefixList", {
      entries: [{ cidr: "203.0.113.0/24" }, { cidr: "0.0.0.0/0" }],
    }),
    ['entries[1].cidr: "0.0.0.0/0"'],
  ],
  [
    "the internet as an entry of a prefix list",
    resource("aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry", { cidr: "::/0" }),
    ['cidr: "::/0"'],
  ],
  [
    "a prefix list of an office",
    resource("aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry", { cidr: "203.0.113.0/24" }),
    [],
  ],
  ["a rule for a prefix list", ingressRule({ ipProtocol: "tcp", ...port(22), prefixListId: "pl-1" }), []],
];

describe("no-public-ingress", () => {
  defineCases((given) => publicIngress(given, []), cases);

  describe("with ports that are meant to be open", () => {
    defineCases(
      (given) => publicIngress(given, [443, 8000, 8001]),
      [
        ["one of them", group({ ...port(443), ...WORLD }), []],
        ["one of them over UDP", group({ protocol: "17", fromPort: 443, toPort: 443, ...WORLD }), []],
        ["a range of them", group({ ...port(8000, 8001), ...WORLD }), []],
        ["another", group({ ...port(22), ...WORLD }), ['ingress[0].cidrBlocks[0]: "0.0.0.0/0" on port 22']],
        [
          "a range that includes others",
          group({ ...port(442, 443), ...WORLD }),
          ['ingress[0].cidrBlocks[0]: "0.0.0.0/0" on ports 442 to 443'],
        ],
        [
          "every protocol, for which AWS ignores the port",
          group({ protocol: "-1", fromPort: 443, toPort: 443, ...WORLD }),
          ['ingress[0].cidrBlocks[0]: "0.0.0.0/0" on every port'],
        ],
        [
          "a protocol without ports that has the number of one",
          group({ protocol: "icmp", fromPort: 443, toPort: 443, ...WORLD }),
          ['ingress[0].cidrBlocks[0]: "0.0.0.0/0" on protocol icmp'],
        ],
      ],
    );
  });

  it("finds in a preview what does not depend on unknown values", () => {
    const given = {
      ingress: [
        { ...port(22), cidrBlocks: [LATER, "0.0.0.0/0"] },
        { protocol: "tcp", fromPort: LATER, toPort: LATER, ...WORLD },
        LATER,
      ],
    };
    const seen = resource("aws:ec2/securityGroup:SecurityGroup", inPreview(given));
    assert.deepEqual(brief(publicIngress(seen, [])), ['ingress[0].cidrBlocks[1]: "0.0.0.0/0" on port 22']);
  });

  it("says what is allowed and how to get there", () => {
    assert.deepEqual(publicIngress(group({ ...port(22), ...WORLD }), []), [
      {
        path: "ingress[0].cidrBlocks[0]",
        value: '"0.0.0.0/0" on port 22',
        allowed: "ranges that someone can vouch for, of at most an IPv4 /8 or an IPv6 /16",
        fix: "give only the ranges that need it (host.adminCidrs, host.clientCidrs), or put the port into publicPorts of no-public-ingress in the pack's config",
      },
    ]);
  });
});
