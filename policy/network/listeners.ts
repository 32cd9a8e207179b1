import type { Fault } from "../../components/settings";
import type { Property } from "../property";
import { refersTo, type Resource, type StackFault, type StackResource } from "../resource";

/** Listeners and rules of application and network load balancers have a type of each name. */
const named = (name: string): ReadonlySet<string> =>
  new Set(
    ["lb", "alb", "applicationloadbalancing"].map(
      (module) => `aws:${module}/${name.charAt(0).toLowerCase()}${name.slice(1)}:${name}`,
    ),
  );

const BALANCERS = named("LoadBalancer");
const LISTENERS = named("Listener");
const RULES = named("ListenerRule");

/** Protocols that carry TLS, or none that anyone could read. */
const PROTECTED: readonly string[] = ["HTTPS", "TLS", "SSL", "QUIC", "GENEVE"];

/** Protocols whose content a load balancer does not see. */
const PASSED_THROUGH: readonly string[] = ["TCP", "UDP", "TCP_UDP", "TCP_QUIC"];

const FIX = "set protocol to HTTPS (or TLS) and certificateArn, or internal of the load balancer to true";

/**
 * Load balancers that clients on the internet can reach without TLS.
 *
 * @param passThrough ports on which the target ends TLS itself
 */
export function plainListeners(
  resources: readonly StackResource[],
  passThrough: readonly number[],
): readonly StackFault[] {
  const of = (types: ReadonlySet<string>): StackResource[] => resources.filter(({ type }) => types.has(type));
  const balancers = of(BALANCERS);
  return of(LISTENERS).flatMap((listener) => {
    const balancer = balancers.find((each) => refersTo(listener, "loadBalancerArn", each, "arn"));
    if (balancer !== undefined && isPrivate(balancer.props)) return [];
    const { props, urn } = listener;
    const fault = plainProtocol(props.field("protocol"), props.field("port"), passThrough);
    if (fault === undefined) return [];
    const isHttp = !PASSED_THROUGH.includes(props.field("protocol").text.toUpperCase());
    if (!isHttp) return [{ urn, fault }];
    const rules = of(RULES).filter((rule) => refersTo(rule, "listenerArn", listener, "arn"));
    return [
      ...answers(props.field("defaultActions")).map(() => ({ urn, fault })),
      ...rules.flatMap((rule) =>
        answers(rule.props.field("actions")).map((type) => ({
          urn: rule.urn,
          fault: type.fault("redirects to HTTPS, as its listener has no TLS", FIX),
        })),
      ),
    ];
  });
}

/** Whether only a private network can reach it. What is not set is public, and in a preview the same as unknown. */
function isPrivate(balancer: Property): boolean {
  // A gateway load balancer has no address of its own.
  return balancer.field("internal").isTrue || balancer.field("loadBalancerType").text === "gateway";
}

function plainProtocol(
  protocol: Property,
  port: Property,
  passThrough: readonly number[],
): Fault | undefined {
  if (protocol.isUnknown || port.isUnknown) return undefined;
  const name = protocol.text.toUpperCase();
  if (PROTECTED.includes(name)) return undefined;
  const shown = `${name === "" ? "(not set, so HTTP)" : name} on port ${String(port.value)}, reachable from the internet`;
  if (!PASSED_THROUGH.includes(name)) return protocol.fault("HTTPS, or only redirects to it", FIX, shown);
  if (typeof port.value === "number" && passThrough.includes(port.value)) return undefined;
  return protocol.fault(
    `TLS, or a port on which the target ends TLS itself: ${passThrough.join(", ")}`,
    `${FIX}, or put the port into passThroughPorts of the policy in the pack's config`,
    shown,
  );
}

/** Types of those actions that answer a request with more than a redirect to HTTPS. */
function answers(actions: Property): readonly Property[] {
  return actions.items
    .filter((action) => {
      const [type, redirect] = [action.field("type"), action.field("redirect")];
      const secure = redirect.field("protocol");
      const harmless =
        type.text === "redirect" && (secure.isUnknown || secure.text.toUpperCase() === "HTTPS");
      return !type.isUnknown && !harmless && type.text !== "fixed-response";
    })
    .map((action) => action.field("type"));
}

/** Gateways that say themselves whether they answer without TLS. */
export function plainGateways({ type, props }: Resource, passThrough: readonly number[]): readonly Fault[] {
  switch (type) {
    case "aws:elb/loadBalancer:LoadBalancer":
      return isPrivate(props)
        ? []
        : props.field("listeners").items.flatMap((listener) => {
            const [protocol, port] = [listener.field("lbProtocol"), listener.field("lbPort")];
            return plainProtocol(protocol, port, passThrough) ?? [];
          });
    case "aws:cloudfront/distribution:Distribution":
      return [props.field("defaultCacheBehavior"), ...props.field("orderedCacheBehaviors").items]
        .map((behavior) => behavior.field("viewerProtocolPolicy"))
        .filter(({ text }) => text === "allow-all")
        .map((policy) => policy.fault("https-only, redirect-to-https", "set it to redirect-to-https"));
    default:
      return [];
  }
}
