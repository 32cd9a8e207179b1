import * as assert from "node:assert/strict";

import * as fc from "fast-check";

import { choicesOf, isAllowed, isToBeChosen, type Preferences } from "../../../components/host/aws/choices";

const ONE: Preferences = { instanceType: "g5.xlarge", spot: false, onDemandFallback: false };

const preferences = fc.record({
  instanceTypes: fc.uniqueArray(fc.constantFrom<string>("g4dn.xlarge", "g5.xlarge", "g6.xlarge"), {
    minLength: 1,
  }),
  zones: fc.uniqueArray(fc.constantFrom<string>("us-east-1a", "us-east-1b", "us-east-1c"), { minLength: 1 }),
  spot: fc.boolean(),
  onDemandFallback: fc.boolean(),
});

describe("the choices of an instance", () => {
  it("are one for a single type, in any zone or in one", () => {
    assert.deepEqual(choicesOf(ONE), [{ instanceType: "g5.xlarge", spot: false }]);
    const placed = { ...ONE, zone: "us-east-1a", spot: true };
    assert.deepEqual(choicesOf(placed), [{ instanceType: "g5.xlarge", zone: "us-east-1a", spot: true }]);
    assert.equal(isToBeChosen({ ...placed, instanceTypes: undefined, zones: undefined }), false);
  });

  it("are all combinations, each once: spot first, then by type, then by zone", () => {
    fc.assert(
      fc.property(preferences, (lists) => {
        const choices = choicesOf(lists);
        const markets = lists.spot && lists.onDemandFallback ? 2 : 1;
        assert.equal(choices.length, markets * lists.instanceTypes.length * lists.zones.length);
        assert.equal(new Set(choices.map((choice) => JSON.stringify(choice))).size, choices.length);
        const ranks = choices.map(({ instanceType, zone = "", spot }) => [
          spot ? 0 : 1,
          lists.instanceTypes.indexOf(instanceType),
          lists.zones.indexOf(zone),
        ]);
        const rank = ([market = 0, type = 0, zone = 0]: number[]): number => market * 100 + type * 10 + zone;
        assert.deepEqual(
          ranks,
          [...ranks].sort((one, other) => rank(one) - rank(other)),
        );
        for (const choice of choices) assert.ok(isAllowed(choice, choices));
      }),
    );
  });

  it("allow an instance in any zone only where none is named", () => {
    const there = { instanceType: "g5.xlarge", zone: "us-east-1c", spot: false };
    assert.ok(isAllowed(there, choicesOf(ONE)));
    assert.ok(!isAllowed(there, choicesOf({ ...ONE, zones: ["us-east-1a", "us-east-1b"] })));
    assert.ok(!isAllowed({ ...there, spot: true }, choicesOf(ONE)));
    assert.ok(!isAllowed({ ...there, instanceType: "g4dn.xlarge" }, choicesOf(ONE)));
  });
});
