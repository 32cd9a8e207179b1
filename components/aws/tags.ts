import * as pulumi from "@pulumi/pulumi";

/** Tags by their keys. */
export type Tags = Record<string, pulumi.Input<string>>;

/**
 * The tags of an AWS resource: the user's, and those that name its project and stack.
 *
 * @param name what it is for, shown in AWS's console
 */
export function tagsOf(
  name: string,
  tags: pulumi.Input<Tags> | undefined,
): pulumi.Output<Record<string, string>> {
  return pulumi.output(tags).apply((known): Record<string, string> => ({
    ...known,
    Name: `${pulumi.getProject()}-${pulumi.getStack()}-${name}`,
    "xsched-triton:project": pulumi.getProject(),
    "xsched-triton:stack": pulumi.getStack(),
  }));
}
