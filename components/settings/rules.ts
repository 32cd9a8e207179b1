import * as pulumi from "@pulumi/pulumi";

import { nearest } from "./nearest";
import { INVALID, Place, Read } from "./place";

/*
 * Building blocks of the schema. A rule reads one value and also says in words what it takes, so that reading the
 * stack config, checking a component's arguments, the TypeScript types, the messages, docs/settings.md and the plugin's
 * schema all come from the same lines (scripts/generate).
 *
 * Why not a library: with zod 4.6 (valibot and TypeBox lack more of this), our fault format needs a wrapper around every
 * type, since an issue does not say what is allowed and how to fix it. A schema there cannot know
 * the stack or the file system it is read for, keeps no output that is known later, drops the key `__proto__` silently
 * instead of reporting it, and reports no unknown keys when `kind` is wrong. Loading it takes 0.1 s of each `up`.
 */

/** The types that Pulumi.yaml knows. */
export type ConfigType = "string" | "integer" | "boolean" | "array" | "object";

/**
 * Reads values as `T`. Of a component's arguments, `K` is what is known when the component is constructed: there, an
 * output stays an output.
 */
export interface Rule<T, K = T> {
  readonly type: ConfigType;
  /** What it takes, as a noun phrase: `an integer from 1 to 65535`. */
  readonly allowed: string;
  /** A value to copy, as written in YAML. */
  readonly example: string;
  /** What is inside, for the documentation and the generated types. */
  readonly inside?: Inside;
  /** Reads a value that is present; records each fault at its place. */
  read(value: unknown, at: Place): Read<T>;
  /** Carries the second type; never set. */
  readonly knownAs?: K;
}

export type Inside =
  | {
      readonly kind: "fields";
      readonly name: string | undefined;
      readonly description: string;
      readonly fields: Fields;
    }
  | {
      readonly kind: "variants";
      readonly name: string;
      readonly description: string;
      readonly variants: Readonly<Record<string, Variant>>;
      readonly usual: string | undefined;
    }
  | { readonly kind: "items"; readonly item: Rule<unknown, unknown> }
  /** One of a few names; the table says what each means. */
  | {
      readonly kind: "names";
      readonly name: string;
      readonly description: string;
      readonly names: Readonly<Record<string, string>>;
    }
  /** An object with keys of the user's choice; `type` is that of its values in TypeScript, perhaps with a name. */
  | { readonly kind: "map"; readonly name: string | undefined; readonly type: string }
  /** Values of several types; `type` is what they are in TypeScript. */
  | { readonly kind: "union"; readonly name: string; readonly type: string }
  /** A text that is never shown. */
  | { readonly kind: "secret" };

/** What a key that may be an output is known as: a secret is one anyway. */
export type InputOf<T> = [T] extends [pulumi.Output<infer U>] ? pulumi.Input<U> : pulumi.Input<T>;

/** One key of an object. */
export interface Field<T, K = InputOf<T>, P = T> {
  readonly description: string;
  readonly rule: Rule<unknown, unknown>;
  readonly absent: Absent;
  /** Whether the value must be known when a component is constructed; any other can be an output. */
  readonly plain: boolean;
  readonly notes: Notes;
  /** Carry the types that the key has after reading; never set. */
  readonly readsAs?: T;
  readonly knownAs?: K;
  readonly plainAs?: P;
}

/** What a user wants to know of a setting beside what it is. */
export interface Notes {
  /** Of a number: `seconds`, `MiB`. */
  readonly unit?: string;
  /** What a value other than the default costs in money, time or throughput. */
  readonly cost?: string;
  /** A value to copy, as written in YAML, where the rule's own is not the best one. */
  readonly example?: string;
  /** What to type when a required key is absent, where that is more than the key and an example. */
  readonly fix?: string;
}

export type Absent =
  | { readonly kind: "required"; readonly fix: string | undefined }
  /** The feature is not used, or its default depends on more than this key; `meaning` says which. */
  | { readonly kind: "optional"; readonly meaning: string }
  /** Read instead, by the same rule. */
  | { readonly kind: "default"; readonly value: (stack: string) => unknown };

