import { type Fault, isOpenToTheWorld } from "../../components/settings";
import type { Property } from "../property";
import type { Resource } from "../resource";

/** A rule of a security group that lets something in. */
interface Rule {
  readonly protocol: Property;
  readonly from: Property;
  readonly to: Property;
  readonly ranges: readonly Property[];
}

/**
 * Ports that a security group, one rule of it, or a list of ranges for such rules opens to the internet.
 *
 * @param allowed ports that are meant to be open
 */
export function publicIngress(resource: Resource, allowed: readonly number[]): readonly Fault[] {
  return [
    ...rulesOf(resource).flatMap((rule) =>
      isMeant(rule, allowed) ? [] : rule.ranges.filter(isOpen).map((range) => openRule(rule, range)),
    ),
    ...prefixesOf(resource)
      .filter(isOpen)
      .map((range) =>
        range.fault(
          "ranges that someone can vouch for: rules that name this list let them in",
          "list only the ranges that need it",
        ),
      ),
  ];
}

function rulesOf({ type, props }: Resource): readonly Rule[] {
  switch (type) {
    case "aws:ec2/securityGroup:SecurityGroup":
    case "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup":
      return props.field("ingress").items.map(inlineRule);
    case "aws:ec2/securityGroupRule:SecurityGroupRule":
      return props.field("type").text.toLowerCase() === "egress" ? [] : [inlineRule(props)];
    case "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
      return [
        {
          protocol: props.field("ipProtocol"),
          from: props.field("fromPort"),
          to: props.field("toPort"),
          ranges: [...props.field("cidrIpv4").items, ...props.field("cidrIpv6").items],
        },
      ];
    default:
      return [];
  }
}

function inlineRule(rule: Property): Rule {
  return {
    protocol: rule.field("protocol"),
    from: rule.field("fromPort"),
    to: rule.field("toPort"),
    ranges: [...rule.field("cidrBlocks").items, ...rule.field("ipv6CidrBlocks").items],
  };
}

function prefixesOf({ type, props }: Resource): readonly Property[] {
  switch (type) {
    case "aws:ec2/managedPrefixList:ManagedPrefixList":
      return props.field("entries").items.map((entry) => entry.field("cidr"));
    case "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry":
      return [props.field("cidr")];
    default:
      return [];
  }
}

function isOpen(range: Property): boolean {
  return isOpenToTheWorld(range.text);
}

function openRule(rule: Rule, range: Property): Fault {
  return range.fault(
    "ranges that someone can vouch for, of at most an IPv4 /8 or an IPv6 /16",
    "give only the ranges that need it (host.adminCidrs, host.clientCidrs), or put the port into publicPorts of no-public-ingress in the pack's config",
    `"${range.text}" on ${portsOf(rule)}`,
  );
}

/** Protocols with ports, by name and number. */
const WITH_PORTS: readonly string[] = ["", "tcp", "6", "udp", "17"];

/** Protocol -1 is all of them, and then AWS ignores the ports. */
const EVERY_PROTOCOL: readonly string[] = ["-1", "all"];

function protocolOf({ protocol }: Rule): string {
  return typeof protocol.value === "number" ? String(protocol.value) : protocol.text.toLowerCase();
}

/** Whether every port that a rule opens may be open, or that is not known yet. */
function isMeant(rule: Rule, allowed: readonly number[]): boolean {
  const { protocol, from, to } = rule;
  if (protocol.isUnknown) return true;
  if (!WITH_PORTS.includes(protocolOf(rule))) return false;
  if (from.isUnknown || to.isUnknown) return true;
  if (typeof from.value !== "number" || typeof to.value !== "number") return false;
  const [first, last] = [from.value, to.value];
  return (
    first <= last &&
    new Set(allowed.filter((port) => first <= port && port <= last)).size === last - first + 1
  );
}

function portsOf(rule: Rule): string {
  const protocol = protocolOf(rule);
  if (!WITH_PORTS.includes(protocol) && !EVERY_PROTOCOL.includes(protocol)) return `protocol ${protocol}`;
  const [from, to] = [rule.from.value, rule.to.value];
  const known = typeof from === "number" && typeof to === "number" && (from > 0 || to > 0);
  if (EVERY_PROTOCOL.includes(protocol) || !known) return "every port";
  return from === to ? `port ${from}` : `ports ${from} to ${to}`;
}
