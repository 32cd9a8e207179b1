import { type Fault, isOpenToTheWorld } from "../../components/settings";
import type { Property } from "../property";
import type { Resource } from "../resource";
import { documentOf, isPattern, type Statement } from "./document";

/** Properties with the policy of a resource itself, which says who may use it. */
const RESOURCE_POLICIES: Readonly<Record<string, string>> = {
  "aws:cloudwatch/eventBusPolicy:EventBusPolicy": "policy",
  "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": "policyDocument",
  "aws:ecr/registryPolicy:RegistryPolicy": "policy",
  "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
  "aws:iam/role:Role": "assumeRolePolicy",
  "aws:kms/key:Key": "policy",
  "aws:kms/keyPolicy:KeyPolicy": "policy",
  "aws:s3/accessPoint:AccessPoint": "policy",
  "aws:s3/bucket:Bucket": "policy",
  "aws:s3/bucketPolicy:BucketPolicy": "policy",
  "aws:s3/bucketV2:BucketV2": "policy",
  "aws:s3control/accessPointPolicy:AccessPointPolicy": "policy",
  "aws:secretsmanager/secret:Secret": "policy",
  "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",
  "aws:sns/topic:Topic": "policy",
  "aws:sns/topicPolicy:TopicPolicy": "policy",
  "aws:sqs/queue:Queue": "policy",
  "aws:sqs/queuePolicy:QueuePolicy": "policy",
};

/** Policies of buckets, repositories, roles and the like that let in anyone. */
export function openToEveryone({ type, props }: Resource): readonly Fault[] {
  const key = RESOURCE_POLICIES[type];
  if (key === undefined) return [];
  const { statements, faults } = documentOf(props.field(key));
  return [
    ...faults,
    ...statements
      .filter((statement) => statement.allows && !isForSome(statement.whole("Condition")))
      .flatMap((statement) => [...everyone(statement), ...allBut(statement)]),
  ];
}

const ALLOWED = "principals by their full names, or a condition on a fixed account, organization or network";

function everyone(statement: Statement): readonly Fault[] {
  return principalsOf(statement)
    .filter(({ text }) => isPattern(text))
    .map((principal) => principal.fault(ALLOWED, "name the accounts, roles or services that need it"));
}

/** The principals of a statement, whatever their kind. */
export function principalsOf(statement: Statement): readonly Property[] {
  const principal = statement.whole("Principal");
  const kinds = typeof principal.value === "string" ? [principal] : principal.fields;
  return kinds.flatMap(({ items }) => items).filter((item) => !item.isUnknown);
}

function allBut(statement: Statement): readonly Fault[] {
  const others = statement.whole("NotPrincipal");
  return others.isSet
    ? [others.fault(ALLOWED, "replace it with Principal: NotPrincipal allows everyone else")]
    : [];
}

/**
 * Keys whose fixed values leave only some callers.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
 */
const CALLERS: ReadonlySet<string> = new Set([
  ...["aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths"],
  ...["aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceowner"],
  ...["aws:sourcevpc", "aws:sourcevpce", "kms:calleraccount"],
  ...["s3:dataaccesspointaccount", "s3:dataaccesspointarn"],
]);

/** Operators that a request without the key does not satisfy. */
const FIXES = /^(?:foranyvalue:)?(?:string(?:equals|equalsignorecase|like)|arn(?:equals|like))$/;

/** Whether a condition leaves only callers that somebody has chosen; one is enough, as all must hold. */
function isForSome(condition: Property): boolean {
  return (
    condition.isUnknown ||
    condition.fields.some((operator) =>
      operator.fields.some((key) => {
        const name = key.path.slice(operator.path.length + 1).toLowerCase();
        const values = key.items;
        if (key.isUnknown) return true;
        if (operator.key.toLowerCase() === "ipaddress") {
          return (
            name === "aws:sourceip" && values.every(({ isUnknown, text }) => isUnknown || isSomeone(text))
          );
        }
        return (
          FIXES.test(operator.key.toLowerCase()) &&
          CALLERS.has(name) &&
          values.every(({ isUnknown, text }) => isUnknown || isFixed(text))
        );
      }),
    )
  );
}

function isSomeone(range: string): boolean {
  return range !== "" && !isOpenToTheWorld(range);
}

/** Whether a value is one caller, or callers of one account or organization. A variable is what the caller makes it. */
function isFixed(value: string): boolean {
  if (value === "" || value.includes("${")) return false;
  return !isPattern(value) || /^arn:[^:]*:[^:]*:[^:]*:[0-9]{12}:/.test(value) || /^o-[a-z0-9]+\//.test(value);
}
