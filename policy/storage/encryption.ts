import type { Fault } from "../../components/settings";
import { launchesOf } from "../machines";
import type { Property } from "../property";
import type { Resource } from "../resource";

/** Unencrypted disks, images and secrets, and registries whose content can be swapped. */
export function encryption(resource: Resource): readonly Fault[] {
  const { type, props } = resource;
  switch (type) {
    case "aws:ebs/volume:Volume":
      return plainDisks([props.field("encrypted")]);
    case "aws:ecr/repository:Repository":
      return registryFaults(props);
    case "aws:ssm/parameter:Parameter":
      return parameterFaults(props);
    default:
      return plainDisks(launchesOf(resource).flatMap((launch) => launch.encrypted));
  }
}

function plainDisks(encrypted: readonly Property[]): readonly Fault[] {
  return encrypted
    .filter((each) => !each.isUnknown && !each.isTrue)
    .map((each) => each.fault("true: every disk is encrypted", "set it to true"));
}

function registryFaults(repository: Property): readonly Fault[] {
  const configured = repository.field("encryptionConfigurations");
  const mutability = repository.field("imageTagMutability");
  const scan = repository.field("imageScanningConfiguration").field("scanOnPush");
  return [
    ...(configured.isUnknown || configured.items.length > 0
      ? []
      : [configured.fault("how images are encrypted", 'set it to [{ encryptionType: "AES256" }]')]),
    ...(mutability.isUnknown || mutability.value === "IMMUTABLE"
      ? []
      : [
          mutability.fault("IMMUTABLE: otherwise a tag can be moved to another image", "set it to IMMUTABLE"),
        ]),
    ...(scan.isUnknown || scan.isTrue ? [] : [scan.fault("true: every image is scanned", "set it to true")]),
  ];
}

function parameterFaults(parameter: Property): readonly Fault[] {
  const [name, type] = [parameter.field("name"), parameter.field("type")];
  if (!/key|secret|password|token/i.test(name.text) || type.isUnknown || type.value === "SecureString")
    return [];
  return [type.fault(`SecureString, as ${name.text} is named like a secret`, "set it to SecureString")];
}
