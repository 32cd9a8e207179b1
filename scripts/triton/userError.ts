import { type Finished } from "./deployedServer";

/** A request that cannot be carried out. Its message says what to do and is all that the user needs. */
export class UserError extends Error {
  /** Marks it for the launchers, which are plain JavaScript. */
  public readonly isForUser = true;

  public constructor(problem: string, fix: string) {
    super(`${problem}\nfix: ${fix}`);
  }

  /** The error that a command on the host reported: its messages end with `error: …` and `fix: …`. */
  public static ofHost(command: string, { stderr }: Finished): Error {
    const [, problem, fix] = /(?:^|\n)error: (.*)\nfix: (.*)\s*$/.exec(stderr) ?? [];
    if (problem !== undefined && fix !== undefined) return new UserError(problem, fix);
    return new Error(stderr.trim() || `${command} failed on the host`);
  }
}
