/** The models of Pulumi.local.yaml, and how Triton and the scheduler show each one's priority. */
export const EXAMPLES = [
  { name: "realtime", triton: "PRIORITY_MAX", xsched: "255" },
  { name: "interactive", triton: "PRIORITY_MAX", xsched: "40" },
  { name: "batch", triton: "PRIORITY_MIN", xsched: "-255" },
] as const;

export const MODELS = EXAMPLES.map(({ name }) => name);