export type Fields = Readonly<Record<string, Field<unknown, unknown, unknown>>>;

export interface Variant {
  readonly description: string;
  readonly fields: Fields;
  /** Records faults between the fields; `raw` is the object in the config, even where it has faults itself. */
  readonly check?: (raw: unknown, at: Place) => void;
}

/** What the fields read as. */
export type Values<F extends Fields> = {
  readonly [Key in keyof F]: F[Key] extends Field<infer T, unknown, unknown> ? T : never;
};

/** What is known of the fields when a component is constructed. */
export type Known<F extends Fields> = {
  readonly [Key in keyof F]: F[Key] extends Field<unknown, infer K, unknown> ? K : never;
};

export type VariantValues<V extends Readonly<Record<string, Variant>>> = {
  [Kind in keyof V]: { readonly kind: Kind } & Values<V[Kind]["fields"]>;
}[keyof V];

export type KnownVariants<V extends Readonly<Record<string, Variant>>> = {
  [Kind in keyof V]: { readonly kind: Kind } & Known<V[Kind]["fields"]>;
}[keyof V];

/** What a rule reads as. */
export type ReadBy<R> = R extends Rule<infer T, unknown> ? T : never;

/** What a rule knows of a component's arguments at its construction. */
export type KnownBy<R> = R extends Rule<unknown, infer K> ? K : never;

export function required<T, K>(
  rule: Rule<T, K>,
  description: string,
  notes: Notes = {},
): Field<T, InputOf<T>, K> {
  return { rule, description, absent: { kind: "required", fix: notes.fix }, plain: false, notes };
}

export function optional<T, K>(
  rule: Rule<T, K>,
  description: string,
  meaning: string,
  notes: Notes = {},
): Field<T | undefined, InputOf<T> | undefined, K | undefined> {
  return { rule, description, absent: { kind: "optional", meaning }, plain: false, notes };
}

export function defaulted<T, K>(
  rule: Rule<T, K>,
  value: unknown,
  description: string,
  notes: Notes = {},
): Field<T, InputOf<T>, K> {
  return defaultedBy(rule, () => value, description, notes);
}

/** As `defaulted`, with a default that depends on the stack's name. */
export function defaultedBy<T, K>(
  rule: Rule<T, K>,
  value: (stack: string) => unknown,
  description: string,
  notes: Notes = {},
): Field<T, InputOf<T>, K> {
  return { rule, description, absent: { kind: "default", value }, plain: false, notes };
}

