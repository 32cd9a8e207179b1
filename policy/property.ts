import { type Fault, show } from "../components/settings";

/** Stands for a value that a preview does not know yet. */
export const UNKNOWN: unique symbol = Symbol("unknown");

/** A property of a resource, or a part of one, with its path: `ingress[0].cidrBlocks[1]`. */
export class Property {
  public constructor(
    public readonly path: string,
    public readonly value: unknown,
  ) {}

  /** Whether only an update knows it. The update checks it again. */
  public get isUnknown(): boolean {
    return this.value === UNKNOWN;
  }

  /** Whether it has a value that is known. */
  public get isSet(): boolean {
    return this.value !== undefined && this.value !== null && !this.isUnknown;
  }

  /** Its text; empty if it is no string. */
  public get text(): string {
    return typeof this.value === "string" ? this.value : "";
  }

  /** Whether it is switched on. Some resources take booleans as strings. */
  public get isTrue(): boolean {
    return this.value === true || this.text.toLowerCase() === "true";
  }

  public field(key: string): Property {
    const path = this.path === "" ? key : `${this.path}.${key}`;
    if (this.isUnknown) return new Property(path, UNKNOWN);
    const fields = objectOf(this.value);
    return new Property(path, Object.hasOwn(fields, key) ? fields[key] : undefined);
  }

  /** A field whose key may be in any letter case. */
  public fieldInAnyCase(key: string): Property {
    const written = Object.keys(objectOf(this.value)).find(
      (each) => each.toLowerCase() === key.toLowerCase(),
    );
    return this.field(written ?? key);
  }

  public get fields(): readonly Property[] {
    return Object.keys(objectOf(this.value)).map((key) => this.field(key));
  }

  /** Name of the innermost field. */
  public get key(): string {
    return this.path.slice(this.path.lastIndexOf(".") + 1);
  }

  /** The items of a list, or the one value in place of a list; none if it is not set or unknown. */
  public get items(): readonly Property[] {
    if (Array.isArray(this.value)) {
      return this.value.map((item: unknown, index) => new Property(`${this.path}[${index}]`, item));
    }
    return this.isSet ? [this] : [];
  }

  /** @param shown in place of the value */
  public fault(allowed: string, fix: string, shown = show(this.value, false)): Fault {
    return { path: this.path, value: shown, allowed, fix };
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}

/** The properties of a resource as the engine passes them, which throw where one is read that a preview does not know. */
export function propertiesOf(props: unknown): Property {
  return new Property("", snapshot(props));
}

function snapshot(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.keys(value).map((key) => [key, read(value, key)] as const);
  return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries);
}

function read(holder: object, key: string): unknown {
  try {
    return snapshot((holder as Record<string, unknown>)[key]);
  } catch (error) {
    // The SDK does not export the class.
    if (error instanceof Error && error.constructor.name === "UnknownValueError") return UNKNOWN;
    throw error;
  }
}
