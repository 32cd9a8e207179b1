import { nearest } from "./nearest";
import { INVALID, Place, Read } from "./place";

/*
 * Building blocks of the schema. A rule reads one value of the stack config, and also says in words what it takes,
 * so that messages and docs/settings.md come from the same lines that do the checking.
 */

/** The types that Pulumi.yaml knows. */
export type ConfigType = "string" | "integer" | "boolean" | "array" | "object";

export interface Rule<T> {
  readonly type: ConfigType;
  /** What it takes, as a noun phrase: `an integer from 1 to 65535`. */
  readonly allowed: string;
  /** A value to copy, as it stands in YAML. */
  readonly example: string;
  /** What stands inside, for the documentation. */
  readonly inside?: Inside;
  /** Reads a value that is present; records each fault at its place. */
  read(value: unknown, at: Place): Read<T>;
}

export type Inside =
  | { readonly kind: "fields"; readonly fields: Fields }
  | {
      readonly kind: "variants";
      readonly variants: Readonly<Record<string, Variant>>;
      readonly usual: string | undefined;
    }
  | { readonly kind: "items"; readonly item: Rule<unknown> };

/** One key of an object. */
export interface Field<T> {
  readonly description: string;
  readonly rule: Rule<unknown>;
  readonly absent: Absent;
  /** Carries the type that the key has after reading; never set. */
  readonly readsAs?: T;
}

export type Absent =
  /** `fix` says what to type, where that is more than the key and an example. */
  | { readonly kind: "required"; readonly fix: string | undefined }
  /** The feature is not used, or its default depends on more than this key; `meaning` says it. */
  | { readonly kind: "optional"; readonly meaning: string }
  /** Read in its stead, by the same rule. */
  | { readonly kind: "default"; readonly value: (stack: string) => unknown };

export type Fields = Readonly<Record<string, Field<unknown>>>;

export interface Variant {
  readonly description: string;
  readonly fields: Fields;
  /** Records faults between the fields; `raw` is the object of the config, also where it has faults of its own. */
  readonly check?: (raw: unknown, at: Place) => void;
}

export type Values<F extends Fields> = {
  readonly [Key in keyof F]: F[Key] extends Field<infer T> ? T : never;
};

export type VariantValues<V extends Readonly<Record<string, Variant>>> = {
  [Kind in keyof V]: { readonly kind: Kind } & Values<V[Kind]["fields"]>;
}[keyof V];

export function required<T>(rule: Rule<T>, description: string, fix?: string): Field<T> {
  return { rule, description, absent: { kind: "required", fix } };
}

export function optional<T>(rule: Rule<T>, description: string, meaning: string): Field<T | undefined> {
  return { rule, description, absent: { kind: "optional", meaning } };
}

export function defaulted<T>(rule: Rule<T>, value: unknown, description: string): Field<T> {
  return defaultedBy(rule, () => value, description);
}

/** As `defaulted`, with a default that depends on the stack's name. */
export function defaultedBy<T>(
  rule: Rule<T>,
  value: (stack: string) => unknown,
  description: string,
): Field<T> {
  return { rule, description, absent: { kind: "default", value } };
}

export function integer(minimum: number, maximum: number, example: number): Rule<number> {
  const allowed =
    maximum === Number.MAX_SAFE_INTEGER
      ? `an integer of ${minimum} or more`
      : `an integer from ${minimum} to ${maximum}`;
  return {
    type: "integer",
    allowed,
    example: String(example),
    read(value, at) {
      if (typeof value === "number" && Number.isInteger(value) && value >= minimum && value <= maximum) {
        return value + 0; // −0 becomes 0.
      }
      return at.fault(value, allowed, unquoted(value) ?? `give ${allowed}, for example ${example}`);
    },
  };
}

/** The fix for a number or boolean that stands in quotes. */
export function unquoted(value: unknown): string | undefined {
  return typeof value === "string" && /^(-?\d{1,15}|true|false)$/.test(value)
    ? `write it without quotes: ${value}`
    : undefined;
}

export const boolean: Rule<boolean> = {
  type: "boolean",
  allowed: "true or false",
  example: "true",
  read(value, at) {
    return typeof value === "boolean"
      ? value
      : at.fault(value, "true or false", unquoted(value) ?? "give true or false, without quotes");
  },
};

