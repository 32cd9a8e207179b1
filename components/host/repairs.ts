import * as pulumi from "@pulumi/pulumi";

/** A token for each part of a host that has to be put right, or was: see the agent's command `inspect`. */
export type Repairs = Readonly<Record<string, string>>;

/**
 * The words that tell a command of the agent what it puts right; none where nothing is wrong or ever was. Another token
 * makes Pulumi run the command.
 *
 * @param repairs JSON of `Repairs`
 * @param part such as `server`, `models` or `model:NAME`
 */
export function repairWords(
  repairs: pulumi.Input<string> | undefined,
  part: string | undefined,
): pulumi.Output<string[]> {
  return pulumi.output(repairs).apply((text) => {
    const tokens = JSON.parse(text ?? "{}") as Repairs;
    const token = part === undefined ? undefined : (tokens[part] ?? tokens["*"]);
    return token === undefined ? [] : [`--repair=${part}=${token}`];
  });
}
