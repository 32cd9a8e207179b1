import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { type Document, parseDocument } from "yaml";

import { MISTAKES, type Mistake, TOGETHER } from "../../fixtures/mistakes";

const ROOT = path.resolve(__dirname, "../../..");
const PROGRAM = path.join(ROOT, "index.ts");

/** Runs the program as the engine does, with mocks for its resources, and returns the names of the created ones. */
async function run(config: Document): Promise<string[]> {
  const made: string[] = [];
  const newResource = ({ name, inputs }: pulumi.runtime.MockResourceArgs) => {
    made.push(name);
    return { id: name, state: inputs as object };
  };
  await pulumi.runtime.setMocks({ newResource, call: () => ({}) }, "xsched-triton", "local", true);
  const values = (config.toJS() as { config: Record<string, unknown> }).config;
  const texts = Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)] as const);
  pulumi.runtime.setAllConfig(Object.fromEntries(texts));
  // A program runs when it is loaded.
  // eslint-disable-next-line @typescript-eslint/no-dynamic-delete
  delete require.cache[PROGRAM];
  try {
    await import(PROGRAM);
  } finally {
    await pulumi.runtime.disconnect();
    pulumi.runtime.setAllConfig({});
  }
  return made;
}

describe("a mistake in the stack config", () => {
  const localStack = (): Document =>
    parseDocument(fs.readFileSync(path.join(ROOT, "Pulumi.local.yaml"), "utf8"));

  /** The program's message about mistakes, without indentation. It must not have created anything. */
  const refusal = async (mistakes: readonly Mistake[]): Promise<string> => {
    const config = localStack();
    for (const { make } of mistakes) make(config);
    let refused: unknown;
    let made: string[] = [];
    try {
      made = await run(config);
    } catch (error) {
      refused = error;
    }
    assert.deepEqual(made, []);
    // The only error that Pulumi shows without a stack trace.
    assert.ok(pulumi.RunError.isInstance(refused), String(refused));
    return refused.message.replace(/^ +/gm, "");
  };

  it("is the only reason: without it, the program creates the stack", async () => {
    const made = await run(localStack());
    assert.ok(made.includes("triton-models-realtime"), made.join(", "));
  });

  for (const mistake of MISTAKES) {
    it(`is told: ${mistake.what}, and nothing is created`, async () => {
      const message = await refusal([mistake]);
      assert.match(message, /^[12] faults? in the settings of stack local; nothing was changed\.$/m);
      assert.ok(message.includes(mistake.told.replaceAll("PROJECT", ROOT)), message);
    });
  }

  it("is reported together with all others", async () => {
    const message = await refusal(TOGETHER);
    for (const { told } of TOGETHER) assert.ok(message.includes(told), message);
  });
});
