import assert from "node:assert/strict";

import { plainGateways, plainListeners } from "../../../policy/network";
import type { StackResource } from "../../../policy/resource";
import { inPreview, LATER } from "./preview";
import { defineCases, resource, stackResource } from "./resources";

const FORWARD = [{ type: "forward", targetGroupArn: "arn:targets" }];
const TO_HTTPS = [{ type: "redirect", redirect: { protocol: "HTTPS", statusCode: "HTTP_301" } }];

const balancer = (props: object = {}): StackResource =>
  stackResource("aws:lb/loadBalancer:LoadBalancer", "front", { arn: "arn:front", ...props });

const listener = (props: object, module = "lb"): StackResource =>
  stackResource(`aws:${module}/listener:Listener`, "listener", {
    ...{ arn: "arn:listener", loadBalancerArn: "arn:front", port: 80, defaultActions: FORWARD },
    ...props,
  });

const rule = (actions: object[]): StackResource =>
  stackResource("aws:lb/listenerRule:ListenerRule", "rule", { listenerArn: "arn:listener", actions });

const cases: readonly (readonly [string, readonly StackResource[], readonly string[]])[] = [
  [
    "HTTP",
    [balancer(), listener({ protocol: "HTTP" })],
    ["listener: protocol: HTTP on port 80, reachable from the internet"],
  ],
  [
    "HTTP in lower case, from another module of the SDK",
    [balancer(), listener({ protocol: "http" }, "alb")],
    ["listener: protocol: HTTP on port 80, reachable from the internet"],
  ],
  [
    "no protocol, which AWS takes for HTTP",
    [balancer(), listener({})],
    ["listener: protocol: (not set, so HTTP) on port 80, reachable from the internet"],
  ],
  ["HTTPS", [balancer(), listener({ protocol: "HTTPS", port: 443, certificateArn: "arn:cert" })], []],
  ["HTTP in a private network", [balancer({ internal: true }), listener({ protocol: "HTTP" })], []],
  [
    "HTTP of a load balancer that is not of this stack",
    [listener({ protocol: "HTTP", loadBalancerArn: "arn:another" }), balancer({ internal: true })],
    ["listener: protocol: HTTP on port 80, reachable from the internet"],
  ],
  ["a redirect to HTTPS", [balancer(), listener({ protocol: "HTTP", defaultActions: TO_HTTPS })], []],
  [
    "a redirect that keeps HTTP",
    [
      balancer(),
      listener({
        protocol: "HTTP",
        defaultActions: [{ type: "redirect", redirect: { protocol: "#{protocol}", host: "example.com" } }],
      }),
    ],
    ["listener: protocol: HTTP on port 80, reachable from the internet"],
  ],
  [
    "a rule that forwards behind a redirect",
    [balancer(), listener({ protocol: "HTTP", defaultActions: TO_HTTPS }), rule(FORWARD)],
    ['rule: actions[0].type: "forward"'],
  ],
  [
    "a rule that redirects, too",
    [balancer(), listener({ protocol: "HTTP", defaultActions: TO_HTTPS }), rule(TO_HTTPS)],
    [],
  ],
  [
    "Triton's port over TCP",
    [balancer({ loadBalancerType: "network" }), listener({ protocol: "TCP", port: 8000 })],
    ["listener: protocol: TCP on port 8000, reachable from the internet"],
  ],
  [
    "a port on which the target ends TLS",
    [balancer({ loadBalancerType: "network" }), listener({ protocol: "TCP", port: 443 })],
    [],
  ],
  [
    "TLS of a network load balancer",
    [balancer({ loadBalancerType: "network" }), listener({ protocol: "TLS", port: 8001 })],
    [],
  ],
];

const found = (resources: readonly StackResource[], passThrough = [443]): string[] =>
  plainListeners(resources, passThrough).map(({ urn, fault }) => `${urn}: ${fault.path}: ${fault.value}`);

describe("tls-only", () => {
  for (const [what, resources, faults] of cases) {
    it(`${faults.length === 0 ? "accepts" : "refuses"} ${what}`, () => {
      assert.deepEqual(found(resources), faults);
    });
  }

  it("lets other ports pass TLS through if its config says so", () => {
    const passing = [balancer(), listener({ protocol: "TCP", port: 8443 })];
    assert.equal(found(passing).length, 1);
    assert.deepEqual(found(passing, [8443]), []);
  });

  it("finds the load balancer of a listener in a preview, when neither has an ARN", () => {
    const parts = (internal: unknown): StackResource[] => [
      stackResource("aws:lb/loadBalancer:LoadBalancer", "front", inPreview({ arn: LATER, internal })),
      stackResource(
        "aws:lb/listener:Listener",
        "listener",
        inPreview({
          ...{ arn: LATER, loadBalancerArn: LATER, port: 80, protocol: "HTTP" },
          defaultActions: [{ type: "forward", targetGroupArn: LATER }],
        }),
        { loadBalancerArn: "front" },
      ),
    ];
    assert.deepEqual(found(parts(true)), []);
    // The provider fills in what is not set.
    assert.equal(found(parts(LATER)).length, 1);
  });

  it("does not judge a protocol that a preview does not know yet", () => {
    const props = { loadBalancerArn: "arn:front", port: 80, protocol: LATER };
    const seen = stackResource("aws:lb/listener:Listener", "listener", inPreview(props));
    assert.deepEqual(found([balancer(), seen]), []);
  });

  defineCases(
    (given) => plainGateways(given, [443]),
    [
      [
        "a classic load balancer with HTTP",
        resource("aws:elb/loadBalancer:LoadBalancer", {
          listeners: [
            { lbPort: 443, lbProtocol: "https" },
            { lbPort: 80, lbProtocol: "http" },
          ],
        }),
        ["listeners[1].lbProtocol: HTTP on port 80, reachable from the internet"],
      ],
      [
        "one in a private network",
        resource("aws:elb/loadBalancer:LoadBalancer", {
          internal: true,
          listeners: [{ lbPort: 80, lbProtocol: "http" }],
        }),
        [],
      ],
      [
        "a distribution that answers HTTP below one path",
        resource("aws:cloudfront/distribution:Distribution", {
          defaultCacheBehavior: { viewerProtocolPolicy: "redirect-to-https" },
          orderedCacheBehaviors: [{ viewerProtocolPolicy: "allow-all" }],
        }),
        ['orderedCacheBehaviors[0].viewerProtocolPolicy: "allow-all"'],
      ],
      [
        "a distribution that answers HTTPS only",
        resource("aws:cloudfront/distribution:Distribution", {
          defaultCacheBehavior: { viewerProtocolPolicy: "https-only" },
        }),
        [],
      ],
    ],
  );
});
