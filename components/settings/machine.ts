import * as path from "node:path";

import { mapped, Rule, text } from "./rules";

/* Names of a machine, its users and the folders on it. */

export const directory = text({
  allowed: "the path of a folder that belongs to this deployment alone",
  example: ".xsched-triton",
  refuse(given) {
    if (given.startsWith("~")) {
      return "remove ~/: over SSH, a relative path starts at the user's home";
    }
    if (given.trim() !== given || given === "" || given.length > 1024 || /\p{Cc}/u.test(given)) {
      return "give a path without control characters, for example .xsched-triton";
    }
    // The folder is removed with the host, so it must be one that can only belong to this deployment.
    const normal = path.posix.normalize(`${given}/`);
    return normal === "/" || normal === "./" || normal.startsWith("../") || /^\/[^/]+\/$/.test(normal)
      ? "name a folder inside it, for example /var/lib/xsched-triton"
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
        "a folder that does not contain the project itself",
        "name a separate folder, for example .local/host",
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
