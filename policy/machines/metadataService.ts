import type { Fault } from "../../components/settings";
import type { Resource } from "../resource";
import { launchesOf } from "./launch";

/** Settings with which a process that can be tricked into a request leaks the instance's credentials. */
export function metadataService(resource: Resource): readonly Fault[] {
  return launchesOf(resource).flatMap(({ metadataOptions, instanceType }) => {
    if (metadataOptions === undefined) {
      const launch = instanceType.path.slice(0, instanceType.path.lastIndexOf("."));
      return [
        {
          path: launch,
          value: "instances whose metadata service answers without a token",
          allowed: "launch templates, as only they can require a token (IMDSv2)",
          fix: "replace launchSpecifications with launchTemplateConfigs",
        },
      ];
    }
    if (metadataOptions.field("httpEndpoint").text === "disabled") return [];
    const tokens = metadataOptions.field("httpTokens");
    const hops = metadataOptions.field("httpPutResponseHopLimit");
    return [
      ...(tokens.isUnknown || tokens.value === "required"
        ? []
        : [
            tokens.fault(
              "required (IMDSv2): otherwise the metadata service answers without a token",
              "set it to required",
            ),
          ]),
      ...(hops.isUnknown || hops.value === 1
        ? []
        : [hops.fault("1: with more, containers can reach the metadata service", "set it to 1")]),
    ];
  });
}
