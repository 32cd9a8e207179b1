import * as pulumi from "@pulumi/pulumi";

/** A model's own config.pbtxt cannot be used. Pulumi prints a `RunError` without a stack trace. */
export class ModelConfigError extends pulumi.RunError {
  /**
   * @param place file, and line and column where they are known
   * @param fix what to type
   */
  public constructor(place: string, fault: string, fix: string) {
    super(`${place}: ${fault}\n  fix: ${fix}`);
    this.name = "ModelConfigError";
  }
}
