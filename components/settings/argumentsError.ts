import * as pulumi from "@pulumi/pulumi";

import { countFaults, Fault, listFaults } from "./fault";

/**
 * All faults of a component's arguments in one message. A `RunError`, which Pulumi prints without a stack trace both
 * in a program and, after the name of the resource, from a plugin. (Its `InputPropertiesError` would show a trace in
 * a program, and from a plugin each value again, even a secret one.)
 */
export class ArgumentsError extends pulumi.RunError {
  /** @param component kind and name, such as `TritonServer edge` */
  public constructor(
    component: string,
    public readonly faults: readonly Fault[],
  ) {
    const message = `${countFaults(faults)} in the arguments of ${component}\n\n${listFaults(faults)}`;
    super(message);
    this.name = "ArgumentsError";
    // A plugin prints the stack of an error that comes after its constructor, whatever its kind.
    this.stack = message;
  }
}
