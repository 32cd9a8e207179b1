import type { Fault } from "../../components/settings";
import { documentOf, principalsOf, type Statement } from "../iam";
import type { Property } from "../property";
import { refersTo, type StackFault, type StackResource } from "../resource";

/** Releases of the SDK give the same resource several types. */
const versions = (name: string): ReadonlySet<string> =>
  new Set(["", "V2"].map((version) => `aws:s3/${name}${version}:${upper(name)}${version}`));

function upper(name: string): string {
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

const BUCKETS = versions("bucket");
const ACCESS_BLOCKS = versions("bucketPublicAccessBlock");
const ENCRYPTIONS = versions("bucketServerSideEncryptionConfiguration");
const POLICIES = versions("bucketPolicy");

const ALL_BLOCKED = ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"];

/** Buckets of a stack that are not private, encrypted and TLS-only. */
export function openBuckets(resources: readonly StackResource[]): readonly StackFault[] {
  return resources
    .filter(({ type }) => BUCKETS.has(type))
    .flatMap((bucket) => {
      const forIt = (types: ReadonlySet<string>): readonly Property[] =>
        resources
          .filter((each) => types.has(each.type) && refersTo(each, "bucket", bucket, "bucket"))
          .map(({ props }) => props);
      const policies = [...forIt(POLICIES), bucket.props].map((props) => props.field("policy"));
      const encryptions = [
        ...forIt(ENCRYPTIONS),
        ...bucket.props.field("serverSideEncryptionConfiguration").items,
      ];
      return [
        ...publicAccess(forIt(ACCESS_BLOCKS)),
        ...(encryptions.length > 0
          ? []
          : [lacking("how it is encrypted", "ServerSideEncryptionConfiguration")]),
        ...(policies.some(isTlsOnly) ? [] : [withoutTls(bucket)]),
      ].map((fault) => ({ urn: bucket.urn, fault }));
    });
}

function publicAccess(blocks: readonly Property[]): readonly Fault[] {
  if (blocks.length === 0)
    return [lacking("whether it can be made public", "PublicAccessBlock", "all four blocks")];
  return ALL_BLOCKED.flatMap((key) => {
    const block = blocks.map((each) => each.field(key)).find((each) => !each.isUnknown && !each.isTrue);
    return block === undefined
      ? []
      : [block.fault("true: otherwise the bucket can be made public", "set it to true")];
  });
}

function lacking(what: string, resource: string, contents?: string): Fault {
  return {
    path: "bucket",
    value: `nothing says ${what}`,
    allowed: `buckets with a Bucket${resource}`,
    fix: `add a Bucket${resource} for it${contents === undefined ? "" : ` with ${contents}`}`,
  };
}

function withoutTls(bucket: StackResource): Fault {
  return {
    path: "bucket",
    value: "answers without TLS",
    allowed:
      "buckets whose policy denies everyone every action without TLS, on the bucket and on all objects",
    fix: `add a BucketPolicy for ${bucket.name} that denies s3:* to * if aws:SecureTransport is false`,
  };
}

/** Whether a policy denies all that comes without TLS, or is not known yet. */
function isTlsOnly(policy: Property): boolean {
  return policy.isUnknown || documentOf(policy).statements.some(deniesPlain);
}

function deniesPlain(statement: Statement): boolean {
  const [condition, ...others] = statement
    .whole("Condition")
    .fields.flatMap((operator) => operator.fields.map((key) => ({ operator, key })));
  const resources = statement.element("Resource").map(({ text }) => text);
  return (
    !statement.allows &&
    condition !== undefined &&
    // Another condition would leave requests over.
    others.length === 0 &&
    /^bool(?:ifexists)?$/i.test(condition.operator.key) &&
    condition.key.path.slice(condition.operator.path.length + 1).toLowerCase() === "aws:securetransport" &&
    condition.key.items.every(({ value }) => String(value).toLowerCase() === "false") &&
    principalsOf(statement).some(({ text }) => text === "*") &&
    statement.element("Action").some(({ text }) => /^(?:s3:)?\*$/i.test(text)) &&
    (resources.includes("*") ||
      (resources.some((arn) => arn.endsWith("/*")) && resources.some((arn) => !arn.endsWith("/*"))))
  );
}
