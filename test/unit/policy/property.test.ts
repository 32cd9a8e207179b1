import assert from "node:assert/strict";

import { Property, propertiesOf } from "../../../policy/property";
import { inPreview, LATER } from "./preview";

describe("properties in the policy pack", () => {
  it("tells what a preview does not know yet from what it knows beside it", () => {
    const given = { ports: [22, LATER], tags: { Name: LATER, team: "ml" } };
    const props = propertiesOf(inPreview(given));
    const [first, second] = props.field("ports").items;
    assert.equal(first?.value, 22);
    assert.equal(second?.isUnknown, true);
    assert.equal(props.field("tags").field("Name").isUnknown, true);
    assert.equal(props.field("tags").field("team").text, "ml");
  });

  it("counts everything inside of an unknown value as unknown", () => {
    const props = propertiesOf(inPreview({ metadataOptions: LATER }));
    assert.equal(props.field("metadataOptions").field("httpTokens").isUnknown, true);
    assert.deepEqual(props.field("metadataOptions").items, []);
  });

  it("does not hide another error", () => {
    const broken = {
      get disk(): never {
        throw new TypeError("broken");
      },
    };
    assert.throws(() => propertiesOf(broken), /broken/);
  });

  it("has the path of every part", () => {
    const rules = propertiesOf({ ingress: [{ cidrBlocks: ["::/0"] }] }).field("ingress").items;
    assert.equal(rules[0]?.field("cidrBlocks").items[0]?.path, "ingress[0].cidrBlocks[0]");
  });

  it("takes one value for a list of it", () => {
    assert.deepEqual(
      new Property("Action", "s3:GetObject").items.map(({ path, text }) => [path, text]),
      [["Action", "s3:GetObject"]],
    );
  });
});
