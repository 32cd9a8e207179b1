import { createRequire } from "node:module";

import type * as acm from "@pulumi/aws/acm";
import type * as budgets from "@pulumi/aws/budgets";
import type * as cloudwatch from "@pulumi/aws/cloudwatch";
import type * as config from "@pulumi/aws/config";
import type * as ec2 from "@pulumi/aws/ec2";
import type * as ecr from "@pulumi/aws/ecr";
import type * as eks from "@pulumi/aws/eks";
import type * as partition from "@pulumi/aws/getPartition";
import type * as iam from "@pulumi/aws/iam";
import type * as kms from "@pulumi/aws/kms";
import type * as lb from "@pulumi/aws/lb";
import type * as route53 from "@pulumi/aws/route53";
import type * as s3 from "@pulumi/aws/s3";
import type * as scheduler from "@pulumi/aws/scheduler";
import type * as sns from "@pulumi/aws/sns";
import type * as ssm from "@pulumi/aws/ssm";
import type * as tls from "@pulumi/tls";

const load = createRequire(__filename);

/**
 * The SDKs that only programs with resources on AWS use, each loaded on first use, so that no other program pays for
 * them. Everywhere else, import only their types.
 */
export const sdk = {
  get acm(): typeof acm {
    return load("@pulumi/aws/acm") as typeof acm;
  },
  get budgets(): typeof budgets {
    return load("@pulumi/aws/budgets") as typeof budgets;
  },
  get cloudwatch(): typeof cloudwatch {
    return load("@pulumi/aws/cloudwatch") as typeof cloudwatch;
  },
  get config(): typeof config {
    return load("@pulumi/aws/config") as typeof config;
  },
  get ec2(): typeof ec2 {
    return load("@pulumi/aws/ec2") as typeof ec2;
  },
  get ecr(): typeof ecr {
    return load("@pulumi/aws/ecr") as typeof ecr;
  },
  get eks(): typeof eks {
    return load("@pulumi/aws/eks") as typeof eks;
  },
  get iam(): typeof iam {
    return load("@pulumi/aws/iam") as typeof iam;
  },
  get kms(): typeof kms {
    return load("@pulumi/aws/kms") as typeof kms;
  },
  get lb(): typeof lb {
    return load("@pulumi/aws/lb") as typeof lb;
  },
  get partition(): typeof partition {
    return load("@pulumi/aws/getPartition") as typeof partition;
  },
  get route53(): typeof route53 {
    return load("@pulumi/aws/route53") as typeof route53;
  },
  get s3(): typeof s3 {
    return load("@pulumi/aws/s3") as typeof s3;
  },
  get scheduler(): typeof scheduler {
    return load("@pulumi/aws/scheduler") as typeof scheduler;
  },
  get sns(): typeof sns {
    return load("@pulumi/aws/sns") as typeof sns;
  },
  get ssm(): typeof ssm {
    return load("@pulumi/aws/ssm") as typeof ssm;
  },
  get tls(): typeof tls {
    return load("@pulumi/tls") as typeof tls;
  },
};
