import * as pulumi from "@pulumi/pulumi";

import { ArgumentsError } from "./argumentsError";
import { Fault } from "./fault";
import { INVALID, Place } from "./place";
import { reject } from "./rejection";
import { hasRead, holdsSecret, isDeferred, isPlainObject, keyOf, Rule } from "./rules";
import { inform, thisMachine } from "./thisMachine";

/**
 * Reads the arguments of a component by the rules of the schema: known values at its construction, outputs when they
 * resolve. Checked values come only from here, so nothing is used unchecked.
 */
export class ComponentInputs<T extends object, K extends object> {
  /** The arguments with defaults; an output stays an output. */
  public readonly known: K;
  private readonly component: string;
  private readonly secretKeys: ReadonlySet<string>;

  /**
   * @param kind of the component
   * @param name of the component
   * @throws ArgumentsError with every fault that can be found now
   */
  public constructor(kind: string, name: string, rule: Rule<T, K>, args: object) {
    this.component = `${kind} ${name}`;
    this.secretKeys = secretKeysOf(rule);
    this.known = this.read<unknown>(rule, args, [], false) as K;
  }

  /**
   * Reads a part of the arguments with the outputs in it. The output fails with all faults of that part, and then
   * nothing that needs it is created.
   *
   * @param steps where the part is in the arguments
   */
  public resolve<V>(
    rule: Rule<V, unknown>,
    value: unknown,
    ...steps: (string | number)[]
  ): pulumi.Output<pulumi.Unwrap<V>> {
    if (!holdsDeferred(value)) {
      const read = this.read(rule, value, steps, false);
      // The same object, where `pulumi.output` would make a copy: it may be a key of a map.
      return (
        holdsDeferred(read) ? pulumi.output(read) : pulumi.output(undefined).apply(() => read)
      ) as pulumi.Output<pulumi.Unwrap<V>>;
    }
    const output = pulumi.output(value);
    const read = pulumi.all([output, pulumi.isSecret(output)]).apply(([known, isSecret]) => {
      try {
        return pulumi.output(this.read<unknown>(rule, known, steps, isSecret));
      } catch (error) {
        return pulumi.output(reject(error));
      }
    });
    return read as pulumi.Output<pulumi.Unwrap<V>>;
  }

  /**
   * As `resolve`, of those keys of the arguments that a rule has.
   *
   * @param rule of an object
   */
  public resolvePart<V>(rule: Rule<V, unknown>): pulumi.Output<pulumi.Unwrap<V>> {
    const keys = rule.inside?.kind === "fields" ? Object.keys(rule.inside.fields) : [];
    return this.resolve(rule, Object.fromEntries(keys.map((key) => [key, keyOf(this.known, key)])));
  }

  /** A part of the arguments if all of it is known. */
  public complete<V>(rule: Rule<V, unknown>, value: unknown): V | undefined {
    return hasRead(rule, value) ? value : undefined;
  }

  /** As `resolve`, of one key of the arguments; undefined if it is absent. */
  public resolveOptional<V>(
    rule: Rule<V, unknown>,
    key: keyof K & string,
  ): pulumi.Output<pulumi.Unwrap<V>> | undefined {
    const value = keyOf(this.known, key);
    return value === undefined ? undefined : this.resolve(rule, value, key);
  }

  private read<V>(rule: Rule<V, unknown>, value: unknown, steps: (string | number)[], secret: boolean): V {
    const faults: Fault[] = [];
    const place = new Place(
      {
        origin: "arguments",
        stack: pulumi.getStack(),
        // The program's folder, also in a plugin.
        projectDirectory: process.cwd(),
        secretKeys: this.secretKeys,
        files: thisMachine,
        inform,
      },
      faults,
      steps,
    );
    const read = rule.read(value, place);
    if (read === INVALID || faults.length > 0) {
      throw new ArgumentsError(this.component, secret ? faults.map(withoutValue) : faults);
    }
    return read;
  }
}

/** The keys whose values can hold a secret. */
function secretKeysOf({ inside }: Rule<unknown, unknown>): ReadonlySet<string> {
  return new Set(
    inside?.kind === "fields"
      ? Object.entries(inside.fields)
          .filter(([, { rule }]) => holdsSecret(rule))
          .map(([key]) => key)
      : [],
  );
}

function holdsDeferred(value: unknown): boolean {
  if (isDeferred(value)) return true;
  if (Array.isArray(value)) return value.some(holdsDeferred);
  return isPlainObject(value) && Object.values(value).some(holdsDeferred);
}

/** A fix can repeat the value. */
function withoutValue({ path, allowed }: Fault): Fault {
  return { path, value: "(secret)", allowed, fix: `give ${allowed}` };
}
