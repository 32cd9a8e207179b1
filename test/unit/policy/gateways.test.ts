import assert from "node:assert/strict";

import { plainTritonGateways } from "../../../policy/network";
import type { Resource } from "../../../policy/resource";
import { record } from "../aws/mocks";
import { inPreview, LATER } from "./preview";
import { brief, type Case, defineCases, resource } from "./resources";

const gateway = (props: object): Resource => resource("xsched-triton:index:Gateway", props);

const cases: readonly Case[] = [
  ["one without TLS on all addresses", gateway({ address: "0.0.0.0", tls: "off" }), ['tls: "off"']],
  ["one without TLS on all addresses of IPv6", gateway({ address: "::", tls: "off" }), ['tls: "off"']],
  ["one without TLS on a public address", gateway({ address: "203.0.113.7", tls: "off" }), ['tls: "off"']],
  ["one without TLS on a name", gateway({ address: "gpu.example.com", tls: "off" }), ['tls: "off"']],
  ["one with a certificate", gateway({ address: "0.0.0.0", tls: "certificate" }), []],
  ["one with a certificate of the host's own", gateway({ address: "0.0.0.0", tls: "selfSigned" }), []],
  ["one without TLS on a private address", gateway({ address: "10.0.0.7", tls: "off" }), []],
  ["one without TLS on a private address of IPv6", gateway({ address: "fd00::7", tls: "off" }), []],
  ["one without TLS that only the host reaches", gateway({ address: "127.0.0.1", tls: "off" }), []],
  ["another component", resource("other:index:Gateway", { address: "0.0.0.0", tls: "off" }), []],
];

describe("the policy of gateways", () => {
  defineCases((given) => plainTritonGateways(given, []), cases);

  it("accepts a gateway that the pack's config names, and no other", () => {
    const plain = gateway({ address: "0.0.0.0", tls: "off" });
    assert.deepEqual(brief(plainTritonGateways(plain, ["r"])), []);
    assert.deepEqual(brief(plainTritonGateways(plain, ["another"])), ['tls: "off"']);
  });

  it("leaves out what a preview does not know yet", () => {
    const seen = (props: object) => plainTritonGateways(gateway(inPreview(props)), []);
    assert.deepEqual(seen({ address: LATER, tls: "off" }), []);
    assert.deepEqual(brief(seen({ address: "0.0.0.0", tls: "off" })), ['tls: "off"']);
  });

  it("sees what the component says of itself", async () => {
    const seen = async (tls: "off" | "selfSigned"): Promise<string[]> => {
      const { resources } = await record(
        false,
        () => ({ stdout: "xsched-triton-result {}" }),
        async () => {
          const { Gateway } = await import("../../../components");
          new Gateway("r", { directory: "/srv", address: "0.0.0.0", tls });
        },
      );
      return resources.flatMap(({ type, inputs }) => brief(plainTritonGateways(resource(type, inputs), [])));
    };
    assert.deepEqual(await seen("off"), ['tls: "off"']);
    assert.deepEqual(await seen("selfSigned"), []);
  });
});
