import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { formatted, SCHEMA } from "../../../scripts/generate/main";
import { packageSchema } from "../../../scripts/generate/packageSchema";

const ROOT = path.resolve(__dirname, "../../..");

interface Property {
  readonly description?: string;
  readonly oneOf?: readonly unknown[];
}

interface ObjectType {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Property>>;
}

interface Schema {
  readonly name: string;
  readonly resources: Readonly<
    Record<
      string,
      ObjectType & {
        readonly inputProperties: Readonly<Record<string, Property>>;
        readonly requiredInputs?: readonly string[];
      }
    >
  >;
  readonly types: Readonly<
    Record<string, ObjectType & { readonly enum?: readonly { readonly value: string }[] }>
  >;
}

describe("the package as other languages see it", () => {
  let text: string;
  let schema: Schema;

  before(async function () {
    this.timeout(300_000);
    text = await formatted(SCHEMA, await packageSchema());
    schema = JSON.parse(text) as Schema;
  });

  it("has its schema in components/schema.json", () => {
    assert.equal(fs.readFileSync(path.join(ROOT, SCHEMA), "utf8"), text, "run npm run generate");
  });

  it("has each component, with what it requires", () => {
    const required = Object.entries(schema.resources).map(
      ([token, { requiredInputs = [] }]) => `${token}: ${[...requiredInputs].sort().join(", ")}`,
    );
    assert.deepEqual(required.sort(), [
      "xsched-triton:index:AwsGpuHost: ",
      "xsched-triton:index:AwsLoadBalancer: domainName, instanceId, region, securityGroupId, subnetIds, vpcId",
      "xsched-triton:index:AwsMonitoring: directory, instanceId, models, notify, region, roleName, ssh",
      "xsched-triton:index:EcrRepository: ",
      "xsched-triton:index:Gateway: address, directory",
      "xsched-triton:index:HostServices: directory",
      "xsched-triton:index:ModelBucket: ",
      "xsched-triton:index:ModelRepository: directory, models",
      "xsched-triton:index:TritonHost: ",
      "xsched-triton:index:TritonImage: ",
      "xsched-triton:index:TritonServer: directory, models",
      "xsched-triton:index:TritonStack: ",
    ]);
  });

  it("describes each component, input, output and property of a type", () => {
    const silent: string[] = [];
    const look = (place: string, properties: Readonly<Record<string, Property>> = {}): void => {
      for (const [name, { description }] of Object.entries(properties)) {
        if (!description) silent.push(`${place}.${name}`);
      }
    };
    for (const [token, resource] of Object.entries(schema.resources)) {
      if (!resource.description) silent.push(token);
      look(`${token} input`, resource.inputProperties);
      look(token, resource.properties);
    }
    for (const [token, { properties }] of Object.entries(schema.types)) look(token, properties);
    assert.deepEqual(silent, []);
  });

  it("accepts a priority as a number or by name", () => {
    const { priority } = schema.types["xsched-triton:index:ModelArgs"]?.properties ?? {};
    assert.deepEqual(priority?.oneOf, [{ type: "number" }, { type: "string" }]);
  });

  it("has the log levels as an enumeration", () => {
    const values = schema.types["xsched-triton:index:LogLevel"]?.enum?.map(({ value }) => value);
    assert.deepEqual(values, ["error", "warning", "info", "verbose"]);
  });
});
