import * as pulumi from "@pulumi/pulumi";

/** One thing that is wrong in the stack config. */
export interface Fault {
  /** Path of the property, such as `models[1].priority`. */
  readonly path: string;
  /** The value as the message shows it; never a secret. */
  readonly value: string;
  /** What is allowed. */
  readonly allowed: string;
  /** What to type. */
  readonly fix: string;
}

/**
 * All faults of a stack's settings in one message. A `RunError`, because that is the only error which Pulumi prints
 * without a stack trace; the trace would point into this package, and the fault is in the stack config.
 */
export class SettingsError extends pulumi.RunError {
  public constructor(
    stack: string,
    public readonly faults: readonly Fault[],
  ) {
    super(message(stack, faults));
    this.name = "SettingsError";
  }
}

function message(stack: string, faults: readonly Fault[]): string {
  return `${countFaults(faults)} in the settings of stack ${stack}; nothing was changed.\n\n${listFaults(faults)}`;
}

/** How many faults there are, in words. */
export function countFaults(faults: readonly Fault[]): string {
  return faults.length === 1 ? "1 fault" : `${faults.length} faults`;
}

/** Each fault as a block of lines. */
export function listFaults(faults: readonly Fault[]): string {
  return faults
    .map((fault) => `  ${fault.path}: ${fault.value}\n    allowed: ${fault.allowed}\n    fix: ${fault.fix}\n`)
    .join("\n");
}

/** Characters of a string that a message shows. */
const SHOWN_CHARACTERS = 60;

/**
 * A value for a message: a scalar as in JSON, a long string shortened, an object or a list only by its kind and never by
 * its content, since a secret can be anywhere inside.
 *
 * @param guarded whether an encrypted value may be among what is shown. The Pulumi engine masks a secret in a
 *   message only where it appears whole and unescaped, so a part of it must not appear.
 */
export function show(value: unknown, guarded: boolean): string {
  switch (typeof value) {
    case "string":
      return showString(value, guarded);
    case "number":
    case "boolean":
      return String(value);
    case "object":
      return value === null ? "null" : Array.isArray(value) ? `a list of ${value.length}` : "an object";
    case "undefined":
      return "(not set)";
    case "bigint":
    case "function":
    case "symbol":
      return `a ${typeof value}`;
  }
}

function showString(value: string, guarded: boolean): string {
  const quoted = JSON.stringify(value);
  const hidden = `a string of ${value.length} characters`;
  if (value.includes("PRIVATE KEY")) {
    return hidden;
  }
  if (guarded && (value.length > SHOWN_CHARACTERS || quoted.length !== value.length + 2)) {
    return hidden;
  }
  return value.length > SHOWN_CHARACTERS
    ? `${JSON.stringify(`${value.slice(0, SHOWN_CHARACTERS)}…`)} (${value.length} characters)`
    : quoted;
}
