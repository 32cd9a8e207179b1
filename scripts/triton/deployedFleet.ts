/** A fleet that runs on a cluster. scripts/fleet-target.mjs creates it. */
export interface DeployedFleet {
  /** Name of the stack, and the folder of its program. */
  readonly stack: string;
  readonly folder: string;
  /** Name of the Deployment, and its namespace. */
  readonly name: string;
  readonly namespace: string;
  /** What the API server answers about an object of this path. */
  readonly get: (place: string) => unknown;
  /** The same of what is text. */
  readonly text: (place: string) => string;
  /** Changes keys of a ConfigMap, and lets Pulumi know. */
  readonly change: (configMap: string, data: Readonly<Record<string, string>>) => void;
  readonly close: () => void;
}
