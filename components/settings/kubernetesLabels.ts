import { map, type Rule } from "./rules";

/**
 * Labels of Kubernetes, with their values.
 *
 * @param of whose they are
 * @param copy where they can be read
 */
export function kubernetesLabels(of: string, example: string, copy: string): Rule<Record<string, string>> {
  return map({
    allowed: `an object of ${of} labels`,
    example,
    type: "string",
    read: (key, value, at) =>
      /^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/.test(key) &&
      typeof value === "string" &&
      /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/.test(value)
        ? value
        : at.fault(
            value,
            "a label with a text of at most 63 letters, digits, dots, dashes and underscores",
            copy,
          ),
  });
}
