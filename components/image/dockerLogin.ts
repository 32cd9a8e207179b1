import * as fs from "node:fs";
import * as path from "node:path";

import * as pulumi from "@pulumi/pulumi";

/** In the program's folder, where commands run: a path that is the same on every machine, so that it is no change. */
const LOGINS = ".local/xsched-triton-login";

export interface Login {
  readonly username: string;
  readonly password: string;
}

const folderOf = (name: string): string => path.posix.join(LOGINS, pulumi.getStack(), name);

/**
 * Writes a configuration of Docker with one login, for commands that this deployment runs on this machine. Only this user
 * can read it, and it is removed when it has been used, at the latest when the program ends. The password is in no input
 * of a resource: it may be another one each time, and that is no change.
 *
 * @param name of the component that the commands belong to
 * @returns the folder, for DOCKER_CONFIG, relative to the program's folder
 */
export function writeLogin(name: string, address: string, { username, password }: Login): string {
  const folder = folderOf(name);
  if (pulumi.runtime.isDryRun()) return folder;
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  // It must not be committed, whatever the program's own .gitignore says.
  fs.writeFileSync(path.join(LOGINS, ".gitignore"), "*\n");
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  const key = address === "docker.io" ? "https://index.docker.io/v1/" : address;
  // Another command may be reading the one that is there.
  const temporary = path.join(folder, `config.json.${process.pid}`);
  fs.writeFileSync(temporary, JSON.stringify({ auths: { [key]: { auth } } }), { mode: 0o600 });
  fs.renameSync(temporary, path.join(folder, "config.json"));
  const absolute = path.resolve(folder);
  process.once("exit", () => {
    fs.rmSync(absolute, { recursive: true, force: true });
  });
  return folder;
}

/** Removes what `writeLogin` has written. */
export function removeLogin(name: string): void {
  if (!pulumi.runtime.isDryRun()) fs.rmSync(folderOf(name), { recursive: true, force: true });
}
