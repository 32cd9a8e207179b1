import * as ipaddr from "ipaddr.js";

import { Place } from "./place";
import { mapped, Rule, text } from "./rules";

const written = text({
  allowed: "a range of IP addresses: address/bits",
  example: "203.0.113.7/32",
  refuse(value) {
    if (ipaddr.isValid(value) && isWrittenOut(value)) {
      return `for this one address, write ${value}/${ipaddr.parse(value).kind() === "ipv4" ? 32 : 128}`;
    }
    if (!ipaddr.isValidCIDR(value) || !isWrittenOut(value.slice(0, value.indexOf("/")))) {
      return "give four numbers from 0 to 255, or an IPv6 address, then / and how many bits of it are fixed: 203.0.113.0/24";
    }
    const [address] = ipaddr.parseCIDR(value);
    const range = byFirstAddress(value);
    return address.toString() === ipaddr.parseCIDR(range)[0].toString()
      ? undefined
      : `write the range by its first address: ${range}`;
  },
});

/** A range of IP addresses in CIDR form; reads in the spelling that AWS returns. */
export const addressRange: Rule<string> = mapped(written, byFirstAddress);

/** Not a short form such as 10.1, which means 10.0.0.1, nor the address of one interface. */
function isWrittenOut(address: string): boolean {
  return address.includes(":") ? !address.includes("%") : ipaddr.IPv4.isValidFourPartDecimal(address);
}

function byFirstAddress(range: string): string {
  const [address, bits] = ipaddr.parseCIDR(range);
  const first =
    address.kind() === "ipv4"
      ? ipaddr.IPv4.networkAddressFromCIDR(range)
      : ipaddr.IPv6.networkAddressFromCIDR(range);
  return `${first.toString()}/${bits}`;
}

/** Fewest fixed bits of a range that someone can own: an IPv4 /8, an IPv6 /16. */
const WIDEST = { ipv4: 8, ipv6: 16 } as const;

/** Whether a range is the internet, or a part of it too large for anyone to vouch for. */
export function isOpenToTheWorld(range: string): boolean {
  if (!ipaddr.isValidCIDR(range)) return false;
  const [address, bits] = ipaddr.parseCIDR(range);
  // fc00::/7 is wide, but not on the internet.
  return bits < WIDEST[address.kind()] && !(address.range() === "uniqueLocal" && bits >= 7);
}

/** Whether the first range has all addresses of the second. */
function includes(range: string, other: string): boolean {
  const [outer, inner] = [ipaddr.parseCIDR(range), ipaddr.parseCIDR(other)];
  return outer[0].kind() === inner[0].kind() && outer[1] <= inner[1] && inner[0].match(outer);
}

/** Records each range that another one includes; AWS refuses the same range twice, in whatever spelling. */
export function refuseRepeatedRanges(ranges: readonly unknown[], at: Place): void {
  const known = ranges.map((range) =>
    typeof range === "string" && ipaddr.isValidCIDR(range) ? range : undefined,
  );
  known.forEach((range, index) => {
    if (range === undefined) return;
    const isEarlierOrWider = (other: string | undefined, place: number): other is string =>
      other !== undefined &&
      place !== index &&
      includes(other, range) &&
      (place < index || !includes(range, other));
    const other = known.find(isEarlierOrWider);
    if (other === undefined) return;
    at.at(index).fault(range, "ranges without an address in common", `remove it: ${other} includes it`);
  });
}

/** Whether a range is of IPv6 addresses. */
export function isIpv6(range: string): boolean {
  return range.includes(":");
}

/** Kinds of addresses that the internet does not lead to. */
const PRIVATE: readonly string[] = ["loopback", "private", "linkLocal", "uniqueLocal", "carrierGradeNat"];

/** Whether an IP address is one that only the host or a private network can reach. A name may stand for any address. */
export function isPrivateAddress(address: string): boolean {
  return (
    ipaddr.isValid(address) && isWrittenOut(address) && PRIVATE.includes(ipaddr.process(address).range())
  );
}
