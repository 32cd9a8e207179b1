import * as assert from "node:assert/strict";

import * as fc from "fast-check";
import * as ipaddr from "ipaddr.js";

import { ipv6SubnetRange, subnetRange } from "../../../components/host/aws/subnetRanges";
import { runs } from "../../properties";

const ZONES = Array.from({ length: 26 }, (_, index) => `us-east-1${String.fromCharCode(97 + index)}`);

/** Whether the first range has the first address of the second. */
const has = (outer: string, inner: string): boolean => {
  const [range, address] = [ipaddr.parseCIDR(outer), ipaddr.parseCIDR(inner)[0]];
  return address.match(...range);
};

describe("ranges of subnets", () => {
  it("are of one size, by the zone's letter", () => {
    assert.equal(subnetRange("10.90.0.0/16", "us-east-1a", "private"), "10.90.0.0/22");
    assert.equal(subnetRange("10.90.0.0/16", "eu-west-1c", "private"), "10.90.8.0/22");
    assert.equal(subnetRange("10.90.0.0/16", "us-east-1a", "public"), "10.90.128.0/22");
    assert.equal(subnetRange("192.168.4.0/22", "us-east-1f", "public"), "192.168.6.80/28");
    assert.equal(ipv6SubnetRange("2600:1f18:4a2:7b00::/56", "us-east-1a"), "2600:1f18:4a2:7b00::/64");
    assert.equal(ipv6SubnetRange("2600:1f18:4a2:7b00::/56", "us-east-1d"), "2600:1f18:4a2:7b03::/64");
  });

  it("are in their network, and apart from each other", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 16, max: 22 }),
        fc.integer({ min: 0, max: 2 ** 14 - 1 }),
        (bits, index) => {
          const first = (10 * 2 ** 24 + (index % 2 ** (bits - 8)) * 2 ** (32 - bits)) >>> 0;
          const address = [24, 16, 8, 0].map((shift) => (first >>> shift) & 255).join(".");
          const network = `${address}/${bits}`;
          const subnets = ZONES.flatMap((zone) => [
            subnetRange(network, zone, "private"),
            subnetRange(network, zone, "public"),
          ]);
          for (const subnet of subnets) {
            assert.ok(has(network, subnet), `${subnet} in ${network}`);
            // Written as AWS writes it: by its first address.
            assert.equal(`${ipaddr.IPv4.networkAddressFromCIDR(subnet).toString()}/${bits + 6}`, subnet);
            assert.deepEqual(
              subnets.filter((other) => has(subnet, other)),
              [subnet],
            );
          }
        },
      ),
      { numRuns: runs(15) },
    );
    const ipv6 = ZONES.map((zone) => ipv6SubnetRange("2600:1f18:4a2:7b00::/56", zone));
    assert.equal(new Set(ipv6).size, ZONES.length);
    for (const range of ipv6) assert.ok(has("2600:1f18:4a2:7b00::/56", range), range);
  });
});
