import * as pulumi from "@pulumi/pulumi";

import { INVALID, Read } from "./place";
import { Rule } from "./rules";

/**
 * Reads a text that the stack config must keep encrypted; it comes out as a secret.
 *
 * @param rule never shows the value in a fault
 * @param what the value is, for the message
 */
export function encrypted(rule: Rule<string>, what: string, fix: string): Rule<pulumi.Output<string>> {
  return {
    ...rule,
    read(value, at): Read<pulumi.Output<string>> {
      if (pulumi.Output.isInstance(value)) {
        return pulumi.secret(value);
      }
      const known = rule.read(value, at);
      if (known === INVALID) return INVALID;
      return at.encrypted
        ? pulumi.secret(known)
        : at.faultShown(`(${what} in plain text)`, rule.allowed, fix);
    },
  };
}
