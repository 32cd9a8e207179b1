import type { Fault } from "../../components/settings";
import type { Property } from "../property";
import type { Resource } from "../resource";
import { documentOf, isPattern, type Statement } from "./document";

/** What a deployment knows to be right although this pack cannot. */
export interface KnownPermissions {
  /** Actions that know no resource, beyond those in the table below. */
  readonly unscopedActions: readonly string[];
  /** ARNs of managed policies that may be attached. */
  readonly managedPolicies: readonly string[];
}

/**
 * Actions that know no resource, so that they can only be allowed on `*`. Those of EC2, of its load balancers and of
 * its scaling groups that only describe are all of that kind.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
 */
const UNSCOPED = new RegExp(
  `^(?:${[
    "(?:ec2|autoscaling|elasticloadbalancing):describe[a-z]+",
    "cloudwatch:(?:putmetricdata|getmetricdata|getmetricstatistics|listmetrics)",
    "ec2messages:(?:acknowledgemessage|deletemessage|failmessage|getendpoint|getmessages|sendreply)",
    "ecr:getauthorizationtoken",
    "s3:listallmybuckets",
    "ssm:updateinstanceinformation",
    "ssmmessages:(?:create|open)(?:control|data)channel",
    "sts:getcalleridentity",
    "xray:put(?:tracesegments|telemetryrecords)",
  ].join("|")})$`,
);

/**
 * Resources that an action itself makes, by a name that AWS chooses; another resource of the same action says what it may
 * make. https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
 */
const NAMED_BY_AWS: Readonly<Record<string, RegExp>> = {
  "ssm:startautomationexecution": /^arn:[^:]*:ssm:[^:]*:[^:]*:automation-execution\/\*$/i,
};

/** Actions that hand a role on. Whoever has them can do what that role may do. */
const HANDS_ON: readonly string[] = ["iam:passrole", "sts:assumerole"];

/** Services whose ARNs begin with a name; those of all others have a type before it. */
const NAME_FIRST: readonly string[] = ["s3", "sns", "sqs", "execute-api", "codecommit"];

/** Permissions of roles, users and groups that go beyond what they name. */
export function broadPermissions({ type, props }: Resource, known: KnownPermissions): readonly Fault[] {
  return [
    ...policiesOf(type, props).flatMap((policy) => {
      const { statements, faults } = documentOf(policy);
      return [
        ...faults,
        ...statements.filter(({ allows }) => allows).flatMap((each) => statementFaults(each, known)),
      ];
    }),
    ...managedPoliciesOf(type, props).flatMap((arn) => managedPolicyFaults(arn, known)),
  ];
}

function policiesOf(type: string, props: Property): readonly Property[] {
  switch (type) {
    case "aws:iam/policy:Policy":
    case "aws:iam/rolePolicy:RolePolicy":
    case "aws:iam/userPolicy:UserPolicy":
    case "aws:iam/groupPolicy:GroupPolicy":
      return [props.field("policy")];
    case "aws:iam/role:Role":
      return props.field("inlinePolicies").items.map((inline) => inline.field("policy"));
    case "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy":
      return [props.field("inlinePolicy")];
    default:
      return [];
  }
}

function managedPoliciesOf(type: string, props: Property): readonly Property[] {
  switch (type) {
    case "aws:iam/role:Role":
      return props.field("managedPolicyArns").items;
    case "aws:iam/rolePolicyAttachment:RolePolicyAttachment":
    case "aws:iam/userPolicyAttachment:UserPolicyAttachment":
    case "aws:iam/groupPolicyAttachment:GroupPolicyAttachment":
    case "aws:iam/policyAttachment:PolicyAttachment":
      return props.field("policyArn").items;
    case "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive":
    case "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive":
    case "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive":
      return props.field("policyArns").items;
    case "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment":
      return props.field("managedPolicyArn").items;
    default:
      return [];
  }
}

function statementFaults(statement: Statement, known: KnownPermissions): Fault[] {
  const actions = statement.element("Action");
  const names = actions.map(({ text }) => text.toLowerCase());
  return [
    ...(["NotAction", "NotResource"] as const).flatMap((name) =>
      statement.whole(name).isSet
        ? [
            statement
              .whole(name)
              .fault(
                "what a statement names; this allows everything else",
                `replace it with ${name.slice("Not".length)}, and list what is needed`,
              ),
          ]
        : [],
    ),
    ...actions
      .filter(({ text }) => isPattern(text))
      .map((action) =>
        action.fault("actions by their full names, without * and ?", "list the actions that are needed"),
      ),
    ...statement.element("Resource").flatMap((resource) => resourceFaults(resource, names, known)),
  ];
}

function resourceFaults(resource: Property, actions: readonly string[], known: KnownPermissions): Fault[] {
  const handsOn = actions.find((action) => HANDS_ON.includes(action));
  if (handsOn !== undefined && isPattern(resource.text)) {
    const name = handsOn === "iam:passrole" ? "iam:PassRole" : "sts:AssumeRole";
    return [
      resource.fault(
        `for ${name} the ARN of one role, without * and ?: who may hand a role on can do what it may do`,
        "give the role's ARN, in a statement of its own",
      ),
    ];
  }
  const unscoped = new Set(known.unscopedActions.map((action) => action.toLowerCase()));
  const scoped = actions.filter(
    (action) => !UNSCOPED.test(action) && !unscoped.has(action) && !NAMED_BY_AWS[action]?.test(resource.text),
  );
  if (namesOne(resource.text) || scoped.length === 0) return [];
  return [
    resource.fault(
      `the ARN of one resource, or of what is below one: ${scoped.join(", ")} can be limited to it`,
      "give the ARN up to the whole name. If an action knows no resource, put it into unscopedActions of least-privilege in the pack's config",
    ),
  ];
}

/** Whether a pattern is the ARN of one thing, or of what is below it: in any account and region, but by its whole name. */
export function namesOne(pattern: string): boolean {
  if (!isPattern(pattern)) return true;
  const [arn, , service = "", , , ...rest] = pattern.split(":");
  const before = /^[^*?]*/.exec(rest.join(":"))?.[0] ?? "";
  const wholeParts = before.split(/[:/]/).slice(0, -1);
  const isWhole = before.length === rest.join(":").length;
  const names = (isWhole ? [...wholeParts, "name"] : wholeParts).filter((part) => part !== "");
  return (
    arn?.toLowerCase() === "arn" &&
    rest.length > 0 &&
    !isPattern(service) &&
    names.length >= (NAME_FIRST.includes(service.toLowerCase()) || isWhole ? 1 : 2)
  );
}

function managedPolicyFaults(policy: Property, known: KnownPermissions): Fault[] {
  const arn = policy.text;
  if (known.managedPolicies.includes(arn)) return [];
  const name = arn.slice(arn.lastIndexOf("/") + 1);
  if (/^arn:[^:]*:iam::aws:/i.test(arn)) {
    return [
      policy.fault(
        "policies of the stack: AWS's own cover every resource of a service, or the whole account",
        "allow what is needed in a RolePolicy, or put the ARN into managedPolicies of least-privilege in the pack's config",
      ),
    ];
  }
  if (!/admin|full[-_]?access|power[-_]?user/i.test(name)) return [];
  return [
    policy.fault(
      "policies for what is needed: this one's name says that it allows far more",
      "attach a narrower one, or put the ARN into managedPolicies of least-privilege in the pack's config",
    ),
  ];
}
