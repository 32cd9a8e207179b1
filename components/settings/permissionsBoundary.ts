import { text } from "./rules";

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html */
const POLICY_ARN = /^arn:aws[a-z-]*:iam::(?:[0-9]{12}|aws):policy\/(?:[\w+=,.@-]+\/)*[\w+=,.@-]{1,128}$/;

/** A managed policy that limits what a role can be allowed. */
export const permissionsBoundary = text({
  allowed: "the ARN of a managed policy of IAM",
  example: "arn:aws:iam::111122223333:policy/xsched-triton-boundary",
  refuse: (value) =>
    POLICY_ARN.test(value)
      ? undefined
      : "give its ARN: aws iam list-policies --scope Local --query 'Policies[].Arn'",
});
