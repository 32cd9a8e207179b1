import { mapped, secret, text } from "./rules";

/**
 * Kinds of host key that the SSH client of the command provider checks. Not RSA: it offers the signature that is called like
 * the key, `ssh-rsa`, which is with SHA-1 and which OpenSSH refuses since 8.8 (`HostKeyAlgorithms` in
 * https://github.com/pulumi/pulumi-command/blob/v1.2.1/provider/pkg/provider/remote/connection.go).
 */
const HOST_KEY_KINDS: readonly string[] = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
];

export const hostKey = mapped(
  text({
    allowed: "the machine's public key in one line: ssh-ed25519 AAAA…",
    example: "ssh-ed25519 AAAA…",
    refuse(value) {
      if (isHostKey(value)) {
        return undefined;
      }
      const fields = value.split(" ");
      if (fields.slice(0, 2).includes("ssh-rsa")) {
        return "give the machine's ed25519 or ECDSA key, since OpenSSH refuses what would be asked of its RSA key: ssh-keyscan -t ed25519 ADDRESS | cut -d' ' -f2-, and compare what it prints";
      }
      return fields.length > 1 && isHostKey(fields.slice(1).join(" "))
        ? "remove the host name at the start of the line"
        : "on the machine, run: cat /etc/ssh/ssh_host_ed25519_key.pub";
    },
  }),
  (value) => value.split(" ").slice(0, 2).join(" "),
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

/**
 * RFC 4253, 6.6: a key is a sequence of strings, each preceded by its length; the first names the kind. None if malformed.
 *
 * @param most how many to read
 */
function wireStrings(bytes: Buffer, most = Infinity): readonly Buffer[] {
  const strings: Buffer[] = [];
  for (let rest = bytes; rest.length > 0 && strings.length < most;) {
    const end = rest.length < 4 ? Infinity : 4 + rest.readUInt32BE(0);
    if (end > rest.length) {
      return [];
    }
    strings.push(rest.subarray(4, end));
    rest = rest.subarray(end);
  }
  return strings;
}

export const privateKey = secret({
  what: "a key",
  config: {
    allowed: "a private key in PEM or OpenSSH form, without a passphrase, encrypted in the stack config",
    fix: "pulumi config set --secret --path xsched-triton:host.privateKey < KEY_FILE",
  },
  arguments: {
    allowed: "a private key in PEM or OpenSSH form, without a passphrase",
    fix: "pass the contents of the key file, from a secret in the stack config",
  },
  // An editor on Windows may have ended the lines, which not every SSH client takes.
  normalize: (value) => value.replace(/\r\n?/g, "\n"),
  refuse(value) {
    if (value.startsWith("PuTTY-User-Key-File-")) {
      return {
        shown: "(a key of PuTTY)",
        fix: "convert it: puttygen KEY_FILE -O private-openssh-new -o NEW_KEY_FILE",
      };
    }
    if (!/^\s*-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----\s/.test(value)) return { shown: "(secret)" };
    return hasPassphrase(value)
      ? {
          shown: "(a key with a passphrase)",
          fix: `create one for deployments: ssh-keygen -t ed25519 -N "" -f KEY_FILE`,
        }
      : undefined;
  },
});

/** PEM says so in words. OpenSSH's own form names the cipher first: openssh/PROTOCOL.key. */
function hasPassphrase(key: string): boolean {
  if (key.includes("ENCRYPTED")) return true;
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\sA-Za-z0-9+/=]*)-----END/.exec(key)?.[1];
  const bytes = Buffer.from(body?.replace(/\s/g, "") ?? "", "base64");
  const magic = "openssh-key-v1\0";
  if (bytes.subarray(0, magic.length).toString("latin1") !== magic) return false;
  const cipher = wireStrings(bytes.subarray(magic.length), 1)[0];
  return cipher !== undefined && cipher.toString("latin1") !== "none";
}
