import { Read } from "./place";
import { mapped, Rule, text } from "./rules";

/** Kinds of host key that the SSH client of the command provider checks. */
const HOST_KEY_KINDS: readonly string[] = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa",
];

export const hostKey = mapped(
  text({
    allowed: "the machine's public key as one line: ssh-ed25519 AAAA…",
    example: "ssh-ed25519 AAAA…",
    refuse(given) {
      if (isHostKey(given)) {
        return undefined;
      }
      const fields = given.split(" ");
      return fields.length > 1 && isHostKey(fields.slice(1).join(" "))
        ? "leave out the host name at the start of the line"
        : "on the machine, run: cat /etc/ssh/ssh_host_ed25519_key.pub";
    },
  }),
  (given) => given.split(" ").slice(0, 2).join(" "),
);

function isHostKey(line: string): boolean {
  const match = /^([a-z0-9-]+) ([A-Za-z0-9+/]+={0,2})( [^\p{Cc}]*)?$/u.exec(line);
  const kind = match?.[1] ?? "";
  if (!HOST_KEY_KINDS.includes(kind)) {
    return false;
  }
  const [name, ...rest] = wireStrings(Buffer.from(match?.[2] ?? "", "base64"));
  return name?.toString("latin1") === kind && rest.length > 0;
}

/** RFC 4253, 6.6: a key is a row of strings, each after its length; the first names the kind. None if malformed. */
function wireStrings(bytes: Buffer): readonly Buffer[] {
  const strings: Buffer[] = [];
  for (let rest = bytes; rest.length > 0;) {
    const end = rest.length < 4 ? Infinity : 4 + rest.readUInt32BE(0);
    if (end > rest.length) {
      return [];
    }
    strings.push(rest.subarray(4, end));
    rest = rest.subarray(end);
  }
  return strings;
}

/** The text of a private key, which must never reach a message. */
export function privateKeyText(allowed: string, fix: string): Rule<string> {
  return {
    type: "string",
    allowed,
    example: "(secret)",
    read(value, at): Read<string> {
      if (typeof value !== "string" || !/^\s*-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----\s/.test(value)) {
        return at.faultShown("(secret)", allowed, fix);
      }
      return value.includes("ENCRYPTED")
        ? at.faultShown(
            "(a key with a passphrase)",
            allowed,
            `make one for deployments: ssh-keygen -t ed25519 -N "" -f KEY_FILE`,
          )
        : value;
    },
  };
}
