import * as fs from "node:fs";
import * as path from "node:path";

import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import { ATTEMPTS_OVER_SSH, keyOf, overSsh, shellQuote } from "../host";
import type { SshConnectionArgs } from "../settings";
import type { ModelFolder } from "./modelFolder";

/** Files of this machine, and where they go. */
export interface Sending {
  readonly ssh: pulumi.Input<SshConnectionArgs>;
  /** Path of the folder on this machine. */
  readonly from: string;
  readonly folder: ModelFolder;
  /** Absolute path of a new folder on the host. */
  readonly to: pulumi.Input<string>;
  /** Sends the files again. */
  readonly triggers: pulumi.Input<pulumi.Input<unknown>[]>;
}

const SEND_FILES = fs.readFileSync(path.join(__dirname, "send-files.sh"), "utf8");

/** What the host does with them. What an attempt before has left is in the way. */
const RECEIVE = 'rm -rf "$1" && mkdir -p "$1" && exec tar -C "$1" -xof -';

/** Sends a model's files through a `proxyCommand`; what `command.remote.CopyToRemote` does without one. */
export function sendFiles(
  name: string,
  { ssh, from, folder, to, triggers }: Sending,
  opts: pulumi.CustomResourceOptions,
): command.local.Command {
  // The same on every machine that deploys.
  const near = path.relative(process.cwd(), from);
  const script = ["bash", "-c", SEND_FILES, "send-files.sh", near.startsWith("..") ? from : near];
  return new command.local.Command(
    name,
    {
      create: pulumi
        .all([pulumi.unsecret(pulumi.output(ssh)), to])
        .apply(([connection, target]) =>
          shellQuote([
            ...script,
            ...overSsh(connection, shellQuote(["sh", "-c", RECEIVE, "sh", target]), ATTEMPTS_OVER_SSH),
          ]),
        ),
      stdin: folder.items.map((item) => `${item.path}\0`).join(""),
      environment: pulumi.secret(pulumi.output(ssh).apply(keyOf)),
      triggers,
      interpreter: ["/bin/bash", "-c"],
      addPreviousOutputInEnv: false,
      logging: command.local.Logging.Stderr,
    },
    opts,
  );
}
