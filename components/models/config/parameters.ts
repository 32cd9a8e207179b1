import {
  message,
  messagesOf,
  type MessageValue,
  named,
  type ScalarValue,
  TextDocument,
} from "../../textFormat";
import { parameterEntry } from "./tritonFields";

/** Every entry of the key gets the value, since the last one counts. */
export function putParameter(document: TextDocument, key: string, value: string): void {
  const entries = parametersOf(document, key);
  if (entries.length === 0) {
    document.append(message("parameters", parameterEntry(key, value)));
  }
  for (const entry of entries) {
    const holder = named(entry.fields, "value")[0]?.value;
    const current = holder?.kind === "message" ? textOf(holder, "string_value") : undefined;
    if (current !== undefined && holder?.kind === "message" && holder.fields.length === 1) {
      document.replaceValue(current, value);
    } else {
      document.replaceMessage(entry, parameterEntry(key, value));
    }
  }
}

/** The entries of a key in the map `parameters`, of which the last one counts. */
export function parametersOf(document: TextDocument, key: string): readonly MessageValue[] {
  return messagesOf(document.named("parameters")).filter(
    (entry): entry is MessageValue => entry.kind === "message" && textOf(entry, "key")?.text === key,
  );
}

function textOf(holder: MessageValue, name: string): ScalarValue | undefined {
  const value = named(holder.fields, name).at(-1)?.value;
  return value?.kind === "string" ? value : undefined;
}