/** The same field, whose value decides which resources there are, so that it cannot be an output. */
export function plain<T, K, P>(field: Field<T, K, P>): Field<T, P, P> {
  const { rule, description, absent, notes } = field;
  return { rule, description, absent, notes, plain: true };
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

/** The fix for a number or boolean in quotes. */
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

/** Text that a further check may refuse; the check says why and what to do. */
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

/**
 * One of a few names.
 *
 * @param name of the type that holds them in a program
 * @param description of that type
 * @param names what each means
 */
export function choice<Name extends string>(
  name: string,
  description: string,
  names: Readonly<Record<Name, string>>,
): Rule<Name> {
  const known = Object.keys(names);
  const allowed = `one of ${known.join(", ")}`;
  const isName = (value: unknown): value is Name => typeof value === "string" && Object.hasOwn(names, value);
  return {
    type: "string",
    allowed,
    example: known[0] ?? "",
    inside: { kind: "names", name, description, names },
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

/** Whether a component's argument is known only later. */
export function isDeferred(value: unknown): boolean {
  return pulumi.Output.isInstance(value) || value instanceof Promise;
}

/**
 * Which rule has read an object or a list completely. A rule accepts what it has read before as it is, so that a component
 * can pass on a part of its arguments without a second check.
 */
const READ_BY = new WeakMap<object, Rule<unknown, unknown>>();

/** Marks the result of a rule, unless a part of it is known only later. */
export function complete<T extends object>(rule: Rule<T, unknown>, value: T): T {
  if (Object.values(value).every(isComplete)) READ_BY.set(value, rule);
  return value;
}

/** What a rule has read, with other values for some keys, which the rule would read as they are. */
export function amended<T extends object>(rule: Rule<T, unknown>, value: T, changes: Partial<T>): T {
  return complete(rule, Object.freeze({ ...value, ...changes }));
}

/** Whether a value has been read with all that is in it. */
export function isComplete(value: unknown): boolean {
  return typeof value !== "object" || value === null || READ_BY.has(value);
}

/** Whether a value is what a rule has made of another one. */
export function hasRead<T>(rule: Rule<T, unknown>, value: unknown): value is T {
  return typeof value === "object" && value !== null && READ_BY.get(value) === rule;
}

export interface ListOptions<T> {
  readonly allowed: string;
  /** Fewest items. */
  readonly minimum?: number;
  /** Records faults between the items; `raw` are those in the config, even where they have faults themselves. */
  readonly check?: (raw: readonly unknown[], at: Place) => void;
  /** Completes items from others; `raw` are those in the config. What it returns must read as itself. */
  readonly derive?: (items: readonly T[], raw: readonly unknown[], at: Place) => readonly T[];
}

// Mutable in its type alone, as Pulumi's inputs are: a list that was read can be an argument of a component.
export function list<T, K>(item: Rule<T, K>, options: ListOptions<T>): Rule<T[], K[]> {
  const { allowed, minimum = 0, check, derive } = options;
  const example = `[${item.example}]`;
  const rule: Rule<T[], K[]> = {
    type: "array",
    allowed,
    example,
    inside: { kind: "items", item },
    read(value, at) {
      if (hasRead(rule, value)) return value;
      if (!Array.isArray(value) || value.length < minimum) {
        return at.fault(value, allowed, `give a list, for example ${example}`);
      }
      const raw = Array.from(value as readonly unknown[]);
      const items = raw.map((each, index) =>
        at.context.origin === "arguments" && isDeferred(each) ? (each as T) : item.read(each, at.at(index)),
      );
      check?.(raw, at);
      if (items.includes(INVALID)) return INVALID;
      const derived = derive === undefined ? (items as T[]) : derive(items as T[], raw, at);
      return complete(rule, Object.freeze([...derived]) as T[]);
    },
  };
  return rule;
}

/**
 * Records faults between the keys of an object. A value that has a fault somewhere inside, or is not known yet, is
 * INVALID; `raw` is the object as it was given, for a check that must see the rest of such a value.
 */
export type Check<T> = (values: { readonly [Key in keyof T]: Read<T[Key]> }, at: Place, raw: unknown) => void;

export interface ObjectOptions<F extends Fields> {
  /** Name of the type in a program, without `Args`; none for an object that is not a type of its own. */
  readonly name?: string;
  /** What an object of that type is. */
  readonly description?: string;
  readonly allowed: string;
  readonly fields: F;
  readonly check?: Check<Values<F>>;
}

export function object<F extends Fields>(options: ObjectOptions<F>): Rule<Values<F>, Known<F>> {
  const { name, description = "", allowed, fields, check } = options;
  const rule: Rule<Values<F>, Known<F>> = {
    type: "object",
    allowed,
    example: objectExample(fields),
    inside: { kind: "fields", name, description, fields },
    read(value, at) {
      if (hasRead(rule, value)) return value;
      if (!isPlainObject(value)) {
        return at.fault(value, allowed, `give an object, for example ${objectExample(fields)}`);
      }
      refuseUnknownKeys(value, Object.keys(fields), at);
      const values = readFields(value, fields, at);
      check?.(withoutDeferred(values) as Parameters<Check<Values<F>>>[0], at, value);
      return whole(rule, values);
    },
  };
  return rule;
}

function withoutDeferred(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, isDeferred(value) ? INVALID : value]),
  );
}

