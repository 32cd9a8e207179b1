import { type Fault, GPU_FAMILIES, isGpuType, otherAccelerator } from "../../components/settings";
import type { Property } from "../property";
import type { Resource } from "../resource";
import { launchesOf } from "./launch";

/** Instances without a GPU that any release of Triton supports. */
export function supportedGpu(resource: Resource): readonly Fault[] {
  return [...launchesOf(resource).map(({ instanceType }) => instanceType), ...overridesOf(resource)]
    .filter(({ text }) => text !== "" && !isGpuType(text))
    .map((instanceType) =>
      instanceType.fault(
        `sizes of ${Object.keys(GPU_FAMILIES).join(", ")}`,
        "choose one of them, for example g5.xlarge",
        `${instanceType.text} ${otherAccelerator(instanceType.text) ?? "has no NVIDIA GPU that Triton supports"}`,
      ),
    );
}

/** Types that a fleet or a scaling group may launch in place of its template's. */
function overridesOf({ type, props }: Resource): readonly Property[] {
  switch (type) {
    case "aws:ec2/fleet:Fleet":
    case "aws:ec2/spotFleetRequest:SpotFleetRequest":
      return props.field("launchTemplateConfigs").items.flatMap(instanceTypes);
    case "aws:autoscaling/group:Group":
      return props.field("mixedInstancesPolicy").field("launchTemplate").items.flatMap(instanceTypes);
    default:
      return [];
  }
}

function instanceTypes(template: Property): readonly Property[] {
  return template.field("overrides").items.map((override) => override.field("instanceType"));
}
