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
    const lost = tokens["*"];
    const token = part === undefined ? undefined : (tokens[part] ?? lost);
    if (token === undefined) return [];
    // The agent comes first on a host that has lost everything. It notes that, since this run may end before all parts are
    // there again, and by then nothing on the host tells that they are missing.
    const everything = part === "agent" && lost !== undefined ? [`--repair=*=${lost}`] : [];
    return [`--repair=${part}=${token}`, ...everything];
  });
}
