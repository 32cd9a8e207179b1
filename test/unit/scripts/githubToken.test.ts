import assert from "node:assert/strict";

import { loadScript } from "../../scripts";

interface Downloads {
  publishedDigest(repository: string, version: string, name: string): Promise<string>;
}
const { Downloads } = loadScript("toolchain/downloads.mjs") as {
  Downloads: new (cache: object, environment: NodeJS.ProcessEnv, log: (line: string) => void) => Downloads;
};

describe("the digests of the vendor's releases", () => {
  const { fetch } = globalThis;
  let given: { url: string; authorization: string | null } | undefined;
  let answer: () => Response;

  beforeEach(() => {
    given = undefined;
    answer = () => Response.json({ assets: [{ name: "archive", digest: `sha256:${"a".repeat(64)}` }] });
    globalThis.fetch = (url, options) => {
      assert.ok(typeof url === "string");
      given = { url, authorization: new Headers(options?.headers).get("authorization") };
      return Promise.resolve(answer());
    };
  });

  afterEach(() => {
    globalThis.fetch = fetch;
  });

  const ask = (environment: NodeJS.ProcessEnv): Promise<string> =>
    new Downloads({}, environment, () => undefined).publishedDigest("pulumi/pulumi", "3.259.0", "archive");

  for (const [environment, authorization] of [
    [{}, null],
    [{ GITHUB_TOKEN: "" }, null],
    [{ GITHUB_TOKEN: "one" }, "Bearer one"],
    [{ GH_TOKEN: "two", GITHUB_TOKEN: "one" }, "Bearer two"],
  ] as const) {
    it(`are asked of GitHub with ${authorization ?? "no token"} for ${JSON.stringify(environment)}`, async () => {
      assert.equal(await ask(environment), "a".repeat(64));
      const url = "https://api.github.com/repos/pulumi/pulumi/releases/tags/v3.259.0";
      assert.deepEqual(given, { url, authorization });
    });
  }

  it("are asked of a mirror without a token, which is not for it", async () => {
    await ask({ GITHUB_TOKEN: "one", XSCHED_TRITON_PULUMI_DIGESTS: "https://api.github.com.example/repos" });
    assert.equal(given?.authorization, null);
  });

  it("name the limit of an address that has asked too often", async () => {
    answer = () => new Response("{}", { status: 403, headers: { "x-ratelimit-remaining": "0" } });
    await assert.rejects(ask({}), /^Error: https:\/\/api\.github\.com answers .*; set GITHUB_TOKEN /);
    answer = () => new Response("{}", { status: 403 });
    await assert.rejects(ask({}), /HTTP 403$/);
  });
});
