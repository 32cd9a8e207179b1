import { awsFields, checkAwsHost } from "../settings/awsHostSettings";
import { boolean, defaulted, integer, list, object, optional, required, text } from "../settings/rules";
import { keepImages } from "../settings/runtimeSettings";
import { anything } from "./anything";
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
