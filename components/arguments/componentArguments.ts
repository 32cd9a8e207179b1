import { boolean, defaulted, object, required } from "../settings/rules";
import { hostFieldsNow, locationFieldsNow } from "./hostArguments";
import { orLaterFields } from "./later";
import { modelsNow, servedModelsNow } from "./modelArguments";
import { refuseServerClash, serverFieldsNow } from "./serverArguments";

/*
 * What each component takes, in the form that is checked when it is constructed. An input that is an output reads as
 * LATER there, and is checked by the rule of its own when it is known.
 */

/** @param remote whether the host is another machine */
export const hostNow = (remote: boolean) =>
  object("an object with the arguments of a host", hostFieldsNow(remote));

export const repositoryNow = object("an object with the arguments of a model repository", {
  ...locationFieldsNow,
  models: required(modelsNow, "The models."),
});

const serviceFields = {
  spot: defaulted(boolean, false, "Whether the host is a spot instance."),
  metrics: defaulted(boolean, false, "Whether the host serves metrics."),
};

const SERVICES = "an object that says what runs on the host";

export const servicesArgument = object(SERVICES, serviceFields);

export const servicesNow = object(SERVICES, { ...locationFieldsNow, ...orLaterFields(serviceFields) });

export const serverNow = object(
  "an object with the arguments of a server",
  {
    ...locationFieldsNow,
    ...serverFieldsNow,
    models: required(servedModelsNow, "The models to serve."),
  },
  refuseServerClash,
);

/** @param remote whether the host is another machine */
export const deploymentNow = (remote: boolean) =>
  object(
    "an object with the arguments of a deployment",
    {
      ...hostFieldsNow(remote),
      models: required(modelsNow, "The models."),
      ...serverFieldsNow,
    },
    refuseServerClash,
  );
