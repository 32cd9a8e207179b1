import { encodeString } from "./stringLiteral";

/*
 * The fields that a deployment writes, and their text. Booleans and numbers stand as they are, an `EnumName` without
 * quotes, and a field that is undefined is left out.
 */

export class EnumName {
  public constructor(public readonly name: string) {}
}

export type NewScalar = string | number | boolean | EnumName;
export type NewMessage = readonly NewField[];
export type NewValue =
  | { readonly kind: "scalar"; readonly value: NewScalar }
  | { readonly kind: "scalars"; readonly values: readonly NewScalar[] }
  | { readonly kind: "message"; readonly fields: NewMessage }
  | { readonly kind: "messages"; readonly messages: readonly NewMessage[] };

export interface NewField {
  readonly name: string;
  readonly value: NewValue;
}

/** A field with a single value; none if it is undefined. */
export function scalar(name: string, value: NewScalar | undefined): NewMessage {
  return value === undefined ? [] : [{ name, value: { kind: "scalar", value } }];
}

/** A repeated field of scalars; none if there are none. */
export function scalars(name: string, values: readonly NewScalar[]): NewMessage {
  return values.length === 0 ? [] : [{ name, value: { kind: "scalars", values } }];
}

export function message(name: string, fields: NewMessage): NewField {
  return { name, value: { kind: "message", fields } };
}

export function messages(name: string, all: readonly NewMessage[]): NewField {
  return { name, value: { kind: "messages", messages: all } };
}

/** Text of a field, its first line without indentation and no line break at the end. */
export function printField(field: NewField, newline: string, indent = ""): string {
  const { name, value } = field;
  const inner = `${indent}  `;
  switch (value.kind) {
    case "scalar":
      return `${name}: ${printScalar(value.value)}`;
    case "scalars":
      return `${name}: [ ${value.values.map(printScalar).join(", ")} ]`;
    case "message":
      return `${name} ${printMessage(value.fields, newline, indent)}`;
    case "messages": {
      const all = value.messages.map((each) => inner + printMessage(each, newline, inner));
      return `${name} [${newline}${all.join(`,${newline}`)}${newline}${indent}]`;
    }
  }
}

export function printMessage(fields: NewMessage, newline: string, indent: string): string {
  if (fields.length === 0) {
    return "{ }";
  }
  const inner = `${indent}  `;
  const lines = fields.map((field) => inner + printField(field, newline, inner) + newline);
  return `{${newline}${lines.join("")}${indent}}`;
}

export function printScalar(value: NewScalar): string {
  if (value instanceof EnumName) {
    return value.name;
  }
  return typeof value === "string" ? encodeString(value) : String(value);
}
