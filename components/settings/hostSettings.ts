import * as path from "node:path";

import { encrypted } from "./encrypted";
import { Read } from "./place";
import { defaulted, defaultedBy, integer, mapped, required, Rule, text, variants } from "./rules";
import { HostSettings } from "./types";

export const directory = text({
  allowed: "the path of a folder that belongs to this deployment alone",
  example: ".xsched-triton",
  refuse(given) {
    if (given.startsWith("~")) {
      return "leave ~/ out: over SSH, a relative path starts at the user's home";
    }
    if (given.trim() !== given || given === "" || given.length > 1024 || /\p{Cc}/u.test(given)) {
      return "give a path without control characters, for example .xsched-triton";
    }
    // The folder is removed with the host, so it must be one that can only be ours.
    const normal = path.posix.normalize(`${given}/`);
    return normal === "/" || normal === "./" || normal.startsWith("../") || /^\/[^/]+\/$/.test(normal)
      ? "name a folder of its own inside, for example /var/lib/xsched-triton"
      : undefined;
  },
});

/** As `directory`, absolute, and away from the project's own files. */
export const localDirectory: Rule<string> = mapped(directory, (given, at) => {
  const project = at.context.projectDirectory;
  const absolute = path.resolve(project, given);
  return `${project}/`.startsWith(`${absolute}/`)
    ? at.fault(
        given,
        "a folder that does not hold the project itself",
        "name a folder of its own, for example .local/host",
      )
    : absolute;
});

export const address = text({
  allowed: "a host name or an IP address",
  example: "gpu1.example.com",
  refuse(given) {
    if (given.includes("@")) {
      return "put the part before the @ into user";
    }
    if (/^[^:]+:\d+$/.test(given)) {
      return "put the port into port";
    }
    return /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*$/.test(given)
      ? undefined
      : "give the name or the address alone, for example gpu1.example.com";
  },
});

export const user = text({
  allowed: "the name of a user on the machine",
  example: "root",
  refuse: (given) =>
    /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(given) ? undefined : "give the login name, for example ubuntu",
});

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

const PRIVATE_KEY_FIX = "pulumi config set --secret --path xsched-triton:host.privateKey < KEY_FILE";

const privateKeyInConfig = privateKeyText(
  "a private key in PEM or OpenSSH form, without a passphrase, encrypted in the stack config",
  PRIVATE_KEY_FIX,
);

const privateKey = encrypted(privateKeyInConfig, "a key", PRIVATE_KEY_FIX);

/** The machine that Triton runs on. */
export const hostRule: Rule<HostSettings> = variants(
  "an object with the kind of host and what that kind needs",
  {
    local: {
      description: "this machine",
      fields: {
        directory: defaultedBy(
          localDirectory,
          (stack) => `.local/hosts/${stack}`,
          "Folder for everything that the deployment leaves on this machine; relative to the project. Removed with the deployment.",
        ),
      },
    },
    ssh: {
      description: "a machine that exists, over SSH",
      fields: {
        address: required(address, "Host name or IP address."),
        port: defaulted(integer(1, 65535, 22), 22, "TCP port of its SSH server."),
        user: defaulted(
          user,
          "root",
          "User to log in as; must be allowed to use Docker when the runtime is a container.",
        ),
        privateKey: required(privateKey, "Private key of the user. A secret."),
        hostKey: required(
          hostKey,
          "Public key of the machine, as in a `known_hosts` file without the host name. A machine with another key is refused.",
        ),
        directory: defaultedBy(
          directory,
          (stack) => `.xsched-triton-${stack}`,
          "Folder for everything that the deployment leaves on the machine; relative to the user's home. Removed with the deployment.",
        ),
      },
    },
  },
  "local",
);