export interface VariantsOptions<V extends Readonly<Record<string, Variant>>> {
  /** Name of the type in a program, without `Args`. */
  readonly name: string;
  /** What an object of that type is. */
  readonly description: string;
  readonly allowed: string;
  readonly variants: V;
  readonly usual?: keyof V & string;
}

/** An object whose key `kind` decides which other keys it has. */
export function variants<V extends Readonly<Record<string, Variant>>>(
  options: VariantsOptions<V>,
): Rule<VariantValues<V>, KnownVariants<V>> {
  const { name, description, allowed, variants: table, usual } = options;
  const kinds = Object.keys(table);
  const kindRule = choice(
    `${name}Kind`,
    "Decides which other keys there are.",
    Object.fromEntries(kinds.map((kind) => [kind, table[kind]?.description ?? ""])),
  );
  const first = kinds[0] ?? "";
  const example = objectExample(table[first]?.fields ?? {}, [`kind: ${first}`]);
  const rule: Rule<VariantValues<V>, KnownVariants<V>> = {
    type: "object",
    allowed,
    example,
    inside: { kind: "variants", name, description, variants: table, usual },
    read(value, at) {
      if (hasRead(rule, value)) return value;
      if (!isPlainObject(value)) {
        return at.fault(value, allowed, `give an object, for example ${example}`);
      }
      const kindValue = keyOf(value, "kind");
      const kind = kindValue === undefined ? usual : kindRule.read(kindValue, at.at("kind"));
      if (kind === undefined) {
        return at.at("kind").fault(kindValue, kindRule.allowed, `add kind: ${kindRule.example}`);
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
            return `${owned} belongs to kind ${other}: set ${at.path}.kind to ${other}, or remove ${key}`;
          }
        }
        return undefined;
      });
      table[kind]?.check?.(value, at);
      return whole(rule, { kind, ...readFields(value, fields, at) });
    },
  };
  return rule;
}

/** Reads text by one rule and transforms it. The result must read as itself. */
export function mapped<T, U>(rule: Rule<T>, map: (value: T, at: Place) => Read<U>): Rule<U> {
  const { type, allowed, example } = rule;
  return {
    type,
    allowed,
    example,
    read(value, at) {
      const read = rule.read(value, at);
      return read === INVALID ? INVALID : map(read, at);
    },
  };
}

export interface MapOptions<T> {
  readonly allowed: string;
  readonly example: string;
  /** Type of a value in TypeScript. */
  readonly type: string;
  /** Name of that type, where it needs one. */
  readonly name?: string;
  /** Most keys. */
  readonly maximum?: number;
  /** Reads the value of one key. */
  readonly read: (key: string, value: unknown, at: Place) => Read<T>;
}

/** An object with keys of the user's choice. */
export function map<T>(options: MapOptions<T>): Rule<Record<string, T>> {
  const { allowed, example, type, name, maximum = Infinity, read: readValue } = options;
  const rule: Rule<Record<string, T>> = {
    type: "object",
    allowed,
    example,
    inside: { kind: "map", name, type },
    read(value, at) {
      if (hasRead(rule, value)) return value;
      if (!isPlainObject(value) || Object.keys(value).length > maximum) {
        return at.fault(value, allowed, `give an object, for example ${example}`);
      }
      const entries = Object.entries(value).map(([key, each]) => {
        const deferred = at.context.origin === "arguments" && isDeferred(each);
        return [key, deferred ? (each as T) : readValue(key, each, at.at(key))] as const;
      });
      return entries.some(([, each]) => each === INVALID)
        ? INVALID
        : complete(rule, Object.freeze(Object.fromEntries(entries as [string, T][])));
    },
  };
  return rule;
}

/** How to supply a secret in each place that it can come from. */
export interface SecretWording {
  readonly allowed: string;
  readonly fix: string;
}

