import * as pulumi from "@pulumi/pulumi";

import { Fields, Rule, Values } from "../settings/rules";

/** Stands for an input that the program will know later; it cannot be taken for a value. */
export const LATER: unique symbol = Symbol("later");

export type OrLater<F extends Fields> = { readonly [Key in keyof Values<F>]: Values<F>[Key] | typeof LATER };

/** Whether a value is an output or a promise, or a list with one in it. */
export function isLater(value: unknown): boolean {
  return (
    pulumi.Output.isInstance(value) ||
    value instanceof Promise ||
    (Array.isArray(value) && value.some(isLater))
  );
}

/** As `rule`, for an argument that may also be an output. */
export function orLater<T>(rule: Rule<T>): Rule<T | typeof LATER> {
  return { ...rule, read: (value, at) => (isLater(value) ? LATER : rule.read(value, at)) };
}

/** The same fields, each of which may also be an output. */
export function orLaterFields<F extends Fields>(
  fields: F,
): { readonly [Key in keyof F]: F[Key] & { readonly readsAs?: Values<F>[Key] | typeof LATER } } {
  const entries = Object.entries(fields).map(
    ([key, field]) => [key, { ...field, rule: orLater(field.rule) }] as const,
  );
  return Object.fromEntries(entries) as ReturnType<typeof orLaterFields<F>>;
}
