import { Rule } from "../settings/rules";

/** Of a kind that its user does not care for. */
export const anything: Rule<unknown> = {
  type: "object",
  allowed: "anything",
  example: "0",
  read: (value) => value,
};
