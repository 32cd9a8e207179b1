import * as pulumi from "@pulumi/pulumi";

/** Tags by their keys. */
export type Tags = Record<string, pulumi.Input<string>>;

/**
 * The tags of something on AWS: what is given, and what says where it comes from.
 *
 * @param name what it is for, shown in AWS's console
 */
export function tagsOf(
  name: string,
  given: pulumi.Input<Tags> | undefined,
): pulumi.Output<Record<string, string>> {
  return pulumi.output(given).apply((tags): Record<string, string> => ({
    ...tags,
    Name: `${pulumi.getProject()}-${pulumi.getStack()}-${name}`,
    "xsched-triton:project": pulumi.getProject(),
    "xsched-triton:stack": pulumi.getStack(),
  }));
}
