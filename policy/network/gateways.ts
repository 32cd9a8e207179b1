import { type Fault, isPrivateAddress } from "../../components/settings";
import type { Resource } from "../resource";

/**
 * A `Gateway` of this project whose clients have no TLS on an address that the internet may lead to.
 *
 * @param behindTls names of gateways before which a load balancer ends TLS
 */
export function plainTritonGateways(
  { type, name, props }: Resource,
  behindTls: readonly string[],
): readonly Fault[] {
  if (type !== "xsched-triton:index:Gateway" || behindTls.includes(name)) return [];
  const [tls, address] = [props.field("tls"), props.field("address")];
  if (tls.text !== "off" || !address.isSet || isPrivateAddress(address.text)) return [];
  return [
    tls.fault(
      `selfSigned or certificate, as ${address.text} may be reached from the internet`,
      "set gateway.tls, or give a private address; where a load balancer ends TLS, put the gateway's name into gatewaysBehindTls of tls-only in the pack's config",
    ),
  ];
}
