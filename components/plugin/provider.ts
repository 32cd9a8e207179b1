import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

/** What the plugin needs of its schema. */
interface Schema {
  readonly version: string;
  readonly resources: Readonly<Record<string, { readonly properties: object }>>;
}

/**
 * The components as a provider. The SDK's own host for components would analyse all sources at each start; here the
 * schema is generated once (`npm run generate`).
 */
class Provider implements pulumi.provider.Provider {
  public readonly version: string;
  private readonly described: Schema;

  /** @param text of the schema */
  public constructor(private readonly text: string) {
    this.described = JSON.parse(text) as Schema;
    this.version = this.described.version;
  }

  public getSchema(): Promise<string> {
    return Promise.resolve(this.text);
  }

  public async construct(
    name: string,
    token: string,
    inputs: pulumi.Inputs,
    options: pulumi.ComponentResourceOptions,
  ): Promise<pulumi.provider.ConstructResult> {
    // A request for the schema alone does not load the components.
    const { COMPONENTS } = await import("./components");
    const found = COMPONENTS.find((each) => token === `xsched-triton:index:${each.name}`);
    const properties = this.described.resources[token]?.properties;
    if (found === undefined || properties === undefined) {
      throw new Error(`${token} is not a component of this package`);
    }
    // The component itself checks what another language passes.
    const instance = new found(name, inputs, options);
    const state = Object.fromEntries(
      Object.keys(properties).map((key) => [key, (instance as unknown as pulumi.Inputs)[key] as unknown]),
    );
    return { urn: instance.urn, state };
  }
}

/** @param words arguments of the plugin, as the engine passes them */
export function serve(words: string[]): void {
  const text = fs.readFileSync(path.join(__dirname, "../schema.json"), "utf8");
  void pulumi.provider.main(new Provider(text), words);
}
