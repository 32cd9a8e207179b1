import type { Fault } from "../../components/settings";
import type { Resource } from "../resource";
import { launchesOf } from "./launch";

/** Instances that get a public address as they are launched. */
export function publicAddress(resource: Resource): readonly Fault[] {
  return launchesOf(resource)
    .flatMap((launch) => launch.publicAddress)
    .filter((address) => address.isTrue)
    .map((address) =>
      address.fault(
        "false: an address of the internet is a decision for one instance, and a resource (Eip) of its own",
        "remove it, and reach the instance at its private address, through a gateway, or give it an Eip",
      ),
    );
}
