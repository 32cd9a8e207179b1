import type { types } from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { currentPartition, sdk } from "../../aws";
import { HostError } from "../hostError";

/** What a stack may cost in a calendar month before somebody is told. */
export interface Budget {
  readonly amount: number;
  /** Currency of the account's bills. */
  readonly unit: string;
  /** Email addresses. */
  readonly notify: readonly string[];
}

/** Tags of everything that a stack creates on AWS, which name it (components/aws/tags.ts). */
const COST_TAGS = ["xsched-triton:project", "xsched-triton:stack"] as const;

/** When somebody is told: at what part of the amount, and whether it is reached or only expected. */
const NOTIFICATIONS = [
  { notificationType: "ACTUAL", threshold: 80 },
  { notificationType: "ACTUAL", threshold: 100 },
  { notificationType: "FORECASTED", threshold: 100 },
] as const;

/** Parts of AWS whose accounts are billed through accounts elsewhere, and which have no AWS Budgets. */
const WITHOUT_BUDGETS = ["aws-us-gov"];

/** The amount as AWS Budgets takes it, where there is one. */
export function limitIn(partition: string, amount: number): string {
  if (!WITHOUT_BUDGETS.includes(partition)) return String(amount);
  throw new HostError(
    "host.budget is set, but there is no AWS Budgets in AWS GovCloud (US)",
    "remove host.budget; the account that pays, outside of GovCloud, can have a budget for its whole account in GovCloud",
  );
}

type Filter = types.input.budgets.BudgetFilterExpression;

/** All that carries both tags: a stack of the same name may belong to another project. */
export function costsOf(tags: Readonly<Record<string, string>>): Filter {
  return {
    ands: COST_TAGS.map((key) => ({ tags: { key, values: [tags[key] ?? ""], matchOptions: ["EQUALS"] } })),
  };
}

/**
 * A budget that only tells. AWS knows a tag's costs from the day on which the tag was activated for cost allocation, which is a
 * setting of the account that pays, and once for all stacks.
 * https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-create-filters.html
 */
export function costBudget(
  name: string,
  budget: pulumi.Output<Budget>,
  tags: pulumi.Output<Record<string, string>>,
  opts: pulumi.CustomResourceOptions,
): void {
  new sdk.budgets.Budget(
    name,
    {
      budgetType: "COST",
      timeUnit: "MONTHLY",
      limitAmount: pulumi
        .all([currentPartition(opts), budget.amount])
        .apply(([{ partition }, amount]) => limitIn(partition, amount)),
      limitUnit: budget.unit,
      metrics: "UnblendedCost",
      filterExpression: tags.apply(costsOf),
      notifications: budget.notify.apply((subscriberEmailAddresses) =>
        NOTIFICATIONS.map((notification) => ({
          ...notification,
          comparisonOperator: "GREATER_THAN",
          thresholdType: "PERCENTAGE",
          subscriberEmailAddresses: [...subscriberEmailAddresses],
        })),
      ),
      tags,
    },
    opts,
  );
}
