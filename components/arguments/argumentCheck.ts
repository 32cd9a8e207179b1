import * as pulumi from "@pulumi/pulumi";

import { Fault } from "../settings/fault";
import { INVALID, Place } from "../settings/place";
import { isPlainObject, Rule } from "../settings/rules";
import { thisMachine } from "../settings/thisMachine";
import { ArgumentsError } from "./argumentsError";
import { isLater } from "./later";

/**
 * Checks the arguments of a component by the rules of the stack config. A checked value comes out of here only, so
 * that what is used has passed.
 */
export class ArgumentCheck {
  private readonly component: string;

  /**
   * @param kind of the component
   * @param name of the component
   */
  public constructor(kind: string, name: string) {
    this.component = `${kind} ${name}`;
  }

  /**
   * Reads what is known when the component is constructed.
   *
   * @param rule must take inputs for what may be one
   * @throws ArgumentsError with every fault that was found
   */
  public now<T>(rule: Rule<T>, given: unknown): T {
    return this.read(rule, given, [], false);
  }

  /**
   * Reads a value with the inputs in it. The output fails with all faults of the value, and nothing that needs it is
   * made then.
   *
   * @param steps where the value stands in the arguments
   */
  public whenKnown<T>(rule: Rule<T>, given: unknown, ...steps: (string | number)[]): pulumi.Output<T> {
    if (!holdsLater(given)) {
      return pulumi.output(this.read(rule, given, steps, false)) as pulumi.Output<T>;
    }
    const known = pulumi.output(given);
    const read = pulumi
      .all([known, pulumi.isSecret(known)])
      .apply(([value, secret]) => this.read<unknown>(rule, value, steps, secret));
    return read as pulumi.Output<T>;
  }

  private read<T>(rule: Rule<T>, given: unknown, steps: (string | number)[], secret: boolean): T {
    const faults: Fault[] = [];
    const context = {
      stack: pulumi.getStack(),
      // The program's folder, also in a plugin.
      projectDirectory: process.cwd(),
      secretKeys: new Set(["ssh"]),
      files: thisMachine,
    };
    const value = rule.read(given, new Place(context, faults, steps));
    if (value === INVALID || faults.length > 0) {
      throw new ArgumentsError(this.component, secret ? faults.map(withoutValue) : faults);
    }
    return value;
  }
}

function holdsLater(value: unknown): boolean {
  return isLater(value) || (isPlainObject(value) && Object.values(value).some(holdsLater));
}

/** A fix can repeat the value. */
function withoutValue({ path, allowed }: Fault): Fault {
  return { path, given: "(secret)", allowed, fix: `give ${allowed}` };
}
