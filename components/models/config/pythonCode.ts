import { type Field, messagesOf, named, parseTextFormat } from "../../textFormat";
import { ModelConfigError } from "./modelConfigError";

/** What the Python backend runs unless `default_model_filename` names another file. */
const PYTHON_FILE = "model.py";

/**
 * Refuses a model of Triton's Python backend that has a version to serve without its code: the process that would run
 * it ends before Triton listens to it, so the load never ends, and only the end of the server ends it (seen with r24.10).
 *
 * @param config its rendered `config.pbtxt`
 * @param versions the version folders of its source, each with the names of the files that are directly in it
 * @throws ModelConfigError
 */
export function refuseMissingCode(
  config: string,
  source: string,
  versions: ReadonlyMap<string, readonly string[]>,
): void {
  const fields = parseTextFormat(config);
  const file = textOf(fields, "default_model_filename") ?? PYTHON_FILE;
  if (textOf(fields, "backend") !== "python" || file.includes("/")) return;
  // An agent can make the model's files when it is loaded, as of one that is stored encrypted.
  if (named(fields, "model_repository_agents").length > 0) return;
  const missing = servedVersions(fields, [...versions.keys()]).find(
    (version) => versions.get(version)?.includes(file) !== true,
  );
  if (missing === undefined) return;
  throw new ModelConfigError(
    `${source}/${missing}`,
    `backend is "python", but version ${missing} has no ${file}`,
    `put the model's code into ${missing}/${file}, or remove the folder ${missing}`,
  );
}

/** The versions that Triton serves by the policy of a model's configuration: without one, the highest. */
function servedVersions(fields: readonly Field[], present: readonly string[]): readonly string[] {
  const ordered = [...present].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
  const [policy] = messagesOf(named(fields, "version_policy"));
  const choices = policy?.kind === "message" ? policy.fields : [];
  if (named(choices, "all").length > 0) return ordered;
  const [specific] = messagesOf(named(choices, "specific"));
  if (specific?.kind === "message") {
    const listed = messagesOf(named(specific.fields, "versions")).flatMap((value) =>
      value.kind === "number" ? [value.text] : [],
    );
    return ordered.filter((version) => listed.includes(version));
  }
  const [latest] = messagesOf(named(choices, "latest"));
  const [count] = latest?.kind === "message" ? messagesOf(named(latest.fields, "num_versions")) : [];
  return ordered.slice(-Math.max(count?.kind === "number" ? Number(count.text) : 1, 1));
}

function textOf(fields: readonly Field[], name: string): string | undefined {
  const value = named(fields, name).at(-1)?.value;
  return value?.kind === "string" && value.text !== "" ? value.text : undefined;
}
