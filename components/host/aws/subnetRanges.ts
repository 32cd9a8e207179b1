import * as ipaddr from "ipaddr.js";

/*
 * The ranges of subnets within the one of their network, by zone: a subnet has the same one whatever other zones there are,
 * so that a zone more or less moves nobody.
 */

/** What a subnet is for. */
export type SubnetUse = "private" | "public";

/** Bits for the subnets of a network: 64 of them, half for each use. */
const BITS = 6;

const SLOTS: Readonly<Record<SubnetUse, number>> = { private: 0, public: 32 };

/** Place of a zone's subnet within the network, by the zone's letter. */
function slotOf(zone: string, use: SubnetUse): number {
  return SLOTS[use] + zone.charCodeAt(zone.length - 1) - "a".charCodeAt(0);
}

/**
 * A subnet's range of IPv4.
 *
 * @param network the range of the network
 */
export function subnetRange(network: string, zone: string, use: SubnetUse): string {
  const [address, bits] = ipaddr.parseCIDR(network);
  const size = bits + BITS;
  return `${partOf(address, size, slotOf(zone, use))}/${size}`;
}

/** Fixed bits of a subnet's range of IPv6: AWS takes no others with the networks that it gives. */
const IPV6_BITS = 64;

/** A private subnet's range of IPv6, within the one that AWS has given to the network. */
export function ipv6SubnetRange(network: string, zone: string): string {
  const [address] = ipaddr.parseCIDR(network);
  return `${partOf(address, IPV6_BITS, slotOf(zone, "private"))}/${IPV6_BITS}`;
}

/** The address of the nth part of a range whose parts have so many fixed bits. */
function partOf(address: ipaddr.IPv4 | ipaddr.IPv6, bits: number, index: number): string {
  const bytes = address.toByteArray();
  const length = BigInt(bytes.length * 8);
  const first = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  const part = first + (BigInt(index) << (length - BigInt(bits)));
  const hex = part.toString(16).padStart(bytes.length * 2, "0");
  return ipaddr.fromByteArray([...Buffer.from(hex, "hex")]).toString();
}
