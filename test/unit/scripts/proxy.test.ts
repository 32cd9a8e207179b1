import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

import { loadScript } from "../../scripts";

type Variables = Record<string, string | undefined>;
const { withoutProxy } = loadScript("proxy.mjs") as { withoutProxy: (environment: Variables) => Variables };

const OWN = "127.0.0.1,localhost,::1";

describe("proxy variables", () => {
  const cases: readonly (readonly [Variables, string])[] = [
    [{}, OWN],
    [{ no_proxy: "" }, OWN],
    [{ no_proxy: "localhost, 127.0.0.1" }, "localhost,127.0.0.1,::1"],
    [{ no_proxy: ".corp.example , 10.0.0.0/8", NO_PROXY: "other" }, `.corp.example,10.0.0.0/8,other,${OWN}`],
  ];
  for (const [given, expected] of cases) {
    it(`leave this machine out of ${JSON.stringify(given)}`, () => {
      assert.deepEqual(withoutProxy(given), { no_proxy: expected, NO_PROXY: expected });
    });
  }

  it("leave it out of gRPC's own list, where there is one", () => {
    assert.equal(withoutProxy({ no_grpc_proxy: "a, b" }).no_grpc_proxy, `a,b,${OWN}`);
    assert.equal("no_grpc_proxy" in withoutProxy({ no_grpc_proxy: undefined }), false);
  });

  it("let gRPC for Node.js reach this machine past a proxy that knows nothing of it", () => {
    const program = `
      const { Server, ServerCredentials, credentials, Client } = require("@grpc/grpc-js");
      const server = new Server();
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
        const client = new Client("127.0.0.1:" + port, credentials.createInsecure());
        client.waitForReady(Date.now() + Number(process.argv[1]), (failed) => {
          console.log(failed ? "unreachable" : "reached");
          client.close();
          server.forceShutdown();
        });
      });`;
    const reach = (environment: Variables, milliseconds: number): string =>
      execFileSync(process.execPath, ["-e", program, String(milliseconds)], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        env: { PATH: process.env.PATH, https_proxy: "http://127.0.0.1:9", ...environment },
      }).trim();
    const given = { no_proxy: "localhost, 127.0.0.1" };
    assert.equal(reach({ ...given, ...withoutProxy(given) }, 120_000), "reached");
    assert.equal(reach(given, 500), "unreachable");
  });
});
