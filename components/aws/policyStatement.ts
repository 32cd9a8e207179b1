import type * as pulumi from "@pulumi/pulumi";

import type { PolicyStatementArgs } from "../settings";

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
