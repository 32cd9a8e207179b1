import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { UserError } from "../triton/userError";

/** The models' names in every repository that is measured. */
export const HIGH = "high";
export const MIDDLE = "middle";
export const LOW = "low";
type Name = typeof HIGH | typeof MIDDLE | typeof LOW;

/** Priorities of the models, as the parameter `xsched_priority` takes them. */
type Priorities = Readonly<Partial<Record<Name, number>>>;
const TWO: Priorities = { [HIGH]: 255, [LOW]: -255 };
const THREE: Priorities = { [HIGH]: 200, [MIDDLE]: 100, [LOW]: 10 };

/** Tokens per text, as in BERT-large for question answering. */
const SEQUENCE = 384;

interface Backend {
  /** The backend's folder. */
  readonly folder: string;
  /** What its models are made of. */
  readonly file: string;
  /** Inputs and outputs as `config.pbtxt` names them. */
  readonly inputs: readonly string[];
  readonly output: string;
  /** Writes one model's version folder; what is there already may be used. */
  readonly write: (folder: string, batch: number, python: string) => void;
}

const WRITERS = path.join(__dirname, "models");
const WRITE_BERT = path.join(__dirname, "../../examples/serving/write_bert.py");
const BERT_INPUTS = ["input_ids", "token_type_ids", "attention_mask"];

/** BERT-large in each of the backends that can be measured. */
export const BACKENDS = {
  tensorrt: {
    folder: "tensorrt",
    file: "model.plan",
    inputs: BERT_INPUTS,
    output: "logits",
    write: (folder, batch, python) => {
      run(python, WRITE_BERT, folder);
      run(python, path.join(WRITERS, "tensorrt_engine.py"), folder, String(batch));
    },
  },
  pytorch: {
    folder: "pytorch",
    file: "model.pt",
    inputs: ["INPUT__0"],
    output: "OUTPUT__0",
    write: (folder, _batch, python) => {
      run(python, path.join(WRITERS, "torch_bert.py"), folder);
    },
  },
  python: {
    folder: "python",
    file: "model.py",
    inputs: ["INPUT__0"],
    output: "OUTPUT__0",
    write: (folder) => {
      fs.copyFileSync(path.join(WRITERS, "python_model.py"), path.join(folder, "model.py"));
      fs.copyFileSync(path.join(WRITERS, "torch_bert.py"), path.join(folder, "torch_bert.py"));
    },
  },
} as const satisfies Readonly<Record<string, Backend>>;

export type BackendName = keyof typeof BACKENDS;

/**
 * Writes the repository of a case. Its models are built, or found as they were built before.
 *
 * @param batches texts in each request to the low model and to the others
 * @param withMiddle whether there is a third model between the two, all of positive priorities
 * @returns the repository's folder
 */
export function buildRepository(
  name: BackendName,
  models: string,
  batches: { readonly high: number; readonly low: number },
  withMiddle: boolean,
  python: string,
): string {
  const repository = path.join(
    models,
    `${name}-batch${batches.high}-${batches.low}${withMiddle ? "-three" : ""}`,
  );
  const backend: Backend = BACKENDS[name];
  for (const [model, priority] of Object.entries(withMiddle ? THREE : TWO)) {
    const batch = model === LOW ? batches.low : batches.high;
    const version = buildVersion(name, models, batch, python);
    const folder = path.join(repository, model);
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(path.join(folder, "1"), { recursive: true });
    for (const file of fs.readdirSync(version)) {
      fs.linkSync(path.join(version, file), path.join(folder, "1", file));
    }
    fs.writeFileSync(path.join(folder, "config.pbtxt"), configOf(model, priority, name, backend, batch));
  }
  return repository;
}

/**
 * Builds what a backend's models of a batch size are made of, or finds it as it was built before. Such models are the
 * same but for their configuration, and an engine takes minutes.
 *
 * @returns the folder
 */
function buildVersion(name: BackendName, models: string, batch: number, python: string): string {
  const version = path.join(models, `${name}-batch${batch}`);
  if (fs.existsSync(version)) return version;
  // Gets its name when it is whole, so that an interrupted build is made anew.
  const partial = `${version}.partial`;
  fs.rmSync(partial, { recursive: true, force: true });
  fs.mkdirSync(partial, { recursive: true });
  console.log(`Building BERT-large for the backend ${name}, ${batch} texts a request, in ${version} …`);
  BACKENDS[name].write(partial, batch, python);
  fs.renameSync(partial, version);
  return version;
}

function configOf(
  model: string,
  priority: number,
  name: BackendName,
  backend: Backend,
  batch: number,
): string {
  const tensor = (tensorName: string, type: string, ...dims: number[]): string =>
    `{ name: "${tensorName}" data_type: TYPE_${type} dims: [ ${dims.join(", ")} ] }`;
  return `name: "${model}"
backend: "${name}"
default_model_filename: "${backend.file}"
max_batch_size: 0
input [ ${backend.inputs.map((input) => tensor(input, "INT32", batch, SEQUENCE)).join(", ")} ]
output [ ${tensor(backend.output, "FP32", batch, SEQUENCE, 2)} ]
instance_group [ { count: 1 kind: KIND_GPU } ]
parameters { key: "xsched_priority" value { string_value: "${priority}" } }
`;
}

function run(command: string, ...words: readonly string[]): void {
  const { status, error } = spawnSync(command, words, { stdio: ["ignore", "inherit", "inherit"] });
  if (error) throw new UserError(`${command} cannot be run: ${error.message}`, "give another with --python");
  if (status !== 0) {
    throw new UserError(
      `${command} ${words.join(" ")} ended with status ${status}; its reason is above`,
      "install what is missing for that Python, or give another with --python",
    );
  }
}
