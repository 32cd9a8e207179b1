import assert from "node:assert/strict";

import type { Fault } from "../../../components/settings";
import { propertiesOf } from "../../../policy/property";
import type { Resource, StackResource } from "../../../policy/resource";

export const resource = (type: string, props: object): Resource => ({
  type,
  name: "r",
  props: propertiesOf(props),
});

/** A resource of a stack; `comesFrom` has names of others. */
export const stackResource = (
  type: string,
  name: string,
  props: object,
  comesFrom: Record<string, string> = {},
): StackResource => ({
  ...{ type, name, urn: name, props: propertiesOf(props) },
  comesFrom: Object.fromEntries(Object.entries(comesFrom).map(([key, origin]) => [key, [origin]])),
});

/** A resource, and what a check says of it: `path: value` of each fault. */
export type Case = readonly [what: string, given: Resource, faults: readonly string[]];

/** One test for each case. */
export function defineCases(check: (given: Resource) => readonly Fault[], cases: readonly Case[]): void {
  for (const [what, given, faults] of cases) {
    it(`${faults.length === 0 ? "accepts" : "refuses"} ${what}`, () => {
      assert.deepEqual(brief(check(given)), faults);
    });
  }
}

export function brief(faults: readonly Fault[]): string[] {
  return faults.map(({ path, value }) => `${path}: ${value}`);
}
