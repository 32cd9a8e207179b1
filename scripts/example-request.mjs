// A request to a served model that can be copied into a shell.

/** Types that JSON cannot carry; Triton takes and gives them in binary form alone. */
const BINARY_TYPES = new Set(["FP16", "BF16"]);

/** The value for one in data types that are not numbers. */
const ONES = { BOOL: true, BYTES: "1" };

/** First version of Triton, of 23.10, that streams the answers of a decoupled model over HTTP. */
const STREAMING_VERSION = [2, 39];

/**
 * A command for the model that is easiest to ask: every input filled with ones, a single row if it batches. Undefined if
 * no ready model can be asked with curl.
 *
 * @param access where, and what curl needs there: the result of `clientAccess`
 */
export function exampleRequest({ version, models }, access) {
  const candidates = models
    .filter((model) => model.ready && model.inputs.length > 0 && speaksJson(model))
    .map((model) => ({ model, kind: kindOf(model, version) }))
    .filter(({ kind }) => kind !== undefined)
    .sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || total(a.model) - total(b.model));
  const [chosen] = candidates;
  if (chosen === undefined) return undefined;
  const { model, kind } = chosen;
  const url = `${access.url}/v2/models/${model.name}`;
  if (kind === "decoupled") {
    const body = Object.fromEntries(model.inputs.map((input) => [input.name, ones(input)]));
    return command(["curl", "-sN", ...access.flags], `${url}/generate_stream`, body);
  }
  const inputs = model.inputs.map((input) => ({
    name: input.name,
    datatype: input.datatype,
    shape: input.shape.map((extent) => Math.max(extent, 1)),
    data: ones(input),
  }));
  const sequence = { sequence_id: 1, sequence_start: true, sequence_end: true };
  return command(["curl", "-s", ...access.flags], `${url}/infer`, {
    ...(kind === "sequence" && { parameters: sequence }),
    inputs,
  });
}

/** In the order of preference. */
const KINDS = ["plain", "sequence", "decoupled"];

function kindOf({ decoupled, sequence, inputs }, version) {
  if (!decoupled) return sequence ? "sequence" : "plain";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [needed, least] = STREAMING_VERSION;
  if (major < needed || (major === needed && minor < least)) return undefined;
  // Triton makes a flat list of what it gets there; and a sequence has no parameters there.
  const isFlat = ({ shape }) => shape.filter((extent) => Math.max(extent, 1) > 1).length <= 1;
  return !sequence && inputs.every(isFlat) ? "decoupled" : undefined;
}

function speaksJson({ inputs, outputs = [] }) {
  return [...inputs, ...outputs].every(({ datatype }) => !BINARY_TYPES.has(datatype));
}

const size = ({ shape }) => shape.reduce((product, extent) => product * Math.max(extent, 1), 1);

const total = ({ inputs }) => inputs.reduce((sum, input) => sum + size(input), 0);

const ones = (input) => Array(size(input)).fill(ONES[input.datatype] ?? 1);

/** A name of a tensor may contain a quote. */
function command(words, url, body) {
  return `${words.join(" ")} ${url} -d '${JSON.stringify(body).replaceAll("'", `'\\''`)}'`;
}
