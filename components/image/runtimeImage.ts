import type { RuntimeSettings } from "../settings";
import { ImageVariant, TritonImage } from "./tritonImage";

const VARIANTS = { patched: ImageVariant.Patched, transparent: ImageVariant.Transparent } as const;

/** The image of the stack config's runtime; undefined for a process, which has none. */
export function runtimeImage(name: string, runtime: RuntimeSettings): TritonImage | undefined {
  if (runtime.kind === "process") return undefined;
  const { image, build, registry } = runtime;
  return new TritonImage(name, {
    image,
    build: build && { ...build, variant: VARIANTS[build.variant] },
    registry,
  });
}
