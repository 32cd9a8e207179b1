import * as ipaddr from "ipaddr.js";

import { addressRange } from "./addressRange";
import { networkEgress } from "./allowedValues";
import { ecrLocation } from "./ecrLocation";
import { Place } from "./place";
import { defaulted, isDeferred, itemsOf, keyOf, mapped, plain, type Rule, variants } from "./rules";

/** Fixed bits of a network's range: at most those that AWS takes, at least so many that each zone has its subnet. */
const BITS = { fewest: 16, most: 22 } as const;

/** The network of Docker's containers on an instance: it would take answers that are for others. */
const DOCKER = "172.17.0.0/16";

const NETWORK_RANGE = `a private range of IPv4 addresses with ${BITS.fewest} to ${BITS.most} fixed bits, apart from Docker's ${DOCKER}`;

const networkRange: Rule<string> = {
  ...mapped(addressRange, (range, at) => {
    const fix = faultOfRange(range);
    return fix === undefined ? range : at.fault(range, NETWORK_RANGE, fix);
  }),
  allowed: NETWORK_RANGE,
  example: "10.90.0.0/16",
};

function faultOfRange(range: string): string | undefined {
  const [address, bits] = ipaddr.parseCIDR(range);
  if (address.kind() === "ipv6") {
    return "give a range of IPv4; the network has one of IPv6 from AWS besides";
  }
  if (address.range() !== "private") return "give a range within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16";
  if (bits < BITS.fewest || bits > BITS.most) return `give ${BITS.fewest} to ${BITS.most} bits after the /`;
  return ipaddr.parse("172.17.0.0").match(address, bits) || address.match(ipaddr.parseCIDR(DOCKER))
    ? "give another range, for example 10.90.0.0/16"
    : undefined;
}

/** The network of an instance. Its kind and its range decide which resources there are. */
export const awsNetwork = variants({
  name: "AwsNetwork",
  description: "The network that an instance is in.",
  allowed: "an object with the kind of network and what that kind needs",
  variants: {
    existing: { description: "one that exists: that of `subnetId`, or the default VPC", fields: {} },
    own: {
      description:
        "one that the stack creates, with a private subnet in each of `zones`; needs `access: sessionManager`",
      fields: {
        egress: plain(
          defaulted(
            networkEgress,
            "natGateway",
            "How the instance reaches what it downloads and where it reports. With `endpoints`, everything must come from AWS's services in the stack's region: Triton's image from ECR, models from S3 or this machine. A change keeps the instance.",
            {
              example: "endpoints",
              // https://aws.amazon.com/vpc/pricing/ and https://aws.amazon.com/privatelink/pricing/
              cost: "list prices for us-east-1 in May 2026: a NAT gateway $0.045 an hour and $0.045 per GB, and its public address $0.005 an hour, about $37 a month; an endpoint $0.01 an hour and $0.01 per GB, about $7 a month, of which there are two for Session Manager, two more for an image on ECR, and two more for CloudWatch. S3's endpoint is free, in both cases",
            },
          ),
        ),
        cidr: plain(
          defaulted(
            networkRange,
            "10.90.0.0/16",
            "IPv4 addresses of the network, apart from those of networks that it is to be connected with. AWS adds a range of IPv6. A change replaces the network and the instance.",
          ),
        ),
      },
    },
  },
  usual: "existing",
});

/** Whether the instance is in a network that the stack creates. */
export function isOwnNetwork(raw: unknown): boolean {
  return keyOf(keyOf(raw, "network"), "kind") === "own";
}

/** Records what a network of its own makes impossible; looks at the raw value of the host. */
export function checkOwnNetwork(raw: unknown, at: Place): void {
  if (!isOwnNetwork(raw)) return;
  const refuse = (key: string, allowed: string, fix: string): void => {
    at.at(key).fault(keyOf(raw, key), allowed, fix);
  };
  if (keyOf(raw, "access") !== "sessionManager") {
    refuse(
      "access",
      "sessionManager with network.kind: own, whose instance has no address that this machine can reach",
      `set access to sessionManager${keyOf(raw, "adminCidrs") === undefined ? "" : " and remove adminCidrs"}, or remove network`,
    );
  }
  const address = keyOf(raw, "publicIp");
  if (address === "elastic" || address === "dynamic") {
    refuse("publicIp", "none with network.kind: own, whose subnets are private", "remove publicIp");
  }
  if (keyOf(raw, "subnetId") !== undefined) {
    refuse(
      "subnetId",
      "nothing with network.kind: own, which has subnets of its own",
      "remove subnetId, or remove network to use that subnet",
    );
  }
  if (keyOf(raw, "createS3Endpoint") === true) {
    refuse(
      "createS3Endpoint",
      "false with network.kind: own, which has the endpoint anyway",
      "remove createS3Endpoint",
    );
  }
  checkZones(raw, at);
}

