import * as pulumi from "@pulumi/pulumi";

/** Something that a role is allowed to do. */
export interface PolicyStatementArgs {
  /** Name of the statement: letters and digits. */
  sid: pulumi.Input<string>;
  /** What may be done, such as `s3:GetObject`. */
  actions: pulumi.Input<pulumi.Input<string>[]>;
  /** ARNs of what it may be done to; `*` only for actions that know no resource. */
  resources: pulumi.Input<pulumi.Input<string>[]>;
  /**
   * When it may be done: operator, key and values, as `{ StringLike: { "s3:prefix": ["models/*"] } }` in IAM.
   * @default always
   */
  conditions?: pulumi.Input<Record<string, pulumi.Input<Record<string, pulumi.Input<string[]>>>>>;
}

/** A statement whose values are known. */
export type PolicyStatement = pulumi.Unwrap<PolicyStatementArgs>;

/** The text of an IAM policy that allows just this. */
export function policyDocument(statements: readonly PolicyStatement[]): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map(({ sid, actions, resources, conditions }) => ({
      Sid: sid,
      Effect: "Allow",
      Action: actions,
      Resource: resources,
      ...(conditions && { Condition: conditions }),
    })),
  });
}
