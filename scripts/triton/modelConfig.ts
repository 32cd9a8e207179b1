import { isDeepStrictEqual } from "node:util";

import { modelPriority } from "../../components/models/config/tritonFields";

/** A model's configuration as Triton's HTTP API has it, with all that it does not change. */
export interface ModelConfig {
  readonly name: string;
  readonly max_batch_size?: number;
  readonly optimization?: Readonly<Record<string, unknown>> & { readonly priority?: string };
  readonly parameters?: Readonly<Record<string, { readonly string_value: string } | undefined>>;
}

/** Parameter that the scheduler takes a model's priority from. */
const PRIORITY_PARAMETER = "xsched_priority";

/** The two priorities that a configuration holds. */
export interface ConfiguredPriority {
  /** `optimization.priority`, which the CUDA priority of the model's streams follows; the default if undefined. */
  readonly cuda: string | undefined;
  /** `parameters.xsched_priority`, which the scheduler follows. */
  readonly xsched: number | undefined;
}

export function configuredPriority({ optimization, parameters }: ModelConfig): ConfiguredPriority {
  const text = parameters?.[PRIORITY_PARAMETER]?.string_value;
  const xsched = text === undefined || text.trim() === "" ? NaN : Number(text);
  return { cuda: optimization?.priority, xsched: Number.isInteger(xsched) ? xsched : undefined };
}

/** The configuration with other priorities and nothing else changed. */
export function withPriorities(config: ModelConfig, cuda: string, xsched: number): ModelConfig {
  return {
    ...config,
    optimization: { ...config.optimization, priority: cuda },
    parameters: { ...config.parameters, [PRIORITY_PARAMETER]: { string_value: String(xsched) } },
  };
}

/** The configuration that the stack would render for a priority. */
export function withPriority(config: ModelConfig, priority: number): ModelConfig {
  return withPriorities(config, modelPriority(priority).name, priority);
}

/** Whether both say the same. Triton leaves out a priority that is the default, or does not. */
export function sameConfig(one: ModelConfig, other: ModelConfig): boolean {
  return isDeepStrictEqual(normal(one), normal(other));
}

/** Whether they are the same but for the priorities. */
export function sameButPriority(one: ModelConfig, other: ModelConfig): boolean {
  return sameConfig(withPriority(one, 0), withPriority(other, 0));
}

function normal(config: ModelConfig): ModelConfig {
  const { priority = "PRIORITY_DEFAULT", ...rest } = config.optimization ?? {};
  return { ...config, optimization: { ...rest, priority } };
}
