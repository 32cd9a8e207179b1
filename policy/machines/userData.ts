import { gunzipSync } from "node:zlib";

import type { Fault } from "../../components/settings";
import type { Resource } from "../resource";
import { launchesOf } from "./launch";

const KEY = /PRIVATE KEY|A[KS]IA[0-9A-Z]{16}|aws_(?:secret_access_key|session_token)/i;

/** A key in user data, which everyone on the instance, and anyone who may describe it, can read. */
export function secretInUserData(resource: Resource): readonly Fault[] {
  return launchesOf(resource)
    .flatMap(({ userData }) => userData)
    .filter(({ text }) => readings(text).some((reading) => KEY.test(reading)))
    .map((userData) =>
      userData.fault(
        "no key: everyone on the instance, and anyone who may describe it, can read user data",
        "keep the key in a SecureString parameter that the instance's role may read",
        "contains a key",
      ),
    );
}

/** How often a text may be packed: user data in Base64, with files in it that are compressed and in Base64. */
const LAYERS = 3;

/** A text, and what is packed in it: cloud-init accepts Base64 and gzip for itself and for each file that it writes. */
function readings(text: string, layers = LAYERS): readonly string[] {
  if (layers === 0) return [text];
  const packed = text
    .replaceAll(/(?<=[A-Za-z0-9+/])\r?\n[ \t]*(?=[A-Za-z0-9+/])/g, "")
    .match(/[A-Za-z0-9+/]{24,}={0,2}/g);
  const inside = (packed ?? []).flatMap((run) => readings(unpacked(Buffer.from(run, "base64")), layers - 1));
  return [text, ...inside];
}

/** More than user data can hold, and little enough to look through. */
const LARGEST_BYTES = 4 << 20;

function unpacked(bytes: Buffer): string {
  try {
    return gunzipSync(bytes, { maxOutputLength: LARGEST_BYTES }).toString("latin1");
  } catch {
    return bytes.toString("latin1");
  }
}