/** Text that a further check may refuse; the check says why, and what to do. */
export interface TextOptions {
  readonly allowed: string;
  readonly example: string;
  /** The fix, or undefined if the text is fine. */
  readonly refuse: (text: string) => string | undefined;
}

export function text(options: TextOptions): Rule<string> {
  const { allowed, example, refuse } = options;
  return {
    type: "string",
    allowed,
    example,
    read(value, at) {
      if (typeof value !== "string") {
        const quote = typeof value === "number" || typeof value === "boolean";
        return at.fault(
          value,
          allowed,
          quote ? `write it in quotes: "${value}"` : `give text, for example ${example}`,
        );
      }
      const fix = refuse(value);
      return fix === undefined ? value : at.fault(value, allowed, fix);
    },
  };
}

/** One of a few names; the table gives what each means. */
export function choice<Name extends string>(names: Readonly<Record<Name, string>>): Rule<Name> {
  const known = Object.keys(names);
  const allowed = known.length === 1 ? known.join() : `one of ${known.join(", ")}`;
  const isName = (value: unknown): value is Name => typeof value === "string" && Object.hasOwn(names, value);
  return {
    type: "string",
    allowed,
    example: known[0] ?? "",
    read(value, at) {
      return isName(value) ? value : at.fault(value, allowed, meant(value, known) ?? `choose ${allowed}`);
    },
  };
}

/** The fix for a mistyped name. */
export function meant(value: unknown, known: readonly string[]): string | undefined {
  const near = typeof value === "string" ? nearest(value, known) : undefined;
  return near === undefined ? undefined : `did you mean ${near}?`;
}

export interface ListOptions {
  readonly allowed: string;
  /** Fewest items. */
  readonly minimum?: number;
  /** Records faults between the items; `raw` are those of the config, also where they have faults of their own. */
  readonly check?: (raw: readonly unknown[], at: Place) => void;
}

export function list<T>(item: Rule<T>, options: ListOptions): Rule<readonly T[]> {
  const { allowed, minimum = 0, check } = options;
  const example = `[${item.example}]`;
  return {
    type: "array",
    allowed,
    example,
    inside: { kind: "items", item },
    read(value, at) {
      if (!Array.isArray(value) || value.length < minimum) {
        return at.fault(value, allowed, `give a list, for example ${example}`);
      }
      const raw = Array.from(value as readonly unknown[]);
      const items = raw.map((each, index) => item.read(each, at.at(index)));
      check?.(raw, at);
      return items.includes(INVALID) ? INVALID : Object.freeze(items as readonly T[]);
    },
  };
}

/**
 * Records faults between the keys of an object. A value that has a fault somewhere inside is INVALID; `raw` is the
 * object of the config, for a check that must see the rest of such a value.
 */
export type Check<T> = (values: { readonly [Key in keyof T]: Read<T[Key]> }, at: Place, raw: unknown) => void;

export function object<F extends Fields>(
  allowed: string,
  fields: F,
  check?: Check<Values<F>>,
): Rule<Values<F>> {
  return {
    type: "object",
    allowed,
    example: objectExample(fields),
    inside: { kind: "fields", fields },
    read(value, at) {
      if (!isPlainObject(value)) {
        return at.fault(value, allowed, `give an object, for example ${objectExample(fields)}`);
      }
      refuseUnknownKeys(value, Object.keys(fields), at);
      const values = readFields(value, fields, at);
      check?.(values as Parameters<Check<Values<F>>>[0], at, value);
      return whole<Values<F>>(values);
    },
  };
}

