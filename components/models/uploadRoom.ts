import * as pulumi from "@pulumi/pulumi";

import { faultOf, HostError, type HostLocationArgs, runWithKey } from "../host";
import type { DirectoryDigest } from "./digest";

/** A model whose folder is sent to the host. */
export interface Upload {
  readonly model: string;
  readonly folder: DirectoryDigest;
  /** Whether the host builds an engine of it, and keeps something else. */
  readonly built: boolean;
}

/**
 * Path of the host's folder of what is sent over SSH, once the host has room for what it does not have yet. Of a disk that is
 * full, SFTP says "Failure", and leaves it full. A preview does not ask.
 */
export function roomForUploads(
  location: HostLocationArgs,
  uploads: readonly Upload[],
): pulumi.Output<string> {
  const folder = pulumi.interpolate`${location.directory}/uploads`;
  const { ssh, proxied } = location;
  // What goes through a proxyCommand is sent by tar, which says what is wrong.
  if (ssh === undefined || proxied === true || uploads.length === 0) return folder;
  if (!pulumi.runtime.hasEngine() || pulumi.runtime.isDryRun()) return folder;
  const words = uploads.flatMap(({ model, folder: { digest, items }, built }) => {
    const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
    // What is built of a model, and kept of it, is not known here.
    return [model, digest, ...(built ? [0, 0] : [bytes, items.length]).map(String)];
  });
  const asked = pulumi
    .all([location.directory, pulumi.output(ssh)])
    .apply(async ([directory, connection]) => {
      const run = await runWithKey(connection, [`${directory}/bin/agent`, "make-room", ...words]);
      const fault = run.code === 0 ? undefined : faultOf(run);
      if (fault !== undefined) throw new HostError(fault.what, fault.fix);
    });
  return pulumi.unsecret(pulumi.all([folder, asked]).apply(([path]) => path));
}