const ZONE = /^([a-z]{2}(?:-[a-z]+)+-[0-9])[a-z]$/;
/** In such a zone, there are neither NAT gateways nor endpoints everywhere. */
const LOCAL_ZONE = /^[a-z]{2}(?:-[a-z]+)+-[0-9]-[a-z]{3}-[0-9][a-z]$/;

function checkZones(raw: unknown, at: Place): void {
  const zones = zonesIn(raw, at);
  if (zones.length === 0) {
    at.at("zones").fault(
      undefined,
      "the zones that the network has a subnet in, the preferred one first",
      "add zones, for example [us-east-1a, us-east-1b]; those that have a type: aws ec2 describe-instance-type-offerings --location-type availability-zone --filters Name=instance-type,Values=g5.xlarge",
    );
  }
  for (const { zone, at: place } of zones) {
    if (isDeferred(zone)) {
      place.faultShown(
        "(an output)",
        "a zone that is known from the start, with network.kind: own",
        "give the zone's name itself",
      );
    } else if (typeof zone === "string" && LOCAL_ZONE.test(zone)) {
      place.fault(
        zone,
        "a zone of a region with network.kind: own, not a local zone",
        "choose another zone, or give subnetId instead of network",
      );
    }
  }
}

/** The zones of a host as it was given, with their places. */
function zonesIn(raw: unknown, at: Place): readonly { readonly zone: unknown; readonly at: Place }[] {
  const one = keyOf(raw, "zone");
  const several = itemsOf(keyOf(raw, "zones")).map((zone, index) => ({
    zone,
    at: at.at("zones").at(index),
  }));
  return one === undefined ? several : [{ zone: one, at: at.at("zone") }, ...several];
}

/**
 * Records what an instance could not download that reaches nothing but endpoints of AWS; looks at the raw values of the
 * stack config. What a machine image of the user's own contains need not be downloaded.
 *
 * @param gateway whether clients come through a gateway
 */
export function checkEgress(raw: unknown, gateway: boolean, at: Place): void {
  const [host, runtime] = ["host", "runtime"].map((key) => keyOf(raw, key));
  if (!isOwnNetwork(host) || keyOf(keyOf(host, "network"), "egress") !== "endpoints") return;
  const egress = at.at("host").at("network").at("egress");
  const ownImage = keyOf(host, "ami") !== undefined;
  const kind = keyOf(runtime, "kind");
  if ((kind === undefined || kind === "process") && !ownImage) {
    egress.fault(
      "endpoints",
      "natGateway with runtime process, whose Triton comes from PyPI",
      "set egress to natGateway, run Triton in a container whose image is on ECR, or set host.ami to an image that has Triton in the host's folder",
    );
  }
  if (gateway && !ownImage) {
    egress.fault(
      "endpoints",
      "natGateway with a gateway, whose HAProxy comes from Ubuntu's archive",
      "set egress to natGateway, or set host.ami to an image that has HAProxy",
    );
  }
  const region = regionOfZones(host);
  const place = at.at("runtime");
  if (kind === "container") {
    refuseElsewhere(keyOf(runtime, "image"), region, place.at("image"));
    refuseElsewhere(keyOf(keyOf(runtime, "build"), "repository"), region, place.at("build").at("repository"));
  }
  itemsOf(keyOf(raw, "models")).forEach((model, index) => {
    const engine = keyOf(model, "engine");
    if (engine === undefined || kind !== "container") return;
    const builder = at.at("models").at(index).at("engine").at("builder");
    refuseElsewhere(keyOf(engine, "builder") ?? "", region, builder);
  });
}

/** Refuses an image that is not on ECR in the stack's region. */
function refuseElsewhere(image: unknown, region: string | undefined, at: Place): void {
  if (typeof image !== "string") return;
  const found = ecrLocation(image);
  if (found !== undefined && (region === undefined || found.region === region)) return;
  at.fault(
    image === "" ? undefined : image,
    `an image on ECR${region === undefined ? "" : ` in ${region}`} with host.network.egress: endpoints, which leads to no other registry`,
    "push it to such a repository, or set host.network.egress to natGateway",
  );
}

/** The region of a host's zones. */
function regionOfZones(host: unknown): string | undefined {
  const [zone] = [keyOf(host, "zone"), ...itemsOf(keyOf(host, "zones"))].filter((each) => each !== undefined);
  return typeof zone === "string" ? ZONE.exec(zone)?.[1] : undefined;
}