/** An object whose key `kind` decides which other keys it has. */
export function variants<V extends Readonly<Record<string, Variant>>>(
  allowed: string,
  table: V,
  usual?: keyof V & string,
): Rule<VariantValues<V>> {
  const kinds = Object.keys(table);
  const kindRule = choice(Object.fromEntries(kinds.map((kind) => [kind, table[kind]?.description ?? ""])));
  const first = kinds[0] ?? "";
  const example = objectExample(table[first]?.fields ?? {}, [`kind: ${first}`]);
  return {
    type: "object",
    allowed,
    example,
    inside: { kind: "variants", variants: table, usual },
    read(value, at) {
      if (!isPlainObject(value)) {
        return at.fault(value, allowed, `give an object, for example ${example}`);
      }
      const given = keyOf(value, "kind");
      const kind = given === undefined ? usual : kindRule.read(given, at.at("kind"));
      if (kind === undefined) {
        return at.at("kind").fault(given, kindRule.allowed, `add kind: ${kindRule.example}`);
      }
      if (kind === INVALID) {
        const all = kinds.flatMap((each) => Object.keys(table[each]?.fields ?? {}));
        refuseUnknownKeys(value, ["kind", ...all], at);
        return INVALID;
      }
      const fields = table[kind]?.fields ?? {};
      const known = ["kind", ...Object.keys(fields)];
      refuseUnknownKeys(value, known, at, (key) => {
        if (nearest(key, known) !== undefined) {
          return undefined;
        }
        for (const other of kinds) {
          const owned = nearest(key, Object.keys(table[other]?.fields ?? {}));
          if (owned !== undefined) {
            return `${owned} belongs to kind ${other}: set ${at.path}.kind to ${other}, or take ${key} out`;
          }
        }
        return undefined;
      });
      table[kind]?.check?.(value, at);
      return whole<VariantValues<V>>({ kind, ...readFields(value, fields, at) });
    },
  };
}

/** Reads by one rule and makes something else of the result. */
export function mapped<T, U>(rule: Rule<T>, map: (value: T, at: Place) => Read<U>): Rule<U> {
  return {
    ...rule,
    read(value, at) {
      const read = rule.read(value, at);
      return read === INVALID ? INVALID : map(read, at);
    },
  };
}

/**
 * A check of a list of objects: no two have the same text under a key.
 *
 * @param allowed what is, given the place of the first of the two
 */
export function refuseRepeatedKey(
  key: string,
  allowed: (first: string) => string,
  fix: string,
): NonNullable<ListOptions["check"]> {
  return (items, at) => {
    const values = items.map((item) => keyOf(item, key));
    values.forEach((value, index) => {
      const first = values.indexOf(value);
      if (typeof value === "string" && first < index) {
        at.at(index)
          .at(key)
          .fault(value, allowed(`${at.path}[${first}]`), fix);
      }
    });
  };
}

/** The value of an object's own key, whatever the object turns out to be. */
export function keyOf(value: unknown, key: string): unknown {
  return isPlainObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** The items of a list; none of anything else. */
export function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? Array.from(value as readonly unknown[]) : [];
}

/** An object of a literal or of JSON: nothing that a prototype brings along counts. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function objectExample(fields: Fields, before: readonly string[] = []): string {
  const needed = Object.entries(fields)
    .filter(([, field]) => field.absent.kind === "required")
    .map(([key, field]) => `${key}: ${field.rule.example}`);
  return `{ ${[...before, ...needed].join(", ")} }`;
}

function refuseUnknownKeys(
  value: Readonly<Record<string, unknown>>,
  known: readonly string[],
  at: Place,
  explain: (key: string) => string | undefined = () => undefined,
): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) {
      continue;
    }
    const fix = explain(key) ?? meant(key, known) ?? "take it out";
    // Not the value: under a mistyped key it may well be a secret.
    at.at(key).faultShown("(unknown key)", `the keys ${known.join(", ")}`, fix);
  }
}

function readFields(
  value: Readonly<Record<string, unknown>>,
  fields: Fields,
  at: Place,
): Readonly<Record<string, Read<unknown>>> {
  const entries = Object.entries(fields).map(([key, field]) => {
    return [key, readField(keyOf(value, key), field, at.at(key))] as const;
  });
  return Object.fromEntries(entries);
}

function readField(given: unknown, field: Field<unknown>, at: Place): unknown {
  const { rule, absent } = field;
  if (given === null) {
    return at.fault(given, rule.allowed, `give a value, for example ${rule.example}, or take ${at.name} out`);
  }
  if (given !== undefined) {
    return rule.read(given, at);
  }
  switch (absent.kind) {
    case "required":
      return at.fault(given, rule.allowed, absent.fix ?? `add ${at.name}: ${rule.example}`);
    case "optional":
      return undefined;
    case "default":
      return rule.read(absent.value(at.context.stack), at);
    default:
      return absent satisfies never;
  }
}

function whole<T>(values: Readonly<Record<string, unknown>>): Read<T> {
  return Object.values(values).includes(INVALID) ? INVALID : (Object.freeze({ ...values }) as T);
}
