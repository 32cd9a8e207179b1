import type { Property } from "../property";
import type { Resource } from "../resource";

/** What a resource says about instances that it, or AWS for it, launches. Each property has the path to report. */
export interface Launch {
  /** Undefined where the resource has no such property. */
  readonly metadataOptions: Property | undefined;
  /** For each disk, whether it is encrypted. */
  readonly encrypted: readonly Property[];
  /** For each network interface, whether it gets a public address. */
  readonly publicAddress: readonly Property[];
  /** Type of the instances. */
  readonly instanceType: Property;
  /** User data, as text or in Base64. */
  readonly userData: readonly Property[];
}

/** The launches of an instance, a request for spot capacity, a template or a configuration; none of anything else. */
export function launchesOf({ type, props }: Resource): readonly Launch[] {
  switch (type) {
    case "aws:ec2/instance:Instance":
    case "aws:ec2/spotInstanceRequest:SpotInstanceRequest":
    case "aws:ec2/launchConfiguration:LaunchConfiguration":
      return [
        {
          ...common(props),
          metadataOptions: props.field("metadataOptions"),
          encrypted: disks(props, "rootBlockDevice"),
          publicAddress: [props.field("associatePublicIpAddress")],
        },
      ];
    case "aws:ec2/launchTemplate:LaunchTemplate":
      return [
        {
          ...common(props),
          metadataOptions: props.field("metadataOptions"),
          encrypted: mappedDisks(props.field("blockDeviceMappings")),
          publicAddress: props
            .field("networkInterfaces")
            .items.map((each) => each.field("associatePublicIpAddress")),
        },
      ];
    case "aws:ec2/spotFleetRequest:SpotFleetRequest":
      return props.field("launchSpecifications").items.map((launch) => ({
        ...common(launch),
        metadataOptions: undefined,
        encrypted: disks(launch, "rootBlockDevices"),
        publicAddress: [launch.field("associatePublicIpAddress")],
      }));
    default:
      return [];
  }
}

function common(launch: Property): Pick<Launch, "instanceType" | "userData"> {
  return {
    instanceType: launch.field("instanceType"),
    userData: [launch.field("userData"), launch.field("userDataBase64")],
  };
}

/** A root disk that is not described is as the machine image has it. */
function disks(launch: Property, root: string): readonly Property[] {
  const described = launch.field(root);
  return [
    ...(described.items.length > 0 ? described.items : [described]),
    ...launch.field("ebsBlockDevices").items,
  ].map((device) => device.field("encrypted"));
}

/** Those of a launch template, among them the root disk; what is no disk of EBS is left out. */
function mappedDisks(mappings: Property): readonly Property[] {
  if (mappings.items.length === 0) return [mappings.field("ebs").field("encrypted")];
  return mappings.items
    .filter((mapping) => !mapping.field("virtualName").isSet && !mapping.field("noDevice").isSet)
    .map((mapping) => mapping.field("ebs").field("encrypted"));
}
