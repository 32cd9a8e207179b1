import * as pulumi from "@pulumi/pulumi";

/**
 * Why nothing can be done on a host. A `RunError`, which Pulumi prints without a stack trace, and whose message stays as it
 * is: the SDK would put the name of each property that waits for the host before it.
 */
export class HostError extends pulumi.RunError {
  public constructor(what: string, fix: string) {
    const message = `${what}\nfix: ${fix}`;
    super(message);
    Object.defineProperty(this, "message", { get: () => message, set: () => undefined });
  }
}