export interface SecretOptions {
  /** What it is, for a message: `a key`. */
  readonly what: string;
  readonly config: SecretWording;
  readonly arguments: SecretWording;
  /** Brings the text into the form that is used. */
  readonly normalize?: (text: string) => string;
  /** What is wrong with the text and how to mend it, or undefined if it is fine. Must not repeat the text. */
  readonly refuse: (text: string) => { readonly shown: string; readonly fix?: string } | undefined;
}

/** A text that no message shows; it reads as a secret. The stack config must keep it encrypted. */
export function secret(options: SecretOptions): Rule<pulumi.Output<string>> {
  const { what, refuse, normalize = (text: string) => text } = options;
  const rule: Rule<pulumi.Output<string>> = {
    type: "string",
    allowed: options.config.allowed,
    example: "(secret)",
    inside: { kind: "secret" },
    read(value, at) {
      if (pulumi.Output.isInstance(value)) {
        return marked(pulumi.secret(value as pulumi.Output<string>).apply(normalize));
      }
      const { allowed, fix } = at.context.origin === "config" ? options.config : options.arguments;
      const fault = typeof value === "string" ? refuse(value) : { shown: "(secret)" };
      if (fault !== undefined) return at.faultShown(fault.shown, allowed, fault.fix ?? fix);
      return at.context.origin === "config" && !at.encrypted
        ? at.faultShown(`(${what} in plain text)`, allowed, fix)
        : marked(pulumi.secret(normalize(value as string)));
    },
  };
  const marked = (output: pulumi.Output<string>): pulumi.Output<string> => {
    READ_BY.set(output, rule);
    return output;
  };
  return rule;
}

/** Whether a secret can be in what a rule reads. */
export function holdsSecret({ inside }: Rule<unknown, unknown>): boolean {
  const inFields = (fields: Fields): boolean => Object.values(fields).some(({ rule }) => holdsSecret(rule));
  switch (inside?.kind) {
    case "secret":
      return true;
    case "items":
      return holdsSecret(inside.item);
    case "fields":
      return inFields(inside.fields);
    case "variants":
      return Object.values(inside.variants).some(({ fields }) => inFields(fields));
    case "names":
    case "map":
    case "union":
    case undefined:
      return false;
  }
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
): NonNullable<ListOptions<unknown>["check"]> {
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

/** A check of a list: no value twice. */
export function refuseRepeats(items: readonly unknown[], at: Place): void {
  items.forEach((item, index) => {
    const first = items.indexOf(item);
    if (first < index && !isDeferred(item)) {
      at.at(index).fault(item, `a value that [${first}] does not have`, "remove it");
    }
  });
}

/** The value of an object's own key, whatever the object turns out to be. */
export function keyOf(value: unknown, key: string): unknown {
  return isPlainObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** The items of a list; none of anything else. */
export function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? Array.from(value as readonly unknown[]) : [];
}

/** An object from a literal or from JSON: nothing inherited from a prototype counts. */
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
    const fix = explain(key) ?? meant(key, known) ?? "remove it";
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

function readField(value: unknown, field: Field<unknown, unknown, unknown>, at: Place): unknown {
  const { rule, absent } = field;
  if (value === null) {
    return at.fault(value, rule.allowed, `give a value, for example ${rule.example}, or remove ${at.name}`);
  }
  if (value !== undefined) {
    if (at.context.origin === "arguments" && isDeferred(value)) {
      return field.plain && !READ_BY.has(value)
        ? at.faultShown("(an output)", rule.allowed, "give a value that the program knows from the start")
        : value;
    }
    return rule.read(value, at);
  }
  switch (absent.kind) {
    case "required":
      return at.fault(value, rule.allowed, absent.fix ?? `add ${at.name}: ${rule.example}`);
    case "optional":
      return undefined;
    case "default":
      return rule.read(absent.value(at.context.stack), at);
    default:
      return absent satisfies never;
  }
}

function whole<T extends object>(rule: Rule<T, unknown>, values: Readonly<Record<string, unknown>>): Read<T> {
  return Object.values(values).includes(INVALID)
    ? INVALID
    : complete(rule, Object.freeze({ ...values }) as T);
}
