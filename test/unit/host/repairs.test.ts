import assert from "node:assert/strict";

import * as pulumi from "@pulumi/pulumi";

import { repairWords } from "../../../components/host/repairs";

describe("repairWords", () => {
  const words = (repairs: string | undefined, part: string | undefined): Promise<string[]> =>
    new Promise((resolve) => {
      repairWords(repairs, part).apply((found) => {
        resolve(found);
        return pulumi.output(found);
      });
    });

  it("names the part and its token", async () => {
    assert.deepEqual(await words('{"server":"a1","models":"b2"}', "models"), ["--repair=models=b2"]);
  });

  it("is nothing for a part that is as it should be, or that cannot differ", async () => {
    assert.deepEqual(await words('{"server":"a1"}', "model:scale"), []);
    assert.deepEqual(await words('{"*":"a1"}', undefined), []);
    assert.deepEqual(await words(undefined, "server"), []);
  });

  it("names every part of a host that has lost everything", async () => {
    assert.deepEqual(await words('{"*":"c3","server":"a1"}', "server"), ["--repair=server=a1"]);
    assert.deepEqual(await words('{"*":"c3"}', "model:scale"), ["--repair=model:scale=c3"]);
  });

  it("lets the agent note that everything was lost, before the other parts are there again", async () => {
    assert.deepEqual(await words('{"*":"c3"}', "agent"), ["--repair=agent=c3", "--repair=*=c3"]);
    assert.deepEqual(await words('{"agent":"a1"}', "agent"), ["--repair=agent=a1"]);
  });
});
