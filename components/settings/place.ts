import { SettingsContext } from "./context";
import { Fault, show } from "./fault";

/** Stands for a value that has a fault; the fault is recorded already. */
export const INVALID: unique symbol = Symbol("invalid");

export type Read<T> = T | typeof INVALID;

/** Where a value is in the config, and where its faults go. */
export class Place {
  public constructor(
    public readonly context: SettingsContext,
    private readonly faults: Fault[],
    private readonly steps: readonly (string | number)[] = [],
  ) {}

  public at(step: string | number): Place {
    return new Place(this.context, this.faults, [...this.steps, step]);
  }

  /** Path in the syntax of `pulumi config set --path`; empty at the top. */
  public get path(): string {
    return this.steps.reduce<string>((path, step) => {
      if (typeof step === "number") {
        return `${path}[${step}]`;
      }
      if (!/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(step)) {
        return `${path}[${show(step, false)}]`;
      }
      return path === "" ? step : `${path}.${step}`;
    }, "");
  }

  /** Name of the innermost property. */
  public get name(): string {
    const last = this.steps.at(-1);
    return typeof last === "string" ? last : "it";
  }

  /** Whether the stack config keeps the value encrypted, or something beside it. */
  public get encrypted(): boolean {
    return this.context.secretKeys.has(String(this.steps[0]));
  }

  public fault(value: unknown, allowed: string, fix: string): typeof INVALID {
    return this.faultShown(show(value, this.encrypted), allowed, fix);
  }

  /** As `fault`, with a text in place of the value. */
  public faultShown(shown: string, allowed: string, fix: string): typeof INVALID {
    this.faults.push({ path: this.path, value: shown, allowed, fix });
    return INVALID;
  }
}
