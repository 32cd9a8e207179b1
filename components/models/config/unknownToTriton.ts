import { nearest } from "../../settings";
import {
  type Field,
  type MessageValue,
  parseTextFormat,
  placeIn,
  type ScalarValue,
  withoutMark,
} from "../../textFormat";
import { configPlace } from "./configPlace";
import { ModelConfigError } from "./modelConfigError";
import {
  type Enum,
  type FieldSchema,
  type MessageSchema,
  MODEL_CONFIG,
  type ScalarType,
} from "./tritonSchema";

interface Fault {
  readonly what: string;
  readonly fix: string;
  /** Where in the text it is. */
  readonly start: number;
}

/** How Triton's parser wants a scalar, and the numbers that it takes. */
const SCALARS: Readonly<
  Record<ScalarType, { readonly wanted: string; readonly range?: readonly [bigint, bigint] }>
> = {
  string: { wanted: "a text in quotation marks" },
  bool: { wanted: "true or false" },
  float: { wanted: "a number" },
  int32: { wanted: "a whole number from -2147483648 to 2147483647", range: [-(2n ** 31n), 2n ** 31n - 1n] },
  int64: { wanted: "a whole number of 64 bits", range: [-(2n ** 63n), 2n ** 63n - 1n] },
  uint32: { wanted: "a whole number from 0 to 4294967295", range: [0n, 2n ** 32n - 1n] },
  uint64: { wanted: "a whole number of 64 bits, 0 or more", range: [0n, 2n ** 64n - 1n] },
};

/**
 * Refuses a field or a value that no release of Triton knows: it would be found only when Triton reads the model's
 * configuration, which says so in its log.
 *
 * @param config the rendered `config.pbtxt`
 * @param own the model's own, whose faults may have been replaced by the settings
 * @throws ModelConfigError
 */
export function refuseUnknownToTriton(config: string, own: string | undefined, source: string): void {
  const [fault] = faultsOf(config);
  if (fault === undefined) return;
  const text = withoutMark(own ?? "");
  const written = faultsOf(text).find(({ what }) => what === fault.what);
  const file = configPlace(source);
  if (written === undefined) throw new ModelConfigError(file, fault.what, fault.fix);
  const { line, column } = placeIn(text, written.start);
  throw new ModelConfigError(`${file}:${line}:${column}`, fault.what, fault.fix);
}

function faultsOf(text: string): readonly Fault[] {
  return faultsOfFields(parseTextFormat(text), MODEL_CONFIG, "");
}

/** @param holder the field whose message this is; empty for the whole configuration */
function faultsOfFields(fields: readonly Field[], schema: MessageSchema, holder: string): readonly Fault[] {
  return fields.flatMap((field, at): readonly Fault[] => {
    const { name, value, start } = field;
    const known = Object.hasOwn(schema.fields, name) ? schema.fields[name] : undefined;
    if (known === undefined) {
      const what = `${holder === "" ? "a model configuration" : holder} has no field ${name}`;
      return [{ what, fix: choice(name, Object.keys(schema.fields)), start }];
    }
    const before = fields.slice(0, at);
    if (!known.repeated && before.some((other) => other.name === name)) {
      return [{ what: `${name} is given twice`, fix: `keep one ${name}`, start }];
    }
    const rival = schema.oneof.includes(name)
      ? before.find((other) => other.name !== name && schema.oneof.includes(other.name))
      : undefined;
    if (rival !== undefined) {
      return [{ what: `${rival.name} excludes ${name}`, fix: "keep one of the two", start }];
    }
    if (value.kind !== "list") return faultsOfValue(name, value, known);
    if (!known.repeated)
      return [{ what: `${name} is a list`, fix: "keep one value, without [ and ]", start }];
    return value.items.flatMap((item) => faultsOfValue(name, item, known));
  });
}

function faultsOfValue(
  name: string,
  value: MessageValue | ScalarValue,
  { type }: FieldSchema,
): readonly Fault[] {
  const { start } = value;
  if (typeof type === "object" && !isEnum(type)) {
    return value.kind === "message"
      ? faultsOfFields(value.fields, type, name)
      : [{ what: `${name} is ${printed(value)}`, fix: `write ${name} { … }`, start }];
  }
  if (isEnum(type)) {
    // Triton takes a number for a name.
    if (value.kind === "number" || (value.kind === "identifier" && type.includes(value.text))) return [];
    const given = value.kind === "message" ? "" : value.text;
    const fix = type.includes(given) ? `write ${given} without quotation marks` : choice(given, type);
    return [{ what: `${name} is ${printed(value)}, which Triton does not know`, fix, start }];
  }
  return isScalar(value, type)
    ? []
    : [{ what: `${name} is ${printed(value)}`, fix: `use ${SCALARS[type].wanted}`, start }];
}

/** As the parser of protocol buffers does: TextFormat::Parser::ParserImpl::ConsumeFieldValue. */
function isScalar(value: MessageValue | ScalarValue, type: ScalarType): boolean {
  if (value.kind === "message") return false;
  switch (type) {
    case "string":
      return value.kind === "string";
    case "bool":
      return value.kind === "identifier"
        ? ["true", "True", "t", "false", "False", "f"].includes(value.text)
        : value.kind === "number" && /^0*[01]$/.test(value.text);
    case "float":
      return (
        value.kind === "number" || (value.kind === "identifier" && /^-?(inf|infinity|nan)$/i.test(value.text))
      );
    case "int32":
    case "int64":
    case "uint32":
    case "uint64":
      return value.kind === "number" && isWithin(value.text, SCALARS[type].range);
    default:
      return type satisfies never;
  }
}

function isWithin(text: string, range: readonly [bigint, bigint] | undefined): boolean {
  const [, sign, digits] = /^(-?)(0[xX][0-9a-fA-F]+|\d+)$/.exec(text) ?? [];
  if (digits === undefined || range === undefined) return false;
  const size = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits}` : digits);
  const number = sign === "-" ? -size : size;
  return number >= range[0] && number <= range[1];
}

function isEnum(type: FieldSchema["type"]): type is Enum {
  return Array.isArray(type);
}

function printed(value: MessageValue | ScalarValue): string {
  if (value.kind === "message") return "a message";
  return value.kind === "string" ? JSON.stringify(value.text) : value.text;
}

function choice(given: string, known: readonly string[]): string {
  const near = nearest(given, known);
  if (near !== undefined) return `did you mean ${near}?`;
  return known.length === 0 ? "remove it" : `choose one of ${known.join(", ")}`;
}
