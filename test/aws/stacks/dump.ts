import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";

import { readSettings, type Settings, SettingsError, thisMachine } from "../../../components/settings";
import { answer, answerCall, placeOf } from "./answers";
import { withModelsInS3 } from "./modelBucket";
import { ACCOUNT, CASES, INSTANCE_TYPES, ofType, type StackCase, SUBNET } from "./table";

/*
 * What a stack asks of AWS, without an engine: the program runs on mocks.
 */

const ROOT = path.resolve(__dirname, "../../..");

/** The key that marks a secret on its way to the engine. */
const SECRET = "4dabf18193072939515e22adb298388d";

interface Resource {
  readonly type: string;
  readonly name: string;
  readonly inputs: unknown;
  readonly id: string;
  readonly outputs: unknown;
}

interface Call {
  readonly token: string;
  readonly inputs: unknown;
  readonly outputs: unknown;
}

/** What one stack has asked for, in order. */
export interface StackDump {
  readonly title: string;
  readonly stack: string;
  readonly region: string;
  readonly partition: string;
  readonly defaultVpc: boolean;
  readonly resources: readonly Resource[];
  readonly calls: readonly Call[];
}

export interface Dump {
  readonly account: string;
  readonly subnet: string;
  readonly instanceTypes: readonly string[];
  readonly stacks: readonly StackDump[];
}

/** Without the marks of secrets and assets. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof pulumi.asset.Asset) return { asset: true };
  if (SECRET in value) return plain((value as { value?: unknown }).value);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}

/** A folder with a model in ONNX, which nobody reads. */
function onnxModel(folder: string): object {
  fs.mkdirSync(path.join(folder, "bert/1"), { recursive: true });
  fs.writeFileSync(path.join(folder, "bert/1/model.onnx"), "onnx");
  return { name: "bert", source: path.join(folder, "bert") };
}

function settingsOf(
  { base, stack = base, settings = {}, everyModel, models, onnx = false }: StackCase,
  folder: string,
): Settings {
  const text = fs.readFileSync(path.join(ROOT, `Pulumi.${base}.yaml`), "utf8");
  const { config } = parse(text) as { config: Record<string, object> };
  const prefix = "xsched-triton:";
  const own = Object.entries(config)
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => [key.slice(prefix.length), value] as const);
  const raw: Record<string, unknown> = Object.fromEntries(own);
  for (const [key, value] of Object.entries(settings)) {
    const merged = { ...(raw[key] as object | undefined), ...value };
    raw[key] = Object.fromEntries(Object.entries(merged).filter(([, each]) => each !== undefined));
  }
  const host = raw.host as { access?: string };
  if (host.access !== "sessionManager") raw.host = { adminCidrs: ["203.0.113.7/32"], ...host };
  if (models !== undefined) raw.models = models;
  if (onnx) raw.models = [onnxModel(folder)];
  if (everyModel !== undefined)
    raw.models = (raw.models as object[]).map((model) => ({ ...model, ...everyModel }));
  return readSettings(raw, {
    origin: "config",
    stack,
    projectDirectory: ROOT,
    secretKeys: new Set(),
    files: thisMachine,
    inform: () => undefined,
  });
}

function typeOf({ host }: Settings): string {
  if (host.kind !== "aws" || host.instanceType === undefined) throw new Error("prod has lost its instance");
  return host.instanceType;
}

/** @returns undefined if the settings refuse it, as they should */
async function dumpStack(one: StackCase, folder: string): Promise<StackDump | undefined> {
  const { title, base, stack = base, region = "us-east-1", refused, defaultVpc = true } = one;
  let settings: Settings;
  try {
    settings = settingsOf(one, folder);
  } catch (error) {
    if (error instanceof SettingsError && refused?.test(error.message) === true) return undefined;
    throw error;
  }
  if (refused !== undefined) throw new Error(`${title}: the settings do not refuse it`);
  const place = placeOf(region);
  const resources: Resource[] = [];
  const calls: Call[] = [];
  const faults: unknown[] = [];
  /** What fails in a mock would be said to Pulumi's log alone. */
  const orFault = <T>(made: () => T): T => {
    try {
      return made();
    } catch (error) {
      faults.push(error);
      throw error;
    }
  };
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs, custom }) =>
        orFault(() => {
          const given = plain(inputs) as Record<string, unknown>;
          const { id, outputs } = answer(type, name, given, place);
          if (custom !== false) resources.push({ type, name, inputs: given, id, outputs });
          return { id, state: { ...given, ...outputs } };
        }),
      call: ({ token, inputs }) =>
        orFault(() => {
          const given = plain(inputs) as Record<string, unknown>;
          const outputs = answerCall(token, given, place);
          calls.push({ token, inputs: given, outputs });
          return outputs;
        }),
    },
    "xsched-triton",
    stack,
  );
  const { TritonStack } = await import("../../../components");
  new TritonStack("triton", settings);
  await pulumi.runtime.disconnect();
  if (faults.length > 0) throw faults[0];
  return { title, stack, region, partition: place.partition, defaultVpc, resources, calls };
}

/**
 * Dumps all cases, one after the other: Pulumi's SDK knows one program at a time.
 *
 * @param folder for models that the cases need
 */
export async function dump(folder: string): Promise<Dump> {
  const stacks: StackDump[] = [];
  await withModelsInS3(async () => {
    for (const one of CASES) {
      const made = await dumpStack(one, folder);
      if (made !== undefined) stacks.push(made);
    }
  });
  const instanceTypes = INSTANCE_TYPES.map((type) => typeOf(settingsOf(ofType(type), folder)));
  return { account: ACCOUNT, subnet: SUBNET, instanceTypes, stacks };
}
