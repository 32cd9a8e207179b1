/** Outputs of a program without those that this stack has not, which Pulumi would warn of one by one. */
export function outputsOf(outputs: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(outputs).filter(([, value]) => value !== undefined));
}
