import { boolean, choice, defaulted, keyOf, object, optional } from "../settings/rules";
import { drainSeconds, imageByDigest } from "../settings/runtimeSettings";
import { refusePortClash, serverFields } from "../settings/schema";
import type { SchedulerRequirement } from "../settings/types";
import type { Place } from "../settings/place";
import { loginNow } from "./imageArguments";
import { orLater, orLaterFields } from "./later";

const SERVER = "an object with options of tritonserver";

const schedulerRequired = choice<SchedulerRequirement>({
  always: "always",
  onGpu: "when the host has a GPU",
  never: "never",
});

const optionFields = {
  ...serverFields,
  drainSeconds,
  schedulerRequired: defaulted(
    schedulerRequired,
    "onGpu",
    "When Triton must refuse to serve because its models would run unscheduled.",
  ),
};

const imageFields = {
  image: optional(imageByDigest, "Triton's image, by digest.", "a process without Docker"),
};

/** How Triton runs, without its image. */
export const serverArgument = object(SERVER, optionFields, refusePortClash);

/** How Triton runs, where an option may be an output. */
export const serverFieldsNow = {
  ...orLaterFields(optionFields),
  ...orLaterFields(imageFields),
  registry: loginNow,
  registryByRole: optional(orLater(boolean), "Whether the host logs in by its role.", "false"),
};

/** Refuses what does not go together. */
export function refuseServerClash(
  server: Parameters<typeof refusePortClash>[0],
  at: Place,
  raw: unknown,
): void {
  refusePortClash(server, at);
  for (const key of ["registry", "registryByRole", "drainSeconds"]) {
    const given = keyOf(raw, key);
    if (given !== undefined && given !== 0 && keyOf(raw, "image") === undefined) {
      at.at(key).faultShown(
        "(given without an image)",
        "a container's option only with image",
        "add image, or take it out",
      );
    }
  }
  if (keyOf(raw, "registryByRole") === true && keyOf(raw, "registry") !== undefined) {
    at.at("registryByRole").fault(true, "registry or registryByRole, not both", "take one of the two out");
  }
}
