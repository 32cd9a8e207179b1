import { isDeepStrictEqual } from "node:util";

import { modelPriority } from "../../components/models/config/tritonFields";

/** A model's configuration as Triton's HTTP API returns it, including the fields that we leave unchanged. */
export interface ModelConfig {
  readonly name: string;
  readonly max_batch_size?: number;
  readonly optimization?: Readonly<Record<string, unknown>> & { readonly priority?: string };
  /** Of an ensemble, the models that it is made of. */
  readonly ensemble_scheduling?: { readonly step?: readonly { readonly model_name: string }[] };
  readonly parameters?: Readonly<Record<string, { readonly string_value: string } | undefined>>;
}

/** The parameter that the scheduler reads a model's priority from. */
const PRIORITY_PARAMETER = "xsched_priority";

/** The two priorities in a configuration. */
export interface ConfiguredPriority {
  /** `optimization.priority`, which sets the CUDA priority of the model's streams; the default if undefined. */
  readonly cuda: string | undefined;
  /** `parameters.xsched_priority`, which the scheduler follows. */
  readonly xsched: number | undefined;
}

export function configuredPriority({ optimization, parameters }: ModelConfig): ConfiguredPriority {
  const text = parameters?.[PRIORITY_PARAMETER]?.string_value;
  const xsched = text === undefined || text.trim() === "" ? NaN : Number(text);
  return { cuda: optimization?.priority, xsched: Number.isInteger(xsched) ? xsched : undefined };
}

/** What the scheduler follows of a model, as far as it is known. */
export type Scheduling = Readonly<Partial<Record<"priority" | "floor" | "weight", number | null>>>;

/** Whether a configuration gives the scheduler other values than these. */
export function schedulesOtherwise({ parameters }: ModelConfig, values: Scheduling): boolean {
  return (["priority", "floor", "weight"] as const).some((key) => {
    const value = values[key] ?? undefined;
    return value !== undefined && Number(parameters?.[`xsched_${key}`]?.string_value ?? 0) !== value;
  });
}

/** The configuration with other priorities and no other change. */
export function withPriorities(config: ModelConfig, cuda: string, xsched: number): ModelConfig {
  return {
    ...config,
    optimization: { ...config.optimization, priority: cuda },
    parameters: { ...config.parameters, [PRIORITY_PARAMETER]: { string_value: String(xsched) } },
  };
}

/** The configuration that the stack would render with this priority. */
export function withPriority(config: ModelConfig, priority: number): ModelConfig {
  return withPriorities(config, modelPriority(priority).name, priority);
}

/** Whether both mean the same. Triton may or may not leave out a default priority. */
export function sameConfig(one: ModelConfig, other: ModelConfig): boolean {
  return isDeepStrictEqual(normal(one), normal(other));
}

/** Whether they are the same except for the priorities. */
export function sameButPriority(one: ModelConfig, other: ModelConfig): boolean {
  return sameConfig(withPriority(one, 0), withPriority(other, 0));
}

function normal(config: ModelConfig): ModelConfig {
  const { priority = "PRIORITY_DEFAULT", ...rest } = config.optimization ?? {};
  return { ...config, optimization: { ...rest, priority } };
}
