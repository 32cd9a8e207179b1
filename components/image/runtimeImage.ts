import type { RuntimeSettings } from "../settings";
import type { EcrRepository } from "./ecrRepository";
import { ImageVariant, TritonImage } from "./tritonImage";

const VARIANTS = { patched: ImageVariant.Patched, transparent: ImageVariant.Transparent } as const;

/**
 * The image of the stack config's runtime; undefined for a process, which has none.
 *
 * @param own the stack's own repository, for a build that names none
 */
export function runtimeImage(
  name: string,
  runtime: RuntimeSettings,
  own?: EcrRepository,
): TritonImage | undefined {
  if (runtime.kind === "process") return undefined;
  const { image, build, registry } = runtime;
  if (build === undefined) return new TritonImage(name, { image, registry });
  const { repository = own?.repository, variant, base, builder } = build;
  if (repository === undefined) throw new Error("a build without a repository passed the checks");
  return new TritonImage(name, {
    build: { repository, variant: VARIANTS[variant], base, builder },
    registry: own?.login ?? registry,
  });
}
