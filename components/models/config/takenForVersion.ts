import { isVersion, MAX_VERSION } from "../../settings";
import { ModelConfigError } from "./modelConfigError";

/**
 * Refuses a folder that Triton takes for a version and that is none. Triton reads names with C++'s `stoll`: digits at the
 * beginning are enough, so that `3rdparty` is version 3, and a number beyond 64 bits ends the server, with all of its
 * models (seen with r24.10).
 *
 * A folder is left alone whose number is another version or below one, since Triton serves the highest.
 *
 * @param folders names of the folders in the model's source
 * @throws ModelConfigError
 */
export function refuseTakenForVersion(source: string, folders: readonly string[]): void {
  const highest = folders
    .filter(isVersion)
    .map(BigInt)
    .reduce((most, version) => (version > most ? version : most), 0n);
  for (const name of folders) {
    const digits = /^\s*\+?(\d+)/.exec(name)?.[1];
    if (digits === undefined || isVersion(name) || BigInt(digits) <= highest) continue;
    const taken = BigInt(digits);
    throw new ModelConfigError(
      `${source}/${name}`,
      taken > MAX_VERSION
        ? `Triton takes a folder whose name begins with a digit for a version, and ends at one beyond ${MAX_VERSION}`
        : `Triton takes a folder whose name begins with a digit for a version: this one for version ${taken}`,
      "let its name begin with a letter, or move it into the version's folder",
    );
  }
}
