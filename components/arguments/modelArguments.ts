import { HIGHEST_PRIORITY, LOWEST_PRIORITY } from "../settings/allowedValues";
import { engineFields, engineRule, refuseNoOnnx } from "../settings/engineSettings";
import { modelName, refuseRepeatedNames } from "../settings/modelSettings";
import { modelSource } from "../settings/modelSource";
import { BUCKET_NAME, refuseBucketName } from "../settings/s3Location";
import {
  defaulted,
  type Field,
  integer,
  list,
  object,
  optional,
  required,
  Rule,
  text,
} from "../settings/rules";
import { anything } from "./anything";
import { orLater, orLaterFields } from "./later";

const config = text({
  allowed: "the text of a config.pbtxt",
  example: '"max_batch_size: 8"',
  refuse: () => undefined,
});

const bucket = text({
  allowed: BUCKET_NAME,
  example: "my-bucket",
  refuse: refuseBucketName,
});

const plainFields = {
  name: required(modelName, "Name that clients use."),
  source: required(modelSource, "Folder with the model."),
};

const inputFields = {
  priority: defaulted(integer(LOWEST_PRIORITY, HIGHEST_PRIORITY, 0), 0, "How urgent its requests are."),
  config: optional(config, "Its configuration.", "the file in the folder"),
  bucket: optional(bucket, "Bucket that a folder's files go through.", "none"),
};

const engineField = <T>(rule: Rule<T>): Field<T | undefined> =>
  optional(rule, "How its engine is built.", "the folder has what is served");

/** How a model's engine is built. */
export const engineArgument = engineRule;

const MODEL = "an object that describes one model";

/** A model to store. */
export const modelArgument = object(MODEL, {
  ...plainFields,
  ...inputFields,
  engine: engineField(engineRule),
});

/** Models to store; their names and sources are known from the start. */
export const modelsNow = list(
  object(
    MODEL,
    {
      ...plainFields,
      ...orLaterFields(inputFields),
      engine: engineField(orLater(object(engineRule.allowed, orLaterFields(engineFields)))),
    },
    refuseNoOnnx,
  ),
  {
    allowed: "a list of models, no name twice",
    check: refuseRepeatedNames,
  },
);

/** Which stored state of a model is served. */
export const storedDigest = text({
  allowed: "digest of a model that a ModelRepository has stored: 16 hexadecimal digits",
  example: "0123456789abcdef",
  refuse: (given) => (/^[0-9a-f]{16}$/.test(given) ? undefined : "give models of the ModelRepository"),
});

const servedFields = {
  name: required(modelName, "Name of the model."),
  digest: required(orLater(storedDigest), "Which stored state of it is served."),
  // What else a StoredModel carries.
  priority: optional(anything, "Not used.", "not used"),
};

/** Models to serve; `models` of a `ModelRepository`. */
export const servedModelsNow = list(object("a model of a ModelRepository", servedFields), {
  allowed: "the list models of a ModelRepository, no name twice",
  check: refuseRepeatedNames,
});
