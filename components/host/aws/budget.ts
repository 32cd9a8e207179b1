import type { types } from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { sdk } from "../../aws";

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
      limitAmount: budget.amount.apply(String),
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
