import type { Fault } from "../../components/settings";
import { Property } from "../property";

/** A statement of an IAM policy. Elements are lists, however they are written. */
export interface Statement {
  /** Everything but a denial counts as allowed. */
  readonly allows: boolean;
  element(name: Element): readonly Property[];
  /** An element as it is written. */
  whole(name: Element | "Condition"): Property;
}

export type Element = "Action" | "NotAction" | "Resource" | "NotResource" | "Principal" | "NotPrincipal";

export interface Document {
  readonly statements: readonly Statement[];
  /** Why it cannot be read. */
  readonly faults: readonly Fault[];
}

const NOTHING: Document = { statements: [], faults: [] };

/**
 * Reads a policy: the text of a JSON document, the document itself, or a result of `getPolicyDocument`. AWS takes names
 * and actions in any letter case, and one value in place of a list, so nothing here may depend on them.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 */
export function documentOf(policy: Property): Document {
  if (!policy.isSet) return NOTHING;
  if (typeof policy.value !== "string") {
    const [statements, json] = [policy.fieldInAnyCase("Statement"), policy.field("json")];
    if (json.isSet && !statements.isSet) return documentOf(json);
    return { statements: statements.items.map(statementOf), faults: [] };
  }
  try {
    return documentOf(new Property(policy.path, asObject(JSON.parse(policy.value))));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const fault = policy.fault(
      "the JSON text of an IAM policy, which alone can be checked",
      "write it with JSON.stringify, or take json of getPolicyDocument",
      "text that is no JSON object",
    );
    return { statements: [], faults: [fault] };
  }
}

function asObject(value: unknown): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new SyntaxError("no object");
}

function statementOf(statement: Property): Statement {
  const effect = statement.fieldInAnyCase("Effect");
  return {
    allows: effect.text.toLowerCase() !== "deny",
    element: (name) => statement.fieldInAnyCase(name).items.filter((item) => !item.isUnknown),
    whole: (name) => statement.fieldInAnyCase(name),
  };
}

/** Whether a text of a policy stands for more than one thing. */
export function isPattern(text: string): boolean {
  return /[*?]/.test(text);
}
