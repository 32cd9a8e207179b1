import { awsFields, checkAwsHost } from "../settings/awsHostSettings";
import { monitoringFields } from "../settings/monitoringSettings";
import { modelName } from "../settings/modelSettings";
import {
  boolean,
  defaulted,
  integer,
  list,
  object,
  optional,
  required,
  type Rule,
  text,
} from "../settings/rules";
import { keepImages } from "../settings/runtimeSettings";
import { anything } from "./anything";
import { locationFieldsNow } from "./hostArguments";
import { orLater, orLaterFields } from "./later";

const HOST = "an object with the arguments of a host on AWS";

const fields = {
  ...awsFields,
  clientPorts: defaulted(
    list(integer(1, 65535, 8000), { allowed: "a list of TCP ports" }),
    [8000, 8001],
    "TCP ports for clients.",
  ),
};

/** What is known of a host on AWS in the end. */
export const awsHostArgument = object(HOST, fields, (_, at, raw) => {
  checkAwsHost(raw, at);
});

const ecrFields = {
  keepImages: defaulted(keepImages, 10, "How many images are kept."),
  forceDelete: defaulted(boolean, false, "Whether images go with the repository."),
  tags: awsFields.tags,
};

const REPOSITORY = "an object with the arguments of a repository";

/** What is known of a repository on ECR in the end. */
export const ecrArgument = object(REPOSITORY, ecrFields);

/** What is known of it when it is constructed. */
export const ecrNow = object(REPOSITORY, orLaterFields(ecrFields));

const bucketFields = {
  keepDays: defaulted(integer(1, 3650, 30), 30, "Days for which an overwritten file is kept."),
  tags: awsFields.tags,
};

const BUCKET = "an object with the arguments of a bucket for models";

/** What is known of a bucket for models in the end. */
export const modelBucketArgument = object(BUCKET, bucketFields);

/** What is known of it when it is constructed. */
export const modelBucketNow = object(BUCKET, orLaterFields(bucketFields));

const watchedFields = {
  ...monitoringFields,
  instanceId: required(resource("an EC2 instance", /^i-[0-9a-f]{8,17}$/), "Instance."),
  instanceType: required(resource("a type of EC2 instance", /^[a-z0-9-]+\.[a-z0-9-]+$/), "Its type."),
  region: required(resource("a region of AWS", /^[a-z]{2}(-[a-z]+)+-\d$/), "Its region."),
  roleName: required(resource("an IAM role", /^[\w+=,.@-]{1,64}$/), "Its role."),
  spot: defaulted(boolean, false, "Whether it is a spot instance."),
  container: defaulted(boolean, true, "Whether Triton runs in a container."),
  tritonMetrics: defaulted(
    resource("address:port", /^\S+:\d{1,5}$/),
    "127.0.0.1:8002",
    "Where Triton's metrics are.",
  ),
  models: required(list(modelName, { allowed: "a list of models' names" }), "Names of the models."),
  tags: awsFields.tags,
};

/** The name or id of something on AWS, as AWS or a component gives it. */
function resource(what: string, pattern: RegExp): Rule<string> {
  const example = "the one of AwsGpuHost";
  return text({
    allowed: `the name of ${what}`,
    example,
    refuse: (given) => (pattern.test(given) ? undefined : `give ${example}`),
  });
}

const MONITORING = "an object with the arguments of a monitoring";

const { dashboard, ...watchedLater } = watchedFields;

/** What is known of a monitoring in the end. */
export const monitoringArgument = object(MONITORING, watchedLater);

/** What is known of it when it is constructed. */
export const monitoringNow = object(MONITORING, {
  ...locationFieldsNow,
  ...orLaterFields(watchedLater),
  // Each is a resource, whose number is known from the start.
  notify: monitoringFields.notify,
  dashboard,
});

const repositoryArn = text({
  allowed: "the ARN of a repository on ECR",
  example: "arn:aws:ecr:us-east-1:111122223333:repository/triton",
  refuse: (given) =>
    /^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository\/\S+$/.test(given)
      ? undefined
      : "give arn of the repository",
});

const statement = object("an object with what a role may do", {
  sid: required(orLater(anything), "Name."),
  actions: required(orLater(anything), "What may be done."),
  resources: required(orLater(anything), "What it may be done to."),
  conditions: optional(orLater(anything), "When.", "always"),
});

const stepName = text({
  allowed: "a name of lower-case letters, digits and dashes",
  example: "metrics",
  refuse: (given) =>
    /^[a-z][a-z0-9-]*$/.test(given) && given !== "ready" ? undefined : "give a short name, not ready",
});

const step = object("an object with a step", {
  name: required(stepName, "Name."),
  script: required(orLater(anything), "Text of a script."),
  arguments: optional(orLater(anything), "Its arguments.", "none"),
});

/** What is known of a host on AWS when it is constructed. */
export const awsHostNow = object(
  HOST,
  {
    ...orLaterFields(fields),
    repositoryArn: optional(orLater(repositoryArn), "Repository to pull from.", "none"),
    policyStatements: optional(
      list(statement, { allowed: "a list of statements" }),
      "What else its role may do.",
      "nothing",
    ),
    setUp: optional(list(step, { allowed: "a list of steps" }), "What else is set up on it.", "nothing"),
  },
  (_, at, raw) => {
    checkAwsHost(raw, at);
  },
);
