import * as assert from "node:assert/strict";

import * as pulumi from "@pulumi/pulumi";

export interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/** The resources of a program that ran on mocks. */
export class Recording {
  public constructor(public readonly resources: readonly Registered[]) {}

  /** Inputs of the one resource of a type, such as `aws:s3/bucket:Bucket`, or of the one of a name among them. */
  public inputs(type: string, name?: string): Registered["inputs"] {
    const found = this.resources.filter(
      (each) => each.type === type && (name === undefined || each.name === name),
    );
    assert.equal(found.length, 1, `${found.length} resources ${type} ${name ?? ""}`);
    return found[0]!.inputs;
  }

  public names(prefix: string): string[] {
    return this.resources
      .filter(({ type }) => type.startsWith(prefix))
      .map(({ name }) => name)
      .sort();
  }
}

/** As the provider describes it. */
export const PARTITION = { partition: "aws", dnsSuffix: "amazonaws.com" };

/**
 * Runs a program on mocks.
 *
 * @param preview whether outputs stay unknown, as in a preview of something new
 * @param outputs a resource's additional outputs in an update, and its id where that matters
 * @param partition that the provider's region is in
 */
export async function record(
  preview: boolean,
  outputs: (resource: Registered) => Readonly<Record<string, unknown>>,
  program: () => unknown,
  partition = PARTITION,
): Promise<Recording> {
  const resources: Registered[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        const resource = { type, name, inputs: inputs as Record<string, unknown> };
        resources.push(resource);
        const { id = `${name}-id`, ...others } = preview ? {} : outputs(resource);
        return { id: preview ? undefined : (id as string), state: { ...resource.inputs, ...others } };
      },
      call: ({ token, inputs }) =>
        token === "aws:index/getPartition:getPartition" ? partition : (inputs as Record<string, unknown>),
    },
    "project",
    "stack",
    preview,
  );
  await program();
  await pulumi.runtime.disconnect();
  return new Recording(resources);
}

/** The value of an output; undefined while it is unknown. */
export function valueOf<T>(output: pulumi.Output<T>): Promise<T | undefined> {
  return (output as unknown as { promise(withUnknowns?: boolean): Promise<T | undefined> }).promise();
}
