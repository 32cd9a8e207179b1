import { choice, defaulted, object, optional } from "../settings/rules";
import { image, refusePortClash, serverFields } from "../settings/schema";
import type { SchedulerRequirement } from "../settings/types";
import { orLaterFields } from "./later";

const SERVER = "an object with options of tritonserver";

const schedulerRequired = choice<SchedulerRequirement>({
  always: "always",
  onGpu: "when the host has a GPU",
  never: "never",
});

const optionFields = {
  ...serverFields,
  schedulerRequired: defaulted(
    schedulerRequired,
    "onGpu",
    "When Triton must refuse to serve because its models would run unscheduled.",
  ),
};

const imageFields = { image: optional(image, "Triton's image, by digest.", "a process without Docker") };

/** An image to run Triton from. */
export const imageArgument = image;

/** How Triton runs, without its image. */
export const serverArgument = object(SERVER, optionFields, refusePortClash);

/** How Triton runs, where an option may be an output. */
export const serverFieldsNow = { ...orLaterFields(optionFields), ...orLaterFields(imageFields) };
