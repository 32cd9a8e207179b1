import type { Settings } from "../settings";
import { EcrRepository } from "./ecrRepository";

/** The stack's own repository on AWS, where its image is built for it; undefined if it needs none. */
export function imageRegistry(
  name: string,
  { host, runtime }: Pick<Settings, "host" | "runtime">,
): EcrRepository | undefined {
  if (host.kind !== "aws" || runtime.kind !== "container") return undefined;
  const { build } = runtime;
  if (build === undefined || build.repository !== undefined) return undefined;
  const { tags, protect } = host;
  return new EcrRepository(name, { keepImages: build.keepImages, forceDelete: !protect, tags }, { protect });
}
